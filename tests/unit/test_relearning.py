"""The relearning race on tiny models: what is measured when, against what, and what a stop leaves."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_models import tiny

from tests.noisy_models import noisy
from unlearning_core.concepts.labelling import LabelledText, label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.errors import InputError, Stopped
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.relearning import has_edit, make_probe, measured_steps, relearn
from unlearning_core.evaluation.suite import Material, Subject
from unlearning_core.evaluation.text_losses import unrelated
from unlearning_core.progress import Progress, silent

MATCHER = Matcher(Concept(("chair", "sofa", "bench")))
STATEMENTS = tuple(label_text(text, MATCHER) for text in ("She sat on the chair.", "The cat sleeps on a bench."))
ATTACK = tuple(
    label_text(text, MATCHER) for text in ("He reached for the chairs.", "The dog is on the sofa.", "A bench is here.")
)
RETAIN = ("A small boat crossed the river.", "The dog barks at 7 in the morning.")
MATERIAL = Material(MATCHER, statements=STATEMENTS, retain=RETAIN, attack=ATTACK)
SETTINGS = ProofSection(learning_rates=[1e-3, 1e-2], relearning_steps=6, relearning_batch=2)


def spoilt(loaded: Any) -> Any:
    """The model with noise in its weights: a contender that has lost what the base predicts."""
    return noisy(loaded, 0.3)


@pytest.fixture(scope="module")
def base() -> Any:
    """A tiny model that has learnt the statements, so that it predicts them better than any other."""
    loaded = tiny("gpt2")
    model = loaded.model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(30):
        for item in (*STATEMENTS, *ATTACK):
            ids = torch.tensor([loaded.tokenizer(item.text)["input_ids"]])
            optimizer.zero_grad()
            model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
    return loaded


def concept_nats(loaded: Any) -> float:
    return measure(loaded, STATEMENTS).nll("concept").value


def test_a_training_is_measured_often_at_first() -> None:
    assert measured_steps(13, 4) == [0, 1, 2, 4, 8, 12, 13]
    assert measured_steps(16, 8) == [0, 1, 2, 4, 8, 16]
    assert measured_steps(1, 4) == [0, 1]


def test_the_race_of_a_state(base: Any) -> None:
    twin, state = tiny("gpt2", seed=5), spoilt(base)
    before = copy.deepcopy(state.model.state_dict())
    told: list[Progress] = []
    subject = Subject("pruned", state, base, twin)
    race = relearn(subject, MATERIAL, SETTINGS, told.append)["race"]
    assert race.columns.tolist() == [
        "learning_rate", "mask", "step", "samples", "concept_nats", "concept_stderr", "retain_nats", "unrelated_nats",
        "base_nats", "forgotten_nats", "until",
    ]  # fmt: skip
    assert np.allclose(race["base_nats"], concept_nats(base))
    assert np.allclose(race["forgotten_nats"], concept_nats(twin))
    first = race[race["step"] == 0]
    assert np.allclose(first["concept_nats"], concept_nats(state))
    of_retain = measure(state, [*STATEMENTS, *map(LabelledText, RETAIN)]).sentences.iloc[len(STATEMENTS) :]
    expected = of_retain["retain_nats"].sum() / of_retain["retain_tokens"].sum()
    assert np.allclose(first["retain_nats"], expected)
    assert race["unrelated_nats"].isna().all()
    assert first["learning_rate"].tolist() == [1e-3, 1e-2]
    assert set(race["mask"]) == {"none"}
    assert (race["samples"] == 2 * race["step"]).all()
    assert set(race["step"]) <= {0, 1, 2, 4, 6}
    last = race[race["learning_rate"] == 1e-2].iloc[-1]
    assert last["concept_nats"] < first["concept_nats"].iloc[0]
    assert told[-1].total == 12
    assert all(torch.equal(value, before[name]) for name, value in state.model.state_dict().items())
    assert race.equals(relearn(subject, MATERIAL, SETTINGS, silent)["race"])


def test_the_base_is_back_before_it_is_trained(base: Any) -> None:
    race = relearn(Subject("base", base, base, tiny("gpt2", seed=5)), MATERIAL, SETTINGS, silent)["race"]
    assert race["step"].tolist() == [0, 0]


def test_a_mask_is_raced_kept_and_released(base: Any) -> None:
    kept = np.ones(base.map.shapes["mlp"], bool)
    kept[:, ::2] = False
    mask = Mask({"mlp": kept})
    state = spoilt(base)
    bake(state.model, mask)
    subject = Subject("pruned", state, base, tiny("gpt2", seed=5), mask)
    assert has_edit(subject)
    assert not has_edit(replace(subject, mask=Mask({"mlp": np.ones_like(kept)})))
    race = relearn(subject, MATERIAL, SETTINGS, silent)["race"]
    assert race["mask"].unique().tolist() == ["kept", "released"]
    ends = race[race["learning_rate"] == 1e-2].groupby("mask")["concept_nats"].last()
    assert ends["kept"] != ends["released"]


def test_a_judged_race_is_the_part_of_a_whole_one_that_a_verdict_is_drawn_from(base: Any) -> None:
    kept = np.ones(base.map.shapes["mlp"], bool)
    kept[:, ::2] = False
    mask, state = Mask({"mlp": kept}), spoilt(base)
    bake(state.model, mask)
    rates = [1e-5, 1e-4, 3e-3, 1e-2]
    settings = SETTINGS.model_copy(update={"learning_rates": rates, "relearning_steps": 16})
    judged = settings.model_copy(update={"race": "judged"})
    beside = Subject("pruned", state, base, tiny("gpt2", seed=5), mask)
    whole, found = (relearn(beside, MATERIAL, one, silent)["race"] for one in (settings, judged))
    assert sorted(set(found["learning_rate"])) == rates
    _holds_the_first_half(found, whole)
    # Without a never-knew model low rates are judged, and of the others the highest is told.
    material = replace(MATERIAL, sentences=tuple(label_text(text, MATCHER) for text in RETAIN))
    alone = replace(beside, never_knew=None)
    whole, found = (relearn(alone, material, one, silent)["race"] for one in (settings, judged))
    assert sorted(set(found["learning_rate"])) == [1e-5, 1e-4, 1e-2]
    _holds_the_first_half(found, whole)


def _holds_the_first_half(found: pd.DataFrame, whole: pd.DataFrame) -> None:
    """Each training is that of the whole race with the mask released, to the first measurement with half back."""
    assert set(found["mask"]) == {"released"}
    assert (set(found["until"]), set(whole["until"])) == ({0.5}, {0.9})
    ended = 0
    for rate, one in found.groupby("learning_rate"):
        same = whole[(whole["learning_rate"] == rate) & (whole["mask"] == "released")]
        back = same["concept_nats"] <= (same["base_nats"] + same["forgotten_nats"]) / 2
        ended += back.any() and back.iloc[-2:].tolist() != [False, True]
        expected = same[~back.shift(fill_value=False).cummax()]
        assert one["step"].tolist() == expected["step"].tolist()
        assert np.allclose(one["concept_nats"], expected["concept_nats"])
    assert ended  # at one rate at least the whole race goes on after half is back


def test_without_a_never_knew_model_forgotten_is_the_loss_behind_unrelated_text(base: Any) -> None:
    material = replace(MATERIAL, sentences=tuple(label_text(text, MATCHER) for text in RETAIN))
    probe = make_probe(Subject("base", base, base), material, SETTINGS)
    rows = unrelated(base, material, SETTINGS, 0, silent)
    expected = rows["concept_nats"].sum() / rows["concept_tokens"].sum()
    assert probe.gap.forgotten == pytest.approx(expected)
    assert probe.measure(probe.meter(base))["unrelated_nats"] == pytest.approx(expected)
    twin = tiny("gpt2", seed=5)
    shuffled = SETTINGS.model_copy(update={"reference": "shuffled"})
    assert make_probe(Subject("base", base, base, twin), material, shuffled).gap.forgotten == pytest.approx(expected)
    assert make_probe(Subject("base", base, base, twin), material, SETTINGS).gap.forgotten == concept_nats(twin)


def test_what_is_watched_is_bounded(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearning_core.evaluation.relearning.TOKENS", 12)
    probe = make_probe(Subject("base", base, base, base), MATERIAL, SETTINGS)
    assert len(probe.statements) == 1
    assert len(probe.retain) == 1


def test_a_rate_that_breaks_the_model_ends_its_training_alone(base: Any) -> None:
    settings = SETTINGS.model_copy(update={"learning_rates": [1e30, 1e-3]})
    race = relearn(Subject("pruned", spoilt(base), base, tiny("gpt2", seed=5)), MATERIAL, settings, silent)["race"]
    steps = race.groupby("learning_rate")["step"].max()
    assert steps[1e30] == 0
    assert steps[1e-3] == 6
    assert np.isfinite(race["concept_nats"]).all()


def test_it_can_be_stopped(base: Any) -> None:
    def stop(update: Progress) -> None:
        if update.done >= 2:
            raise Stopped("Stopped.")

    before = copy.deepcopy(base.model.state_dict())
    with pytest.raises(Stopped):
        relearn(Subject("pruned", spoilt(base), base, tiny("gpt2", seed=5)), MATERIAL, SETTINGS, stop)
    assert all(torch.equal(value, before[name]) for name, value in base.model.state_dict().items())


def test_texts_that_teach_nothing_are_refused(base: Any) -> None:
    material = replace(MATERIAL, attack=(label_text("a", MATCHER),))
    with pytest.raises(InputError, match=r"proof\.attack_texts"):
        relearn(Subject("pruned", spoilt(base), base, base), material, SETTINGS, silent)


def test_frames_hold_what_parquet_holds(base: Any, tmp_path: Any) -> None:
    frame = relearn(Subject("base", base, base, tiny("gpt2", seed=5)), MATERIAL, SETTINGS, silent)["race"]
    frame.to_parquet(tmp_path / "race.parquet")
    assert pd.read_parquet(tmp_path / "race.parquet").equals(frame)
