"""The parts of the evaluation suite, one row each, in the order in which they are measured. Loads no torch."""

from collections.abc import Mapping
from importlib import import_module

from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.suite import Compute, Frames, Material, Part, Subject
from unlearning_core.progress import ProgressCallback


def _late(module: str, function: str) -> Compute:
    """The function of a module of this folder that is imported when it is called: those modules import torch."""

    def compute(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
        found: Compute = getattr(import_module(f"unlearning_core.evaluation.{module}"), function)
        return found(subject, material, settings, progress)

    return compute


def _with_something_to_score(material: Material, has: Mapping[str, bool]) -> str | None:
    if material.statements or any(question.about == "concept" for question in material.questions):
        return None
    return "There is no statement and no question about the concept."


def _with_a_twin(material: Material, has: Mapping[str, bool]) -> str | None:
    if not has["never_knew"]:
        return "There is no model that never knew the concept to compare the layers with."
    return _with_something_to_score(material, has)


def _with_statements(material: Material, has: Mapping[str, bool]) -> str | None:
    return None if material.statements else "There is no statement about the concept."


_ROWS: tuple[Part, ...] = (
    Part(
        "memorisation", "Word for word", "How likely the model still finds the right words and answers.", "gone",
        _late("memorisation", "memorisation"), reads=("statements", "questions", "truth"),
        possible=_with_something_to_score,
    ),
    Part(
        "depth", "How deep it goes",
        "Puts the model's inner states into the base model, layer by layer, to see whether the knowledge is lacking "
        "in them as it is in the model that never knew.",
        "gone", _late("depth", "depth"), reads=("statements", "questions", "sentences"), settings=("depth_texts",),
        possible=_with_a_twin, states="edited",
    ),
    Part(
        "readout", "Can it be read inside?",
        "Looks whether the concept's words can be read from the inner layers, though the model does not say them.",
        "gone", _late("readout", "readout"), reads=("statements",), possible=_with_statements,
    ),
)  # fmt: skip

PARTS: dict[str, Part] = {part.name: part for part in _ROWS}
"""Every part by name."""
