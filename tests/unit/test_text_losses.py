"""The part of an evaluation that measures losses: by hand, the gap to never-knew, and what stands in for it."""

import numpy as np
import pandas as pd
import pytest

from tests.losses_by_hand import losses_by_hand
from tests.tiny_models import tiny
from unlearning_core.concepts.labelling import LabelledText, label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation import text_losses
from unlearning_core.evaluation.divergence import divergences
from unlearning_core.evaluation.suite import Material, Subject
from unlearning_core.progress import silent

MATCHER = Matcher(Concept(("chair", "bench")))
ABOUT = ["Anna sat on the chair.", "The old bench is near the river.", "A chair and a bench stand here."]
OTHER = ["Ben looked at the garden.", "The song is old."]


def material() -> Material:
    labelled = [label_text(text, MATCHER) for text in (*ABOUT, *OTHER)]
    return Material(
        MATCHER, sentences=tuple(labelled), statements=tuple(labelled[:3]), retain=tuple(OTHER),
        other_sense=("The chair opened the meeting.", "No such word here."), other_text=("The clock is there.",),
    )  # fmt: skip


def measured(state: str = "pruned") -> tuple[dict[str, pd.DataFrame], Subject]:
    base, other = tiny("gpt2"), tiny("llama")
    subject = Subject(state, base if state == "base" else other, base)
    if state != "base":  # another model of the same vocabulary
        subject = Subject(state, other, other)
    return text_losses.measure_losses(subject, material(), ProofSection(), silent), subject


def test_every_set_is_measured_token_by_token() -> None:
    frames, subject = measured()
    rows = frames["losses"]
    assert rows["set"].value_counts().to_dict() == {
        "sentences": 5, "statements": 3, "retain": 2, "other_sense": 1, "other_text": 1,
    }  # fmt: skip
    by_hand = losses_by_hand(subject.loaded, [label_text(text, MATCHER) for text in ABOUT])
    found = rows[rows["set"] == "statements"]
    assert found[["concept_tokens", "concept_nats"]].to_numpy(float) == pytest.approx(
        by_hand["concept"][:, :2], rel=1e-4
    )
    loss = text_losses.loss(frames, "statements", "concept")
    assert loss is not None
    assert loss.value == pytest.approx(by_hand["concept"][:, 1].sum() / by_hand["concept"][:, 0].sum(), rel=1e-4)
    assert text_losses.loss(frames, "neighbour", "retain") is None


def test_the_divergence_is_of_texts_without_the_concept_and_nothing_for_the_base() -> None:
    frames, subject = measured()
    rows = frames["losses"]
    assert rows[rows["set"] == "statements"]["kl_nats"].isna().all()
    found = divergences(subject.base, subject.loaded, OTHER)
    value = text_losses.divergence(frames, "retain")
    assert value is not None
    assert value.value == pytest.approx(found["nats"].sum() / found["tokens"].sum())
    base, _ = measured("base")
    own = text_losses.divergence(base, "retain")
    assert own is not None
    assert own.value == 0


def test_unrelated_text_keeps_the_word_and_takes_away_what_leads_to_it() -> None:
    frames, subject = measured("base")
    reference = frames["reference"]
    assert len(reference) == len(ABOUT)
    for text, statement in zip(reference["text"], ABOUT, strict=True):
        word = "chair" if "chair" in statement else "bench"
        assert text.endswith(f" {word}")
        assert any(other.startswith(text.removesuffix(f" {word}")) for other in OTHER)
    items = [LabelledText(text, ((len(text) - 5, len(text)),)) for text in reference["text"]]
    by_hand = losses_by_hand(subject.loaded, items)["concept"]
    assert reference[["concept_tokens", "concept_nats"]].to_numpy(float) == pytest.approx(by_hand[:, :2], rel=1e-4)


def frames_of(nats: list[float]) -> dict[str, pd.DataFrame]:
    tokens = [2, 1, 1]
    rows = {
        "set": "statements", "text": ["a", "b", "c"], "concept_tokens": tokens, "concept_nats": nats,
        "concept_hits": 0, "retain_tokens": 4, "retain_nats": 1.0, "retain_hits": 0,
    }  # fmt: skip
    return {"losses": pd.DataFrame(rows)}


def test_the_gap_is_the_share_of_the_way_to_never_knew() -> None:
    base, after, twin = frames_of([2.0, 1.0, 1.0]), frames_of([4.0, 3.0, 2.0]), frames_of([12.0, 6.0, 6.0])["losses"]
    found = text_losses.gap_closed(base, after, twin)
    assert found is not None
    assert found.value == pytest.approx((9 / 4 - 1) / (6 - 1))
    draw, values = np.random.default_rng(3), []
    for _ in range(20_000):  # the same bootstrap, statement by statement
        chosen = draw.integers(3, size=3)
        nats = [sum([table[i] for i in chosen]) for table in ([2, 1, 1], [4, 3, 2], [12, 6, 6])]
        tokens = sum([2, 1, 1][i] for i in chosen)
        values.append((nats[1] / tokens - nats[0] / tokens) / (nats[2] / tokens - nats[0] / tokens))
    assert found.interval == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))), abs=0.02)
    for own, expected in ((base, 0.0), ({"losses": twin}, 1.0)):
        again = text_losses.gap_closed(base, own, twin)
        assert again is not None
        assert again.value == pytest.approx(expected)


def test_a_gap_over_other_statements_is_refused_and_one_without_reference_is_none() -> None:
    base, after = frames_of([2.0, 1.0, 1.0]), frames_of([4.0, 3.0, 2.0])
    with pytest.raises(InputError, match="different statements"):
        text_losses.gap_closed(base, after, base["losses"].iloc[:2])
    assert text_losses.gap_closed(base, after, base["losses"].iloc[:0]) is None


def test_a_reference_below_the_base_closes_no_gap() -> None:
    base = frames_of([2.0, 1.0, 1.0])
    found = text_losses.gap_closed(base, frames_of([4.0, 3.0, 2.0]), frames_of([1.0, 0.5, 0.5])["losses"])
    assert found is not None
    assert np.isnan(found.value)


def test_text_that_the_base_cannot_read_says_nothing_of_what_was_lost() -> None:
    for nats, readable in ((5.9, True), (6.1, False)):
        rows = {"set": "other_text", "text": ["a", "b"], "concept_tokens": 0, "concept_nats": 0.0, "concept_hits": 0,
                "retain_tokens": 10, "retain_nats": 10 * nats, "retain_hits": 0}  # fmt: skip
        base = {"losses": pd.DataFrame(rows)}
        worse = {"losses": pd.DataFrame(rows | {"retain_nats": 10 * nats + 5})}
        found = text_losses.change(base, worse, "other_text", "retain")
        assert (found is not None) == readable
        assert found is None or found.value == pytest.approx(0.5)
