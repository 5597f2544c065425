"""What every model that comes with the workbench can tell of itself, however it is carried."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.progress import ProgressCallback, silent


@dataclass(frozen=True, kw_only=True)
class Starter(ABC):
    """A model that a person names by one word.

    Attributes:
        name: what a person types as the model.
        title: what a person reads.
        licence: SPDX name, or in words.
        about: one sentence for a person who has to choose.
        offered: whether it is listed among the models to begin with; a control is known by name only.
    """

    name: str
    title: str
    licence: str
    about: str
    offered: bool = True

    @abstractmethod
    def unavailable(self) -> str | None:
        """None when the model can be used here, else the sentence that says how to get it."""

    @abstractmethod
    def prepare(self, progress: ProgressCallback = silent) -> Path:
        """The folder that transformers loads, complete and checked.

        Raises:
            InputError: it is not here, or its files are not the known ones.
            WorkFailed: the disk has too little space left.
        """

    @abstractmethod
    def ready(self) -> Path | None:
        """The folder that `prepare` would give at once, without writing anything; None where it is not there yet."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Identity of its content, as `sources.fingerprint` gives it for the same bytes elsewhere.

        Raises:
            InputError: it is not here and its content is not known without it.
        """

    def unprepared(self) -> Path | None:
        """The GGUF file that `prepare` would have to dequantise first; None when nothing is to be written."""
        return None
