"""The part `losses`: how well each text of the material is predicted, and how far the predictions are from the base's.

Each set of texts is measured token by token under the whole text before it, as in likelihood.py; the divergence is
KL(base || state) over the whole vocabulary (divergence.py), of texts without the concept's words only.

Without a model that never knew, *forgotten* is where the concept's words are as unlikely as behind text that has
nothing to do with them: the base's loss on each statement's concept word after as many words of a sentence without the
concept. It keeps the words' frequency and takes away everything that the text before them says.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from unlearning_core.concepts.labelling import LabelledText, label_text
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.divergence import divergences
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.measurement import Kind, Measurement, nll_delta
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback

Item = TypeVar("Item")

SETS = ("statements", "sentences", "retain", "neighbour", "other_sense", "other_text")
"""The sets of texts, as `losses` names them."""

READABLE = 6.0
"""Nats a token up to which the base is said to read a text: SmolLM2 has 3.9 on the shipped English, SmallWorld 13."""

BOOTSTRAP = 2000
"""Draws of a bootstrap interval."""


def measure_losses(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """Loss and divergence of every text.

    Returns:
        `losses`: a row a text with `set`, the columns of `Measurement.sentences`, and `kl_nats`, `kl_tokens` (NaN
        where the text holds the concept's words). Of the base also `reference`: a row a statement with
        `concept_tokens`, `concept_nats` of its word behind unrelated text.
    """
    parts = []
    for name, items in _sets(material, settings, subject.seed).items():
        if not items:
            continue
        rows = Meter(subject.loaded, items, needed=()).measure(progress=_named(f"measuring {name}", progress)).sentences
        parts.append(rows.assign(set=name, **_divergence(subject, items, progress)))
    frames = {"losses": pd.concat(parts, ignore_index=True)}
    if subject.state == "base":
        frames["reference"] = unrelated(subject.loaded, material, settings, subject.seed, progress)
    return frames


def _sets(material: Material, settings: ProofSection, seed: int) -> dict[str, list[LabelledText]]:
    sense = [label_text(text, material.matcher) for text in some(material.other_sense, settings.max_texts, seed)]
    return {
        "statements": some(material.statements, settings.max_statements, seed),
        "sentences": list(material.sentences),
        "retain": [LabelledText(text) for text in some(material.retain, settings.max_texts, seed)],
        "neighbour": [LabelledText(text) for text in some(material.neighbour, settings.max_texts, seed)],
        "other_sense": [item for item in sense if item.spans],
        "other_text": [LabelledText(text) for text in some(material.other_text, settings.max_texts, seed)],
    }


def some(items: Sequence[Item], most: int, seed: int) -> list[Item]:
    """At most so many, drawn by the seed, in their order."""
    chosen = np.random.default_rng(seed).permutation(len(items))[:most]
    return [items[index] for index in sorted(chosen)]


def _divergence(subject: Subject, items: Sequence[LabelledText], progress: ProgressCallback) -> dict[str, np.ndarray]:
    without = [number for number, item in enumerate(items) if not item.spans]
    nats, tokens = np.full(len(items), np.nan), np.zeros(len(items), np.int64)
    if without and subject.state == "base":
        nats[without] = 0.0
        tokens[without] = 1
    elif without:
        found = divergences(
            subject.base, subject.loaded, [items[number].text for number in without],
            progress=_named("comparing with the base", progress),
        )  # fmt: skip
        nats[without], tokens[without] = found["nats"], found["tokens"]
    return {"kl_nats": nats, "kl_tokens": tokens}


def unrelated(
    base: LoadedModel, material: Material, settings: ProofSection, seed: int, progress: ProgressCallback
) -> pd.DataFrame:
    """The base's loss on each statement's concept word behind the beginning of a sentence without the concept.

    Returns:
        A row a statement, in the order of `losses`: `text`, `concept_tokens`, `concept_nats`; no row at all where there
        is no sentence without the concept.
    """
    items = behind_unrelated(some(material.statements, settings.max_statements, seed), material, seed)
    if not items:
        return pd.DataFrame({"text": [], "concept_tokens": [], "concept_nats": []})
    meter = Meter(base, items, needed=["concept"])
    found = meter.measure(progress=_named("measuring unrelated text", progress))
    return found.sentences[["text", "concept_tokens", "concept_nats"]]


def behind_unrelated(statements: Sequence[LabelledText], material: Material, seed: int) -> list[LabelledText]:
    """Each statement's first concept word behind as many words of a sentence that has nothing to do with it.

    Those are the beginnings of sentences without the concept, else of text of another kind; where there is neither, or
    no statement, nothing is returned.
    """
    without = [item.text.split() for item in material.sentences if not item.spans]
    without = [words for words in without if len(words) > 1] or [text.split() for text in material.other_text]
    if not without:
        return []
    draw, items = np.random.default_rng(seed), []
    for item in statements:
        start, end = item.spans[0]
        lead = without[draw.integers(len(without))][: max(3, len(item.text[:start].split()))]
        before = " ".join(lead)
        items.append(
            LabelledText(f"{before} {item.text[start:end]}", ((len(before) + 1, len(before) + 1 + end - start),))
        )
    return items


def measured(frames: Frames, name: str) -> Measurement | None:
    """One set of the part's losses; None where it has no text."""
    rows = frames["losses"]
    rows = rows[rows["set"] == name].reset_index(drop=True)
    if "neighbour_tokens" in rows and rows["neighbour_tokens"].isna().all():
        rows = rows[[column for column in rows if not str(column).startswith(("neighbour_", "rest_"))]]
    return Measurement(rows) if len(rows) else None


def loss(frames: Frames, name: str, kind: Kind) -> Estimate | None:
    """Mean loss of the tokens of a kind in a set."""
    found = measured(frames, name)
    return found.nll(kind) if found is not None and kind in found.kinds and found.tokens(kind) else None


def change(base: Frames, after: Frames, name: str, kind: Kind) -> Estimate | None:
    """Change of that loss against another state, paired by text.

    Of text of another kind None where the base cannot read it (`READABLE`): how much worse another model is at guessing
    what both do not know says nothing of what was lost.
    """
    before, now = measured(base, name), measured(after, name)
    if before is None or now is None or kind not in now.kinds or not now.tokens(kind):
        return None
    if name == "other_text" and before.nll(kind).value > READABLE:
        return None
    return nll_delta(before, now, kind)


def divergence(after: Frames, name: str) -> Estimate | None:
    """Mean KL(base || state) a token in a set's texts without the concept."""
    rows = after["losses"]
    rows = rows[(rows["set"] == name) & rows["kl_nats"].notna()]
    return ratio_estimate(rows["kl_nats"].to_numpy(float), rows["kl_tokens"].to_numpy()) if len(rows) else None


def gap_closed(base: Frames, after: Frames, reference: pd.DataFrame) -> Estimate | None:
    """(state - base) / (reference - base) of the concept's loss on the statements: 0 as the base, 1 as never known.

    The interval is the percentile bootstrap (Efron and Tibshirani, 1993, chapter 13) over statements, which are drawn
    together for the three models.

    Args:
        reference: a row a statement, in the same order: `concept_tokens`, `concept_nats`.

    Raises:
        InputError: the three were measured on different statements.
    """
    before, now = measured(base, "statements"), measured(after, "statements")
    if before is None or now is None or not len(reference):
        return None
    rows = [before.sentences, now.sentences, reference]
    if len({len(one) for one in rows}) > 1:
        raise InputError(
            "The gap to never-knew was measured on different statements. Run `unlearn evaluate` again: they are "
            "measured anew."
        )
    nats, tokens = (np.stack([one[f"concept_{what}"].to_numpy(float) for one in rows]) for what in ("nats", "tokens"))

    def gap(chosen: np.ndarray) -> np.ndarray:
        means = nats[:, chosen].sum(-1) / np.maximum(tokens[:, chosen].sum(-1), 1)
        # A draw in which the reference does not lie above the base says nothing.
        apart = np.where(means[2] > means[0], means[2] - means[0], np.nan)
        return (means[1] - means[0]) / apart

    value = float(gap(np.arange(nats.shape[1])))
    draws = gap(np.random.default_rng(0).integers(nats.shape[1], size=(BOOTSTRAP, nats.shape[1])))
    if np.isnan(value) or nats.shape[1] < 2 or np.isnan(draws).mean() > 0.05:
        return Estimate(value)
    low, high = np.nanpercentile(draws, (2.5, 97.5))
    return Estimate(value, float(np.nanstd(draws, ddof=1)), (float(low), float(high)))


def _named(task: str, progress: ProgressCallback) -> ProgressCallback:
    return lambda update: progress(Progress(task, update.done, update.total, update.unit))
