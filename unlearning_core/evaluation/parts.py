"""The parts of the evaluation suite, one row each, in the order in which they are measured. Loads no torch."""

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
)

PARTS: dict[str, Part] = {part.name: part for part in _ROWS}
"""Every part by name."""
