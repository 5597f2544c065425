"""A starter that lies in the checkout as a model folder: verified, then loaded from where it is; nothing is written."""

from dataclasses import dataclass
from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.models.hashing import fingerprint_of_folder
from unlearning_core.models.sources.checksums import verify
from unlearning_core.models.sources.starter import Starter
from unlearning_core.progress import ProgressCallback, silent

MODELS = ROOT / "models"
"""The models that come with the workbench, whatever the environment's UNLEARNING_MODELS says."""


@dataclass(frozen=True, kw_only=True)
class BundledStarter(Starter):
    """One model of the repository.

    Attributes:
        folder: where it lies.
    """

    folder: Path

    def unavailable(self) -> str | None:
        if (self.folder / "config.json").is_file():
            return None
        return (
            f"The model {self.name!r} is part of this repository, but {self.folder} is not there. Get it back with: "
            f"git checkout models/{self.name}"
        )

    def prepare(self, progress: ProgressCallback = silent) -> Path:
        """The folder itself, once every file in it has the checksum that it was committed with."""
        self._require()
        verify(self.folder, progress)
        return self.folder

    def ready(self) -> Path | None:
        return self.folder if self.unavailable() is None else None

    def fingerprint(self) -> str:
        self._require()
        return fingerprint_of_folder(self.folder)

    def _require(self) -> None:
        missing = self.unavailable()
        if missing:
            raise InputError(missing)
