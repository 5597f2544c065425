"""The parts of the evaluation suite, one row each, in the order in which they are measured. Loads no torch."""

from collections.abc import Mapping
from importlib import import_module

from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.suite import Compute, Frames, Material, Part, Subject
from unlearning_core.progress import ProgressCallback

_NO_ATTACK = "There is no text about the concept that nothing before has used: name some in proof.attack_texts."
_NO_OTHER = "There is no text without the concept to train on, or no statement about it to measure by."
_NO_STATEMENTS = "There is no statement about the concept to measure by."
_TRAINING = ("learning_rates", "relearning_steps", "relearning_batch", "reference")
_WATCHED = ("statements", "retain", "sentences", "other_text")
"""What the gap is measured on, and where it ends without a never-knew model."""

NO_QUESTIONS = (
    "There are no questions about the concept. `unlearn questions` lets the model write them; name their file in "
    "proof.questions."
)


def _late(module: str, function: str) -> Compute:
    """The function of a module of this folder that is imported when it is called: those modules import torch."""

    def compute(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
        found: Compute = getattr(import_module(f"unlearning_core.evaluation.{module}"), function)
        return found(subject, material, settings, progress)

    return compute


def _nothing_to_score(material: Material, has: Mapping[str, bool]) -> str | None:
    if material.statements or any(question.about == "concept" for question in material.questions):
        return None
    return "There is no statement and no question about the concept."


def _no_depth(material: Material, has: Mapping[str, bool]) -> str | None:
    if not has["never_knew"]:
        return "There is no model that never knew the concept to compare the layers with."
    return _nothing_to_score(material, has)


def _split_possible(material: Material, has: Mapping[str, bool]) -> str | None:
    from unlearning_core.evaluation.fact_split import no_two_halves

    return no_two_halves(material)


def _asking_possible(material: Material, has: Mapping[str, bool]) -> str | None:
    return None if any(question.about == "concept" for question in material.questions) else NO_QUESTIONS


_ROWS: tuple[Part, ...] = (
    Part(
        name="losses",
        title="Measuring losses",
        sentence="How well it predicts text about the concept, its neighbours, the same words in another sense, and "
        "text of another kind.",
        group="cost",
        compute=_late("text_losses", "measure_losses"),
        reads=("sentences", "statements", "retain", "neighbour", "other_sense", "other_text"),
        settings=("max_statements", "max_texts"),
    ),
    Part(
        name="questions",
        title="Asking questions",
        sentence="Questions about the concept, in several forms, about its neighbours and about other things.",
        group="gone",
        compute=_late("answers", "ask"),
        reads=("questions",),
        settings=("max_questions", "question_samples", "answer_tokens", "chat"),
        possible=lambda material, has: None if material.questions else NO_QUESTIONS,
        version=3,
    ),
    Part(
        name="writing",
        title="Writing after many prompts",
        sentence="What it writes after many prompts, some of which invite the concept.",
        group="gone",
        compute=_late("continuations", "write"),
        reads=("prompts",),
        settings=("prompt_samples", "new_tokens"),
        possible=lambda material, has: None if material.prompts else "There are no prompts: give proof.prompts.",
    ),
    Part(
        name="memorisation",
        title="Scoring words and answers",
        sentence="How likely it finds the concept's words and the right answers, and how much of an answer it adds "
        "by itself.",
        group="gone",
        compute=_late("memorisation", "memorisation"),
        reads=("statements", "questions", "truth"),
        settings=("max_statements", "max_questions"),
        possible=_nothing_to_score,
    ),
    Part(
        name="depth",
        title="Patching layers",
        sentence="Puts its inner states into the base model, layer by layer, to see whether they lack the concept as "
        "those of the model that never knew it do.",
        group="gone",
        compute=_late("depth", "depth"),
        reads=("statements", "questions", "sentences", "retain"),
        settings=("depth_texts",),
        possible=_no_depth,
        states="edited",
        never_knew=True,
    ),
    Part(
        name="readout",
        title="Reading inner layers",
        sentence="Whether the concept's next word can be read from its inner layers, though it may not say it.",
        group="gone",
        compute=_late("readout", "readout"),
        reads=("statements",),
        settings=("max_statements",),
        possible=lambda material, has: None if material.statements else "There is no statement about the concept.",
    ),
    Part(
        name="relearn",
        title="Relearning race",
        sentence="Teaching it the concept again from a few texts, at several speeds.",
        group="back",
        compute=_late("relearning", "relearn"),
        reads=("attack", *_WATCHED),
        settings=(*_TRAINING, "race"),
        possible=lambda material, has: None if material.attack and material.statements else _NO_ATTACK,
        never_knew=True,
    ),
    Part(
        name="attack_facts",
        title="Some facts taught, the others tested",
        sentence="Teaching it half of the concept's words again, and testing the other half.",
        group="back",
        compute=_late("attacks.training", "attack_facts"),
        reads=("attack", *_WATCHED),
        settings=_TRAINING,
        possible=_split_possible,
        states="edited",
        never_knew=True,
        attack=True,
        judged="beside never-knew",
    ),
    Part(
        name="attack_retain",
        title="Training on text without the concept",
        sentence="Training it further on text in which the concept never occurs.",
        group="back",
        compute=_late("attacks.training", "attack_retain"),
        reads=("attack_other", *_WATCHED),
        settings=_TRAINING,
        possible=lambda material, has: None if material.attack_other and material.statements else _NO_OTHER,
        states="edited",
        never_knew=True,
        attack=True,
    ),
    Part(
        name="attack_other_text",
        title="Training on text of another kind",
        sentence="Training it further on text of quite another kind.",
        group="back",
        compute=_late("attacks.training", "attack_other_text"),
        reads=_WATCHED,
        settings=_TRAINING,
        possible=lambda material, has: None if material.other_text and material.statements else _NO_OTHER,
        states="edited",
        never_knew=True,
        attack=True,
        version=2,
    ),
    *(
        Part(
            name=f"attack_{form}",
            title=f"Rounding to {form}",
            sentence=f"Rounding its numbers to take less memory ({form}), as many people do.",
            group="back",
            compute=_late("attacks.rounding", f"attack_{form}"),
            reads=_WATCHED,
            settings=("reference",),
            possible=lambda material, has: None if material.statements else _NO_STATEMENTS,
            states="edited",
            never_knew=True,
            attack=True,
        )
        for form in ("int8", "int4")
    ),
    Part(
        name="attack_pasted",
        title="Weights pasted back from the base",
        sentence="Giving it back one group of the original model's numbers.",
        group="back",
        compute=_late("attacks.pasting", "attack_pasted"),
        reads=_WATCHED,
        settings=("reference",),
        possible=lambda material, has: None if material.statements else _NO_STATEMENTS,
        states="edited",
        never_knew=True,
        attack=True,
        judged="never",  # a cut, however right, is undone by the weights that were cut
    ),
    Part(
        name="attack_prefix",
        title="Words that invite an answer",
        sentence="Asking it with words around the question that invite an answer.",
        group="back",
        compute=_late("attacks.asking", "attack_prefix"),
        reads=("questions",),
        settings=("answer_tokens", "chat"),
        possible=_asking_possible,
        attack=True,
        version=3,
    ),
    Part(
        name="attack_sampling",
        title="Many tries",
        sentence="Asking it the same many times, and letting it guess boldly.",
        group="back",
        compute=_late("attacks.asking", "attack_sampling"),
        reads=("questions",),
        settings=("answer_tokens", "attack_samples", "chat"),
        possible=_asking_possible,
        attack=True,
        version=3,
    ),
)

PARTS: dict[str, Part] = {part.name: part for part in _ROWS}
"""Every part by name."""
