"""The loop of the methods that train: schedule, order of texts, what stays cut, what a stop leaves."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_models import tiny
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.errors import Stopped, WorkFailed
from unlearning_core.methods.fine_tuning import likelihood_objective
from unlearning_core.methods.gradient_ascent import forget_loss
from unlearning_core.progress import Progress, silent
from unlearning_core.training import unlearn
from unlearning_core.training.data import CutNeurons
from unlearning_core.training.unlearn import CHECKPOINT, Budget, Corpus, Result, Training, fit


def corpus(seed: int, texts: int = 7) -> Corpus:
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 9, texts)
    return Corpus([random.integers(1, 300, n) for n in lengths], [np.ones(n - 1, bool) for n in lengths])


def training(folder: Path, loaded=None, *, progress=silent, steps: int = 6, rate: float = 1e-3, edits=()) -> Training:
    loaded = loaded or tiny("llama")
    forget, retain = corpus(1), corpus(2)
    objective = likelihood_objective(forget_loss, 1.0, needs_reference=False)(loaded, forget)
    return Training(
        loaded, forget, retain, objective, list(loaded.model.parameters()), Budget(steps, 3, rate), 0, edits, folder,
        "this one", "training", progress,
    )  # fmt: skip


def weights(loaded) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in loaded.model.parameters()])


def stop_before(step: int):
    def progress(update: Progress) -> None:
        if update.done == step:
            raise Stopped("enough")

    return progress


def test_the_learning_rate_rises_over_a_tenth_of_the_steps_and_falls_to_nothing() -> None:
    rates = [Budget(20, 1, 1.0).rate(step) for step in range(20)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    np.testing.assert_allclose(np.diff(rates[2:]), -1 / 18)
    assert rates[-1] == pytest.approx(1 / 18)


def test_each_text_comes_once_before_any_comes_again() -> None:
    texts = corpus(0, 5)
    drawn = [index for step in range(10) for index in texts.drawn(2, step, (3,))]
    assert all(sorted(drawn[start : start + 5]) == list(range(5)) for start in range(0, 20, 5))
    assert drawn[:5] != drawn[5:10]
    assert drawn != [index for step in range(10) for index in texts.drawn(2, step, (4,))]
    assert sorted(texts.drawn(64, 0, (3,))) == list(range(5))  # more than there are


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, halves = tiny("llama"), tiny("llama")
    expected = fit(training(tmp_path / "whole", whole))
    folder = tmp_path / "halves"
    with pytest.raises(Stopped):
        fit(training(folder, halves, progress=stop_before(4)))
    assert (folder / CHECKPOINT).is_file()
    again = tiny("llama")
    found = fit(training(folder, again))
    assert found.steps_here == 2
    assert torch.equal(weights(again), weights(whole))
    assert (found.forget, found.retain) == (expected.forget, expected.retain)
    assert not (folder / CHECKPOINT).exists()


def test_a_checkpoint_of_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(training(tmp_path, progress=stop_before(4)))
    other = training(tmp_path)
    found = fit(Training(**{**vars(other), "made_from": "another"}))
    assert found.steps_here == 6


def test_a_checkpoint_is_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlearn, "SAVE_EVERY_SECONDS", -1.0)
    seen = []
    fit(training(tmp_path, progress=lambda update: seen.append((update.done, (tmp_path / CHECKPOINT).is_file()))))
    assert dict(seen) == {0: False, 6: True} | dict.fromkeys(range(1, 6), True)


def test_the_loss_falls_and_only_what_is_trained_changes(tmp_path: Path) -> None:
    loaded = tiny("gpt2")
    whole = training(tmp_path, loaded, steps=20)
    trained = [loaded.map.parts("mlp", 1)[0].weight]
    before = {name: parameter.detach().clone() for name, parameter in loaded.model.named_parameters()}
    result: Result = fit(Training(**{**vars(whole), "trained": trained}))
    assert result.forget[-1] < result.forget[0]
    changed = [name for name, old in before.items() if not torch.equal(old, loaded.model.get_parameter(name))]
    assert changed == ["transformer.h.1.mlp.c_proj.weight"]
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())


def test_what_a_recipe_cuts_stays_cut(tmp_path: Path) -> None:
    loaded = tiny("llama")
    mask = Mask.from_neurons(loaded.map.shapes, [("mlp", 1, 5), ("head", 0, 2)])
    Recipe(mask, "tiny", {}, 0.1).save(tmp_path / "recipe")
    cut = CutNeurons(loaded.model, tmp_path / "recipe", loaded.map)
    cut.write()
    fit(training(tmp_path, loaded, edits=[cut]))
    assert not loaded.map.parts("mlp", 1)[0].column(5).any()
    loaded.model.save_pretrained(tmp_path / "model")
    assert cut.undone(tmp_path / "model") == 0


def test_a_loss_that_is_no_number_ends_it_with_a_sentence(tmp_path: Path) -> None:
    one = training(tmp_path)
    broken = Training(**{**vars(one), "objective": lambda forget, retain: (torch.tensor(torch.nan),) * 2})
    with pytest.raises(WorkFailed, match=r"step 1 of 6\): the learning rate 0.001 is too large"):
        fit(broken)
