"""The parts of the evaluation suite, one row each, in the order in which they are measured. Loads no torch."""

from collections.abc import Mapping
from importlib import import_module

from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.suite import Compute, Frames, Material, Part, Subject
from unlearning_core.progress import ProgressCallback

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


_ROWS: tuple[Part, ...] = (
    Part(
        name="losses",
        title="Measuring losses",
        sentence="How well it foresees text about the concept, its neighbours, the same words in another sense, and "
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
        settings=("max_questions", "question_samples", "new_tokens"),
        possible=lambda material, has: None if material.questions else NO_QUESTIONS,
    ),
    Part(
        name="writing",
        title="Writing after many prompts",
        sentence="What it writes after many beginnings, also such as invite the concept.",
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
)

PARTS: dict[str, Part] = {part.name: part for part in _ROWS}
"""Every part by name."""
