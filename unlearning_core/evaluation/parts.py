"""The parts of the evaluation suite, one row each, in the order in which they are measured. Loads no torch."""

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


_ROWS: tuple[Part, ...] = ()

PARTS: dict[str, Part] = {part.name: part for part in _ROWS}
"""Every part by name."""
