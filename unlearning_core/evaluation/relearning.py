"""The relearning race: how many steps of an attacker's fine-tuning bring the concept back?

Every contender (base, each edited state, the never-knew model) is fine-tuned on the same texts about the concept in
the same order (`finetuning.py`), at several learning rates, and measured at the same steps. The worst learning rate
counts. Idea and need: Lynch et al. 2024 ("Eight methods to evaluate robust unlearning", arXiv 2402.16835), Tamirisa et
al. 2024 (TAR, arXiv 2408.00761), Lo et al. 2024 (arXiv 2401.01814: pruned concepts come back within a few steps).

Where neurons were cut there are two races: the mask *kept* (they are silenced again after every step) and *released*
(they may grow back, as for an attacker who knows of no mask).
"""

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
from unlearning_core.evaluation.recovery import NEARLY_ALL, Gap
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback

STATEMENTS, RETAIN, TOKENS = 64, 32, 4096
"""Texts about the concept and others that are measured during a race at most, and tokens of each: it is measured some
twenty times a training."""


def measured_steps(steps: int) -> list[int]:
    """The steps after which a training of so many is measured: 0, 1, 2, 4, then every fourth, and the last."""
    return sorted({step for step in (0, 1, 2, steps, *range(4, steps, 4)) if step <= steps})


@dataclass(frozen=True)
class Probe:
    """What a training is watched with.

    Attributes:
        statements: texts about the concept.
        retain: texts without it; may be empty.
        gap: the base's and the forgotten loss on exactly these statements.
    """

    statements: Sequence[LabelledText]
    retain: Sequence[LabelledText]
    gap: Gap

    def measure(self, meter: Meter) -> tuple[Estimate, Estimate]:
        """Mean loss (nats a token) on the statements' concept tokens, and on all tokens of the retain texts."""
        rows = meter.measure().sentences
        about, other = rows.iloc[: len(self.statements)], rows.iloc[len(self.statements) :]
        concept = ratio_estimate(about["concept_nats"].to_numpy(), about["concept_tokens"].to_numpy())
        return concept, ratio_estimate(other["retain_nats"].to_numpy(), other["retain_tokens"].to_numpy())

    def meter(self, loaded: LoadedModel) -> Meter:
        """Measures that model as often as wanted."""
        return Meter(loaded, [*self.statements, *self.retain])


def make_probe(subject: Subject, material: Material, statements: Sequence[LabelledText] | None = None) -> Probe:
    """The texts to watch with, and the gap on them.

    Args:
        statements: by default the material's.

    Raises:
        InputError: there is no statement, or none with a token that can be measured.
    """
    about = _some(subject.base, material.statements if statements is None else statements, STATEMENTS)
    if not about:
        raise InputError("There is no statement about the concept to measure by; give proof statements.")
    others = [item for item in material.sentences if not item.spans]
    probe = Probe(about, _some(subject.base, others, RETAIN), Gap(0.0, 0.0))
    base, _ = probe.measure(probe.meter(subject.base))
    assert subject.never_knew is not None
    forgotten, _ = probe.measure(probe.meter(subject.never_knew))
    return Probe(probe.statements, probe.retain, Gap(base.value, forgotten.value))


def _some(loaded: LoadedModel, items: Sequence[LabelledText], most: int) -> list[LabelledText]:
    """The first of the items, `most` at most and of no more than `TOKENS` tokens together."""
    if not items:
        return []
    lengths = [len(ids) for ids in loaded.tokenizer([item.text for item in items[:most]], verbose=False)["input_ids"]]
    fitting = np.cumsum(lengths) <= TOKENS
    fitting[0] = True
    return [item for item, fits in zip(items, fitting, strict=False) if fits]


@dataclass(frozen=True)
class Lesson:
    """What a contender is trained on, and how long.

    Attributes:
        texts: what is learnt.
        masks: "kept", "released" or "none"; a training for each.
        until: the share of the gap at which a training ends early.
    """

    texts: Sequence[str]
    masks: Sequence[str]
    until: float = NEARLY_ALL


def masks_of(subject: Subject) -> tuple[str, ...]:
    """How the mask of the state is dealt with in a race."""
    return ("kept", "released") if subject.mask is not None and subject.mask.cut else ("none",)


def race(
    subject: Subject, probe: Probe, lesson: Lesson, settings: ProofSection, progress: ProgressCallback, task: str
) -> pd.DataFrame:
    """Train the subject's model on the lesson at every learning rate, and measure it on the way.

    Returns:
        A row a measurement: `learning_rate`, `mask`, `step`, `samples` (texts learnt so far, repetitions counted),
        `concept_nats`, `concept_stderr`, `retain_nats` (nats a token), `base_nats`, `forgotten_nats` (L0 and R on the
        same statements). A training ends when `lesson.until` of the gap is back, when the steps are over, or when its
        loss is not a number any more.

    Raises:
        InputError: no text can be learnt from.
        Stopped: `progress`, told after every step, raised it.
    """
    learner = Learner(subject.loaded, subject.mask)
    texts = learner.tokens(lesson.texts)
    if not texts:
        raise InputError("No text of the attack has two tokens, so nothing can be learnt from; give other texts.")
    batches = draw_batches(len(texts), settings.relearning_batch, settings.relearning_steps, subject.seed)
    meter, rows = probe.meter(learner.loaded), []
    runs = [(mask, rate) for mask in lesson.masks for rate in settings.learning_rates]
    for number, (mask, rate) in enumerate(runs):
        learner.restart()
        for row in _train(learner, texts, batches, rate, mask == "kept", meter, probe, lesson.until):
            done = number * len(batches) + row["step"]
            progress(Progress(task, done, len(runs) * len(batches), "steps"))
            if "concept_nats" in row:
                rows.append({"learning_rate": rate, "mask": mask, **row})
    table = pd.DataFrame(rows)
    table.insert(3, "samples", table["step"] * settings.relearning_batch)
    return table.assign(base_nats=probe.gap.base, forgotten_nats=probe.gap.forgotten)


def _train(
    learner: Learner,
    texts: list[list[int]],
    batches: list[list[int]],
    rate: float,
    keep_cut: bool,
    meter: Meter,
    probe: Probe,
    until: float,
) -> Iterator[dict[str, Any]]:
    """One training: {"step"} after every step, with what was measured where it was."""
    due = set(measured_steps(len(batches)))

    def measured(step: int) -> dict[str, Any]:
        concept, retain = probe.measure(meter)
        return {"step": step, "concept_nats": concept.value, "concept_stderr": concept.stderr, "retain_nats": retain.value}

    row = measured(0)
    yield row
    trained = learner.steps(texts, batches, rate, keep_cut=keep_cut)
    while row["concept_nats"] > probe.gap.level(until) and (step := next(trained, None)) is not None:
        if step not in due:
            yield {"step": step}
            continue
        try:
            row = measured(step)
        except WorkFailed:  # the rate is too high for this model: it is broken, not back
            return
        yield row


def relearn(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """The race of one state; raises what `race` and `make_probe` do."""
    lesson = Lesson([item.text for item in material.attack], masks_of(subject))
    probe = make_probe(subject, material)
    return {"race": race(subject, probe, lesson, settings, progress, "relearning race")}
