"""Attacks that train: on some facts (to test on the others), on text without the concept, on text of another kind.

Each is the race of `relearning.py` with other texts; the frame `losses` is what that returns. The mask is released: an
attacker keeps no neuron cut. To be affordable beside the race each takes every second of its learning rates (from the
second on), half of its steps and half of its texts a step.
"""

from collections.abc import Sequence

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.fact_split import split_words, statements_on, taught_texts
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.relearning import Lesson, has_mask, make_probe, race
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.text_losses import READABLE, some
from unlearning_core.progress import ProgressCallback

LOOKED_AT = 16
"""Texts by which it is known whether the base can read a kind of text."""


def attack_facts(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """Train on some facts, test on the others (Deeb and Roger 2024, arXiv 2410.08827).

    The concept's words are split in two halves. What is learnt are the attack's texts that name words of the one half
    only; what is tested are the statements that name a word of the other, at those words. A model that has forgotten
    cannot get the second half from the first; one that only hides them gives both back.

    Raises:
        InputError: as `relearning.race`.
    """
    taught, tested = split_words(material, subject.seed)
    texts = taught_texts(material.attack, tested)
    probe = make_probe(subject, material, settings, statements_on(material.statements, tested))
    found = race(subject, probe, _lesson("learning some facts", texts, subject, settings), progress)
    return {"losses": found.assign(taught=", ".join(sorted(taught)), tested=", ".join(sorted(tested)))}


def attack_retain(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """Train on text of the same kind without the concept (Siddiqui et al. 2025: it can return without being shown)."""
    return _without_concept(subject, material, settings, progress, "learning text without the concept", "attack_other")


def attack_other_text(
    subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback
) -> Frames:
    """Train on text of another kind.

    Raises:
        InputError: the base cannot read it: training on such text breaks any model.
    """
    texts = [LabelledText(text) for text in some(material.other_text, LOOKED_AT, subject.seed)]
    nats = Meter(subject.base, texts, needed=()).measure().nll("retain").value
    if nats > READABLE:
        raise InputError(
            f"The base cannot read the text of another kind (it has {nats:.1f} nats a token there, and at most "
            f"{READABLE:g} would do), so training on it would break any model. Name text that it can read in "
            "proof.other_texts."
        )
    return _without_concept(subject, material, settings, progress, "learning text of another kind", "other_text")


def _without_concept(
    subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback, task: str, field: str
) -> Frames:
    lesson = _lesson(task, getattr(material, field), subject, settings)
    return {"losses": race(subject, make_probe(subject, material, settings), lesson, progress)}


def _lesson(task: str, texts: Sequence[str], subject: Subject, settings: ProofSection) -> Lesson:
    masks = ("released",) if has_mask(subject) else ("none",)
    rates = settings.learning_rates[1::2] or settings.learning_rates
    steps, batch = max(1, settings.relearning_steps // 2), max(1, settings.relearning_batch // 2)
    return Lesson(task, texts, masks, rates, batch, steps, every=8)
