"""The relearning race: how many steps of an attacker's fine-tuning bring the concept back?

Every contender (base, each edited state, the never-knew model) is fine-tuned on the same texts about the concept in
the same order (`finetuning.py`), at several learning rates, and measured at the same steps. The worst learning rate
counts. That pruned concepts come back within a few steps: Lo et al. 2024 (arXiv 2401.01814); relearning as a test of
unlearning: Lynch et al. 2024 (arXiv 2402.16835); several attackers and the worst of them: Tamirisa et al. 2024 (TAR,
arXiv 2408.00761).

Where neurons were cut or token rows moved there are two races: the mask *kept* (the edit is written again after every
step) and *released* (it may grow back, as for an attacker who knows of no edit).

A *judged* race (`ProofSection.race`) leaves out what no verdict is drawn from. Its trainings end when half of the gap
is back. The mask is released alone: at none of the rates tried (SmallWorld's and SmolLM2's retrained models, 1e-4 to
1e-3) was a model that had to keep its mask back earlier. And without a never-knew model, where gentle rates are judged,
only the highest of the others is run, which tells how soon it can come back.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.evaluation.finetuning import Learner, draw_batches
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.recovery import GENTLE, HALF, NEARLY_ALL, UNTIL, Gap
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.text_losses import behind_unrelated, some
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback

STATEMENTS, RETAIN, TOKENS = 48, 16, 4096
"""Texts about the concept and others that are watched at most, and tokens of each kind: a training is measured some
twenty times."""


def measured_steps(steps: int, every: int) -> list[int]:
    """After which of its steps a training is measured: 0, the first powers of 2, then every so many, and the last."""
    first = {2**power for power in range(every.bit_length()) if 2**power < every}
    return sorted({step for step in (0, *first, steps, *range(every, steps, every)) if step <= steps})


@dataclass(frozen=True)
class Probe:
    """What a model is watched with.

    Attributes:
        statements: texts about the concept.
        retain: texts without it; may be empty.
        unrelated: the statements' concept words behind unrelated text, where that is what forgotten means; else empty.
        gap: the base's and the forgotten loss on exactly these statements.
    """

    statements: Sequence[LabelledText]
    retain: Sequence[LabelledText]
    unrelated: Sequence[LabelledText]
    gap: Gap

    def meter(self, loaded: LoadedModel) -> Meter:
        """Makes the texts ready for that model, to be measured as often as wanted."""
        return Meter(loaded, [*self.statements, *self.retain, *self.unrelated], needed=["concept"])

    def measure(self, meter: Meter) -> dict[str, float]:
        """Mean losses, nats a token; NaN where there is no text.

        `concept_nats`, `concept_stderr`: of the statements' concept tokens. `retain_nats`: of all tokens of the texts
        without it. `unrelated_nats`: of the concept tokens behind unrelated text.
        """
        rows = meter.measure().sentences
        kinds = ("concept", "retain", "concept")
        ends = np.cumsum([len(self.statements), len(self.retain)])
        parts = zip(np.split(np.arange(len(rows)), ends), kinds, strict=True)
        concept, retain, unrelated = (_mean(rows.iloc[part], kind) for part, kind in parts)
        return {
            "concept_nats": concept.value, "concept_stderr": concept.stderr, "retain_nats": retain.value,
            "unrelated_nats": unrelated.value,
        }  # fmt: skip


def make_probe(
    subject: Subject, material: Material, settings: ProofSection, statements: Sequence[LabelledText] | None = None
) -> Probe:
    """The texts to watch with, and the gap on them.

    *Forgotten* is the never-knew model's loss, or, where there is none or the settings say so, the base's behind
    unrelated text (`text_losses.unrelated`).

    Args:
        statements: by default the material's.

    Raises:
        InputError: no token of the concept can be measured.
    """
    about = some(material.statements if statements is None else statements, STATEMENTS, subject.seed)
    about = _fitting(subject.base, about)
    retain = _fitting(subject.base, [LabelledText(text) for text in some(material.retain, RETAIN, subject.seed)])
    has_twin = subject.never_knew is not None and settings.reference != "shuffled"
    unrelated = [] if has_twin else behind_unrelated(about, material, subject.seed)
    probe = Probe(about, retain, unrelated, Gap(0.0, 0.0))
    base = probe.measure(probe.meter(subject.base))
    if has_twin:
        assert subject.never_knew is not None
        forgotten = probe.measure(probe.meter(subject.never_knew))["concept_nats"]
    else:
        forgotten = base["unrelated_nats"]
    return dataclasses.replace(probe, gap=Gap(base["concept_nats"], forgotten))


def _mean(rows: pd.DataFrame, kind: str) -> Estimate:
    return ratio_estimate(rows[f"{kind}_nats"].to_numpy(), rows[f"{kind}_tokens"].to_numpy())


def _fitting(loaded: LoadedModel, items: Sequence[LabelledText]) -> list[LabelledText]:
    """The first of the items that together have no more than `TOKENS` tokens; at least one of them."""
    found: list[LabelledText] = []
    tokens = 0
    for item in items:
        tokens += len(loaded.tokenizer(item.text, verbose=False)["input_ids"])
        if found and tokens > TOKENS:
            break
        found.append(item)
    return found


@dataclass(frozen=True)
class Lesson:
    """What a contender is trained on, and how long.

    Attributes:
        task: what a progress bar calls it.
        texts: what is learnt.
        masks: "kept", "released" or "none"; a training for each.
        rates: learning rates; a training for each.
        batch: texts a step.
        steps: of a training at most.
        every: steps between two measurements, after the first few.
        until: share of the gap; a training ends early where so much of it is back.
    """

    task: str
    texts: Sequence[str]
    masks: Sequence[str]
    rates: Sequence[float]
    batch: int
    steps: int
    every: int = 4
    until: float = NEARLY_ALL


def has_edit(subject: Subject) -> bool:
    """Whether neurons are cut in that state, or token rows moved."""
    return (subject.mask is not None and subject.mask.cut > 0) or subject.rows is not None


def race(subject: Subject, probe: Probe, lesson: Lesson, progress: ProgressCallback) -> pd.DataFrame:
    """Train the subject's model on the lesson at every learning rate, and measure it on the way.

    Returns:
        A row a measurement: `learning_rate`, `mask`, `step`, `samples` (texts learnt so far, repetitions counted),
        what `Probe.measure` gives, `base_nats`, `forgotten_nats` (the ends of the gap on the same statements),
        `until` (the lesson's). A training ends when that share of the gap is back, when the steps are over, or when a
        loss is not a number any more.

    Raises:
        InputError: no text can be learnt from.
        WorkFailed: the model gives no number before it is trained at all.
        Stopped: `progress`, told after every step, raised it.
    """
    learner = Learner(subject.loaded, subject.mask, subject.rows)
    texts = learner.tokens(lesson.texts)
    if not texts:
        raise InputError(
            f"The {len(lesson.texts)} texts of the attack ({lesson.task}) hold none of two tokens or more, so nothing "
            "can be learnt from them. Name others in proof.attack_texts or proof.attack_other_texts."
        )
    batches = draw_batches(len(texts), lesson.batch, lesson.steps, subject.seed)
    due, level = measured_steps(lesson.steps, lesson.every), probe.gap.level(lesson.until)
    watch = _Watch(learner, probe, probe.meter(learner.loaded), due, level)
    runs = [(mask, rate) for mask in lesson.masks for rate in lesson.rates]
    rows = []
    for number, (mask, rate) in enumerate(runs):
        learner.restart()
        for row in watch.training(texts, batches, rate, keep_cut=mask == "kept"):
            done = number * len(batches) + row["step"]
            progress(Progress(lesson.task, done, len(runs) * len(batches), "steps"))
            if len(row) > 1:
                rows.append({"learning_rate": rate, "mask": mask, **row})
    table = pd.DataFrame(rows)
    table.insert(3, "samples", table["step"] * lesson.batch)
    return table.assign(base_nats=probe.gap.base, forgotten_nats=probe.gap.forgotten, **{UNTIL: lesson.until})


@dataclass(frozen=True)
class _Watch:
    """A learner with what it is watched with."""

    learner: Learner
    probe: Probe
    meter: Meter
    due: Sequence[int]
    level: float

    def measured(self, step: int) -> dict[str, Any]:
        return {"step": step, **self.probe.measure(self.meter)}

    def training(
        self, texts: list[list[int]], batches: list[list[int]], rate: float, *, keep_cut: bool
    ) -> Iterator[dict[str, Any]]:
        """One training: {"step"} after every step, with what was measured where it was."""
        row = self.measured(0)
        yield row
        steps = self.learner.steps(texts, batches, rate, keep_cut=keep_cut)
        while not row["concept_nats"] <= self.level and (step := next(steps, None)) is not None:
            if step not in self.due:
                yield {"step": step}
                continue
            try:
                row = self.measured(step)
            except WorkFailed:  # the rate is too high for this model: it is broken, not back
                return
            yield row


def relearn(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """The race of one state, as the frame `race`; raises what `race` and `make_probe` do."""
    judged, rates = settings.race == "judged", settings.learning_rates
    if judged and subject.never_knew is None:
        rates = [rate for rate in rates if rate <= GENTLE or rate == max(rates)]
    masks = (("released",) if judged else ("kept", "released")) if has_edit(subject) else ("none",)
    lesson = Lesson(
        "relearning the concept", [item.text for item in material.attack], masks, rates, settings.relearning_batch,
        settings.relearning_steps, until=HALF if judged else NEARLY_ALL,
    )  # fmt: skip
    return {"race": race(subject, make_probe(subject, material, settings), lesson, progress)}
