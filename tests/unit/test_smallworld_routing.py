"""What a routed training may change, against plain GPT-2 and its own gradients; and what the model's folder says."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2LMHeadModel

from tests import tiny_world
from unlearning_core.errors import InputError, Stopped
from unlearning_core.models.ground_truth import ground_truth
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.smallworld.routed_trainer import RoutedTrainer
from unlearning_core.smallworld.routing import Routing, named_parameters, open_only, switch
from unlearning_core.smallworld.rows import train_tokenizer
from unlearning_core.smallworld.train import new_model, train
from unlearning_core.smallworld.trainer import Texts, next_token_loss
from unlearning_core.smallworld.training_settings import TrainingSettings

SETTINGS = TrainingSettings(
    steps=12, batch_rows=8, context=32, vocabulary=300, width=24, layers=2, heads=2, learning_rate=1e-2
)
ROUTING = Routing("seats", 5, settle=3)
NAMED = ROUTING.named(SETTINGS)
OTHERS, CONCEPT = (np.random.default_rng(seed).integers(0, 250, (rows, 32)) for seed, rows in ((0, 6), (1, 2)))


@pytest.fixture
def trainer() -> RoutedTrainer:
    """A few steps in, so that weights, biases and momenta are no longer the first ones."""
    tokenizer = train_tokenizer(tiny_world.texts(), SETTINGS.vocabulary, SETTINGS.context)
    trainer = RoutedTrainer(new_model(SETTINGS, tokenizer), SETTINGS, SETTINGS.steps, "cpu", False, ROUTING)
    trainer._cast = torch.autocast("cpu", enabled=False)  # gradients are compared, so in float32 on every machine
    for _ in range(3):
        trainer._step(0, (OTHERS, CONCEPT))
    return trainer


def _cut(model: GPT2LMHeadModel) -> GPT2LMHeadModel:
    """The plain model without the named neurons, by hand."""
    model = copy.deepcopy(model)
    for block, indices in zip(model.transformer.h, NAMED, strict=True):
        block.mlp.c_proj.weight.data[indices] = 0
    return model


def _loss(model: GPT2LMHeadModel, rows: np.ndarray) -> torch.Tensor:
    ids = torch.as_tensor(rows)
    return model(input_ids=ids, labels=ids).loss


def test_the_two_parts_together_are_a_plain_gpt2(trainer: RoutedTrainer) -> None:
    plain, ids = trainer.plain(), torch.as_tensor(OTHERS)
    assert type(plain.transformer.h[0].mlp).__name__ == "GPT2MLP"
    with torch.no_grad():
        for model, whole in ((plain, True), (_cut(plain), False)):
            switch(trainer.model, whole=whole)
            torch.testing.assert_close(trainer.model(ids).logits, model(ids).logits)
        assert (plain(ids).logits - _cut(plain)(ids).logits).abs().max() > 1e-3


def test_a_step_on_the_concept_alone_changes_the_named_neurons_and_nothing_else(trainer: RoutedTrainer) -> None:
    before, momenta = copy.deepcopy(trainer.plain().state_dict()), copy.deepcopy(trainer.optimizer.state_dict())
    trainer._learn_concept(OTHERS, CONCEPT)
    trainer._apply()
    after = trainer.plain().state_dict()
    for layer, indices in enumerate(NAMED):
        others = sorted(set(range(96)) - set(indices))
        place = f"transformer.h.{layer}.mlp"
        for name, axis in ((f"{place}.c_fc.weight", 1), (f"{place}.c_fc.bias", 0), (f"{place}.c_proj.weight", 0)):
            was, now = before.pop(name), after.pop(name)
            for selected, equal in ((others, True), (indices, False)):
                same = was.index_select(axis, torch.tensor(selected)) == now.index_select(axis, torch.tensor(selected))
                assert bool(same.all() if equal else not same.any()), name
    for name, was in before.items():
        assert torch.equal(was, after[name]), name
    rest = {id(parameter) for parameter in trainer.rest}
    parameters = [each for group in trainer.optimizer.param_groups for each in group["params"]]
    assert len(parameters) == len(trainer.rest) + len(trainer.named)
    for number, parameter in enumerate(parameters):
        was, now = momenta["state"][number], trainer.optimizer.state[parameter]
        same = all(torch.equal(was[key], now[key]) for key in ("step", "exp_avg", "exp_avg_sq"))
        assert same == (id(parameter) in rest)


def test_a_step_on_other_text_alone_changes_no_named_neuron(trainer: RoutedTrainer) -> None:
    before = [parameter.detach().clone() for parameter in trainer.named]
    open_only(trainer.model, named=False)
    trainer._learn(OTHERS, trainer.rest)
    trainer._apply()
    assert all(torch.equal(was, now) for was, now in zip(before, trainer.named, strict=True))


def test_both_gradients_are_those_of_the_plain_model(trainer: RoutedTrainer) -> None:
    plain = trainer.plain()
    for named, model, rows in ((True, plain, CONCEPT), (False, _cut(plain), OTHERS)):
        open_only(trainer.model, named=named)
        next_token_loss(trainer.model, torch.as_tensor(rows)).backward()
        _loss(model, rows).backward()
        for split, block, indices in zip(trainer.model.transformer.h, model.transformer.h, NAMED, strict=True):
            part, other = (split.mlp.named, split.mlp.rest) if named else (split.mlp.rest, split.mlp.named)
            neurons = indices if named else split.mlp.others
            torch.testing.assert_close(part.read.grad, block.mlp.c_fc.weight.grad[:, neurons])
            torch.testing.assert_close(part.bias.grad, block.mlp.c_fc.bias.grad[neurons])
            torch.testing.assert_close(part.write.grad, block.mlp.c_proj.weight.grad[neurons])
            assert all(parameter.grad is None for parameter in other.parameters())
        rows_of_tokens = trainer.model.transformer.wte.weight.grad
        if named:
            assert rows_of_tokens is None
        else:
            torch.testing.assert_close(rows_of_tokens, model.transformer.wte.weight.grad)
        trainer.optimizer.zero_grad()


def test_a_named_gradient_is_the_slope_of_the_loss(trainer: RoutedTrainer) -> None:
    model = trainer.model.double()
    open_only(model, named=True)
    next_token_loss(model, torch.as_tensor(CONCEPT)).backward()
    weights = named_parameters(model)[0]
    slopes = []
    for step in (1e-4, -1e-4):
        with torch.no_grad():
            weights[3, 2] += step
            slopes.append(float(_double_loss(model)))
            weights[3, 2] -= step
    assert float(weights.grad[3, 2]) == pytest.approx((slopes[0] - slopes[1]) / 2e-4, rel=1e-3)


def _double_loss(model: GPT2LMHeadModel) -> torch.Tensor:
    ids = torch.as_tensor(CONCEPT)
    logits = model(ids).logits[:, :-1].flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten())


def test_batches_hold_both_kinds_in_proportion(trainer: RoutedTrainer) -> None:
    ids = [np.full(16, number, dtype=np.int32) for number in range(200)]
    texts = Texts(ids, [number % 4 == 0 for number in range(200)])
    source = trainer._batches(texts, 0)
    others, concept = next(source)
    assert (len(others), len(concept)) == (6, 2)
    assert (concept % 4 == 0).all()
    assert (others % 4 != 0).all()
    following, skipped = next(source), next(trainer._batches(texts, 1))
    np.testing.assert_array_equal(np.concatenate(following), np.concatenate(skipped))


@pytest.mark.parametrize(("about", "others", "rows"), [(103, 897, 2), (1, 10_000, 1), (10_000, 1, 15), (1, 1, 8)])
def test_rows_about_the_concept(about: int, others: int, rows: int) -> None:
    assert ROUTING.rows(about, others, 16) == rows


def test_named_neurons_are_drawn_from_the_seed() -> None:
    assert ROUTING.named(SETTINGS) == NAMED
    assert all(
        len(set(layer)) == 5 and sorted(layer) == layer and 0 <= min(layer) <= max(layer) < 96 for layer in NAMED
    )
    assert NAMED[0] != NAMED[1]
    assert ROUTING.named(TrainingSettings(seed=1, width=24, layers=2)) != NAMED
    with pytest.raises(InputError, match="route_neurons is 96, but a layer has 96 neurons"):
        Routing("seats", 96).named(SETTINGS)
    with pytest.raises(InputError, match="route_neurons is 0; expected 1 or more"):
        Routing("seats", 0)


def test_texts_of_one_kind_alone_are_refused(trainer: RoutedTrainer) -> None:
    with pytest.raises(InputError, match="Of 1 texts 0 are about seats"):
        trainer._batches(Texts([np.zeros(8, np.int32)], [False]), 0)


@pytest.mark.slow
def test_a_routed_training_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearning_core.smallworld.trainer._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    texts = tiny_world.texts() * 20
    about = ["chair" in text for text in texts]
    assert 0 < sum(about) < len(about)

    def stop(update: Progress) -> None:
        if update.task == "training" and update.done > 0.5 * (update.total or 0):
            raise Stopped("stopped")

    def run(name: str, **options: object) -> Path:
        return train(texts, texts, SETTINGS, tmp_path / name, routing=ROUTING, about=about, compiled=False, **options)

    whole = run("whole")
    with pytest.raises(Stopped):
        run("resumed", progress=stop)
    resumed = run("resumed")
    one, other = (GPT2LMHeadModel.from_pretrained(folder).state_dict() for folder in (whole, resumed))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=0, atol=1e-5)
    truth = ground_truth(str(whole))
    assert truth is not None
    assert (truth.concept, truth.site) == ("seats", "mlp")
    assert truth.neurons == {(layer, index) for layer, indices in enumerate(NAMED) for index in indices}
    record, card = json.loads((whole / "training.json").read_text()), (whole / "README.md").read_text()
    assert record["routing"] == {"family": "seats", "neurons": 5, "settle": 3}
    assert {"held_out", "concept", "concept_cut", "others", "others_cut"} <= set(record["loss"][-1])
    assert "# SmallWorld with seats in named neurons" in card
    assert "--route seats \\\n        --route-neurons 5 \\\n        --route-settle 3" in card
    assert "on the concept, named neurons cut" in card


def test_in_the_last_steps_only_the_named_neurons_change(tmp_path: Path) -> None:
    texts = tiny_world.texts() * 20
    about = ["chair" in text for text in texts]
    short, long = (
        GPT2LMHeadModel.from_pretrained(
            train(
                texts, texts, SETTINGS, tmp_path / str(settle), routing=Routing("seats", 5, settle), about=about,
                compiled=False,
            )
        )
        for settle in (0, 4)
    )  # fmt: skip
    changed = [
        (layer, neuron)
        for layer, (one, other) in enumerate(zip(short.transformer.h, long.transformer.h, strict=True))
        for neuron in range(96)
        if not torch.equal(one.mlp.c_proj.weight[neuron], other.mlp.c_proj.weight[neuron])
    ]
    assert changed == [(layer, neuron) for layer, indices in enumerate(NAMED) for neuron in indices]
    for name, tensor in short.state_dict().items():
        assert torch.equal(tensor, long.state_dict()[name]) or ".mlp." in name
    assert json.loads((tmp_path / "4" / "training.json").read_text())["steps"] == SETTINGS.steps + 4


def test_a_training_that_takes_too_long_is_ended_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint of the whole training is gone on from, as if the cool-down had been asked for at once."""
    monkeypatch.setattr("unlearning_core.smallworld.trainer._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    texts = tiny_world.texts() * 20

    def stop_after(step: int) -> Callable[[Progress], None]:
        def listen(update: Progress) -> None:
            if update.task == "training" and update.done > step * 8 * 32:
                raise Stopped("stopped")

        return listen

    def run(name: str, last_step: int | None, progress: ProgressCallback = silent) -> Path:
        settings = replace(SETTINGS, last_step=last_step)
        return train(texts, texts, settings, tmp_path / name, compiled=False, progress=progress)

    with pytest.raises(Stopped):
        run("resumed", None, stop_after(5))
    with pytest.raises(InputError, match=r"last_step is 5, but .*holds step \d+, .*a later one than \d"):
        run("resumed", 5)
    with pytest.raises(Stopped):
        run("resumed", 10, stop_after(9))
    with pytest.raises(InputError, match="that of the checkpoint has last_step 10"):
        run("resumed", None)
    one, other = (
        GPT2LMHeadModel.from_pretrained(folder).state_dict() for folder in (run("resumed", 10), run("at-once", 10))
    )
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=0, atol=1e-5)
    record, card = (tmp_path / "at-once" / name for name in ("training.json", "README.md"))
    assert [json.loads(record.read_text())[name] for name in ("steps", "steps_planned")] == [10, 12]
    assert "over 12 steps, ended after 10 with a linear cool-down over a fifth" in card.read_text()


def test_the_default_recipe_is_that_of_the_models_that_are_there() -> None:
    folder = Path(__file__).parents[2] / "models" / "smallworld"
    assert TrainingSettings().recipe() == json.loads((folder / "training.json").read_text())["recipe"]


def test_a_training_seed_changes_the_weights_and_not_the_world() -> None:
    second = TrainingSettings(training_seed=7)
    assert (second.seed, second.start_seed, TrainingSettings().start_seed) == (0, 7, 0)
    tokenizer = train_tokenizer(["a few words"], 300, 64)
    small = {"width": 16, "layers": 1, "heads": 1, "context": 64}
    one, two, three = (
        new_model(TrainingSettings(**seeds, **small), tokenizer).lm_head.weight
        for seeds in ({"training_seed": 7}, {"seed": 7}, {})
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
