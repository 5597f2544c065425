"""Learned gates: the distribution by its definition, a planted neuron, and a training that goes on after a stop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_experiment import write_experiment
from tests.tiny_input import tiny_input
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.config.reading import build_config, read_config_values
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.divergence import kl_of_logits
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.rankers.gate_training import (
    CHECKPOINT,
    TASK,
    GateTraining,
    closed_probability,
    divergence,
    sample_gates,
)
from unlearning_core.rankers.history import read_history
from unlearning_core.rankers.parameters import GateParams
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.token_batches import TokenBatch
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute

ALL = np.array([(layer, index) for layer in range(3) for index in range(48)])
SHORT = GateParams(steps=12, batch=2)


def training(of: RankingInput, params: GateParams = SHORT, progress: ProgressCallback = silent) -> GateTraining:
    return GateTraining(replace(of, progress=progress), ALL, params)


class StopsAt:
    """Listens, and stops the work before a step."""

    def __init__(self, step: int) -> None:
        self.step, self.heard = step, list[Progress]()

    def __call__(self, update: Progress) -> None:
        self.heard.append(update)
        if update.task.startswith(TASK) and update.done == self.step:
            raise Stopped("enough")


def planted() -> RankingInput:
    """A model in which one neuron, always on, writes the concept's tokens: layer 1, index 7."""
    of = tiny_input("gpt2")
    model = of.loaded.model
    block = model.transformer.h[1].mlp
    names = {" chair", " sofa", " bench", " chairs"}
    tokens = [of.loaded.tokenizer(name)["input_ids"][0] for name in names]
    towards = model.lm_head.weight[tokens].mean(0) * model.transformer.ln_f.weight
    with torch.no_grad():
        block.c_fc.weight[:, 7], block.c_fc.bias[7] = 0.0, 3.0
        block.c_proj.weight[7] = 2 * towards / towards.norm()
    return of


def test_gates_are_closed_and_open_as_often_as_the_distribution_says() -> None:
    uniform = (torch.arange(100_000) + 0.5) / 100_000
    for value in (-3.0, 0.0, 2.0):
        gates = sample_gates(torch.tensor(value), uniform)
        # By the definition: s = sigmoid((log u - log(1-u) + log alpha) / beta), stretched to (-0.1, 1.1) and clipped.
        u = uniform.double().numpy()
        s = 1 / (1 + np.exp(-(np.log(u / (1 - u)) + value) / (2 / 3)))
        np.testing.assert_allclose(gates.numpy(), np.clip(1.2 * s - 0.1, 0, 1), atol=1e-4)
        share = float((gates == 0).double().mean())
        assert share == pytest.approx(float(closed_probability(torch.tensor(value))), abs=1e-4)


def test_the_divergence_of_kept_tokens_is_the_whole_one_or_a_little_less() -> None:
    logits, other = torch.randn(2, 6, 50, generator=torch.Generator().manual_seed(0))
    whole = kl_of_logits(logits, other)
    log_p, log_q = logits.log_softmax(-1), other.log_softmax(-1)
    np.testing.assert_allclose(divergence(log_p, log_q).numpy(), whole, atol=1e-4)
    kept = log_p.topk(10).indices
    less = divergence(log_p.gather(1, kept), log_q.gather(1, kept)).numpy()
    assert (less <= whole + 1e-6).all()
    assert (less > 0).all()


@pytest.mark.parametrize("site", ["mlp", "head", "residual"])
def test_a_training_ranks_every_neuron_of_a_site(site: str) -> None:
    of = tiny_input("llama", site)
    ranking = rank(of, "gates", {"steps": 2, "batch": 2, "candidates": 4})
    layers, width = of.loaded.map.shapes[site]
    assert len(ranking) == layers * width
    assert np.isfinite(ranking["score"]).all()


def test_a_planted_neuron_is_found() -> None:
    of = planted()
    found = training(of, GateParams(steps=40, batch=3, keep=1.0, learning_rate=0.5))
    log_alpha = found.run()
    assert ALL[int(log_alpha.argmin())].tolist() == [1, 7]
    assert log_alpha[1 * 48 + 7] < 0, "its gate is closed"
    assert found.history[-1]["forget"] > found.history[0]["forget"]


def test_a_training_that_was_stopped_goes_on_to_the_same_gates(tmp_path: Path) -> None:
    whole = training(tiny_input("llama"))
    expected = whole.run()
    of = replace(tiny_input("llama"), folder=tmp_path)
    for step in (7, 9):
        listener = StopsAt(step)
        with pytest.raises(Stopped):
            training(of, progress=listener).run()
        assert (tmp_path / CHECKPOINT).is_file()
    trained = [update.done for update in listener.heard if update.task.startswith(TASK)]
    assert trained == [7, 8, 9], "it went on where it was stopped"
    last = training(of)
    np.testing.assert_array_equal(last.run(), expected)
    assert last.history == whole.history == read_history(tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_checkpoint_of_another_training_is_not_used(tmp_path: Path) -> None:
    of = replace(tiny_input("llama"), folder=tmp_path)
    with pytest.raises(Stopped):
        training(of, progress=StopsAt(6)).run()
    other = replace(tiny_input("llama", seed=1), folder=tmp_path)
    expected = training(replace(other, folder=None)).run()
    np.testing.assert_array_equal(training(other).run(), expected)


def test_the_model_is_left_as_it_was_and_the_time_is_said_first() -> None:
    of = tiny_input("llama")
    before = {name: value.clone() for name, value in of.loaded.model.state_dict().items()}
    heard = list[Progress]()
    found = training(of, GateParams(steps=3, batch=2), heard.append)
    found.run()
    first = next(update for update in heard if update.task.startswith(TASK))
    assert first.done == 0
    assert "about" in first.task
    assert found.expected_seconds > 0
    assert all(torch.equal(value, before[name]) for name, value in of.loaded.model.state_dict().items())
    assert all(p.grad is None for p in of.loaded.model.parameters())


def test_a_step_that_does_not_fit_is_made_in_parts_with_the_same_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    of = tiny_input("llama")
    expected = training(of, GateParams(steps=4, batch=3))
    whole = expected.run()
    small, sizes = training(of, GateParams(steps=4, batch=3)), list[int]()
    losses = small._losses

    def two_at_most(batch: TokenBatch, gates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(batch.ids) > 2:
            raise RuntimeError("CUDA out of memory.")
        sizes.append(len(batch.ids))
        return losses(batch, gates)

    monkeypatch.setattr(small, "_losses", two_at_most)
    np.testing.assert_allclose(small.run(), whole, rtol=1e-4, atol=1e-5)
    assert len(sizes) >= 4 * 3, "six sentences a step, two at most side by side"
    for step, other in zip(expected.history, small.history, strict=True):
        assert other == pytest.approx(step, rel=1e-4, abs=1e-5)


def test_a_step_whose_concept_words_begin_their_texts_goes_on() -> None:
    of = tiny_input("llama")
    first = LabelledText("chair near the window", ((0, 5),))  # nothing stands before it to predict it from
    found = training(replace(of, items=[*of.items, first]), GateParams(steps=8, batch=1))
    assert np.isfinite(found.run()).all()
    nothing = [step for step in found.history if step["forget"] == 0]
    assert 0 < len(nothing) < 8


def test_half_precision_gives_nearly_the_same_gates() -> None:
    of = tiny_input("llama")
    full = training(of, GateParams(steps=4, batch=3)).run()
    half = training(of, GateParams(steps=4, batch=3, precision="bfloat16")).run()
    assert np.corrcoef(full, half)[0, 1] > 0.9


def test_a_run_that_was_stopped_while_it_ranked_goes_on_with_its_gates(tmp_path: Path) -> None:
    probing = {"ranker": "gates", "ranker_parameters": {"steps": 6, "batch": 2}}
    config = write_experiment(tmp_path, neural_probing=probing)
    run = create_run(build_config(read_config_values(config), origin=str(config)), tmp_path / "runs")
    with pytest.raises(Stopped):
        execute(run, StopsAt(3), until="rank")
    assert run.status()["state"] == "stopped"
    listener = StopsAt(-1)
    execute(run, listener, until="rank")
    trained = [update.done for update in listener.heard if update.task.startswith(TASK)]
    assert trained == [3, 4, 5, 6]
    assert len(RunContext(run).ranking) == 3 * 48
    assert len(run.ranking_history()) == 6


def test_a_new_training_begins_without_the_history_of_the_one_before(tmp_path: Path) -> None:
    of = replace(tiny_input("llama"), folder=tmp_path)
    training(of).run()
    assert len(read_history(tmp_path)) == SHORT.steps
    with pytest.raises(Stopped):
        training(of, GateParams(steps=5, batch=2), StopsAt(0)).run()
    assert read_history(tmp_path) == []
