"""What the stages of one run share: settings, concept, sentences and the loaded model, each loaded when asked for."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelled_files import read_labelled, write_labelled
from unlearning_core.concepts.labelling import LabelledSet
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.neighbours import given_words, neighbour_words
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.config import ExperimentConfig
from unlearning_core.errors import WorkFailed
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.models.loading import LoadedModel

STEPS = ("base", "pruned", "retrained")
"""The three stages of a model, in the order in which they come to be."""


class RunContext:
    """A run being worked on.

    Attributes:
        run: its folder.
        config: its settings when the work began.
        progress: who listens.
    """

    def __init__(self, run: Run, progress: ProgressCallback = silent, *, base: "LoadedModel | None" = None) -> None:
        """`base` is a model that is already in memory (the dashboard's); it is never changed."""
        self.run = run
        self.config: ExperimentConfig = run.config
        self.progress = progress
        self._models: dict[str, LoadedModel] = {"base": base} if base is not None else {}

    @cached_property
    def concept(self) -> Concept:
        """The concept words of the config, from its list or its file."""
        probing = self.config.neural_probing
        definition = probing.concept_definition
        words = tuple(definition) if isinstance(definition, list) else read_words(Path(definition))
        return Concept(words, probing.inflections, probing.language)

    @cached_property
    def matcher(self) -> Matcher:
        """Finds the concept's words in text."""
        return Matcher(self.concept)

    @cached_property
    def neighbours(self) -> Concept | None:
        """The words near the concept that must stay, or None where the config has none.

        Raises:
            InputError: one is of the concept too.
        """
        words = given_words(self.config.neural_probing.neighbours)
        return neighbour_words(words, self.concept) if words else None

    def model(self, step: str) -> "LoadedModel":
        """The base, pruned or retrained model, loaded once and kept until another one is asked for."""
        from unlearning_core.models.loading import load_model

        if step not in self._models:
            self._models.clear()
            section = self.config.base_model
            if step == "base":
                self._models[step] = load_model(
                    section.base_model_path,
                    revision=section.revision,
                    device=section.device,
                    dtype=section.dtype,
                    allow_pickle=section.allow_pickle,
                    progress=self.progress,
                )
            else:
                folder = self.model_folder(step)
                self._models[step] = load_model(
                    str(folder), device=section.device, dtype=section.dtype, progress=self.progress
                )
        return self._models[step]

    def forget_models(self) -> None:
        """Free the memory of whatever model is loaded."""
        self._models.clear()

    def model_folder(self, step: str) -> Path:
        """Where the pruned or retrained model of this run is saved."""
        return self.run.folder / "models" / step

    def sentences(self, part: str) -> LabelledSet:
        """The labelled sentences of `train` or `held_out`.

        Raises:
            WorkFailed: the label stage has not run.
        """
        path = self.run.folder / "data" / f"{part}.jsonl"
        if not path.is_file():
            raise WorkFailed(f"{path} is missing: the label stage of this run has not finished. Run it again.")
        return LabelledSet(read_labelled(path), 0, self.concept.words)

    def save_sentences(self, part: str, sentences: LabelledSet) -> None:
        """Write `data/<part>.jsonl`."""
        write_labelled(self.run.folder / "data" / f"{part}.jsonl", sentences.items)

    @cached_property
    def ranking(self) -> "pd.DataFrame":
        """The run's ranking (columns site, layer, index, score, rank, protected)."""
        import pandas as pd

        return pd.read_parquet(self.run.folder / "ranking.parquet")

    def read(self, name: str) -> Any:
        """A JSON file of the run."""
        return self.run.read_json(name)
