"""What the stages of one run share: settings, concept, sentences and the loaded model, each loaded when asked for."""

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelling import LabelledSet
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.neighbours import given_words, neighbour_words
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.evaluation.prompts import about_concept
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.run import Run
from unlearning_core.runs.sources import at_hand, reads_as_ever, remembered, text_fingerprint

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.models.inspection import ModelInfo
    from unlearning_core.models.loading import LoadedModel

_IN_FEWER_BITS = "base in fewer bits"


class RunContext:
    """A run being worked on, or looked at.

    Attributes:
        run: its folder and results.
        config: its settings when the work began.
        progress: who listens.
    """

    def __init__(
        self,
        run: Run,
        progress: ProgressCallback = silent,
        *,
        base: "LoadedModel | None" = None,
        config: ExperimentConfig | None = None,
    ) -> None:
        """`base` is a model in memory (the dashboard's), never changed; `config` stands in for the run's own."""
        self.run = run
        self.config: ExperimentConfig = config or run.config
        self.progress = progress
        self._models: dict[str, LoadedModel] = {self._ranked: base} if base is not None else {}

    @cached_property
    def concept(self) -> Concept:
        """The concept words of the config, from its list or its file."""
        probing = self.config.neural_probing
        definition = probing.concept_definition
        words = tuple(definition) if isinstance(definition, list) else read_words(Path(self.source(definition)))
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
        given = self.config.neural_probing.neighbours
        words = given_words(self.source(given) if isinstance(given, str) else given)
        return neighbour_words(words, self.concept) if words else None

    def source(self, named: str) -> str:
        """Where a file or dataset that the settings name is to be read: there, or from its copy in the run."""
        return at_hand(self.run, named)

    def text_fingerprint(self, named: str | None) -> Any:
        """What a text that the settings name holds; None where they name none."""
        return None if named is None else remembered(self.run, named, text_fingerprint)

    def rules(self, *named: str | None) -> dict[str, int]:
        """By which rules these texts are read and the concept's words found in them, where earlier ones differed.

        Part of what a stage depends on; empty for English words in plain text, so that such runs stay up to date.
        """
        from unlearning_core.concepts.matcher import RULES_VERSION
        from unlearning_core.concepts.reading import READER_VERSION

        words = (*self.concept.words, *(self.neighbours.words if self.neighbours else ()))
        plain = self.concept.language == "en" and "".join(words).isascii()
        texts = [source for source in named if source is not None]
        if plain and all(remembered(self.run, source, reads_as_ever, "as ever") for source in texts):
            return {}
        return {"rules": RULES_VERSION, "reader": READER_VERSION}

    def model_fingerprint(self, named: str, revision: str | None = None) -> str:
        """What a model that the settings name is by content, also where it is not at hand any more."""
        from unlearning_core.models.sources.resolve import fingerprint

        return str(remembered(self.run, named, lambda source: fingerprint(source, revision)))

    @cached_property
    def base_has_experts(self) -> bool:
        """Whether the base model is a mixture of experts, by its configuration."""
        from unlearning_core.models.sources.declared import has_experts

        section = self.config.base_model
        look = lambda source: has_experts(source, section.revision)  # noqa: E731
        return bool(remembered(self.run, section.base_model_path, look, "experts"))

    @cached_property
    def base_fingerprint(self) -> str:
        """What the base model is by content, and what was done about tokens without a row if a person said so."""
        section = self.config.base_model
        content = self.model_fingerprint(section.base_model_path, section.revision)
        return content if section.extra_tokens == "refuse" else f"{content}+{section.extra_tokens}"

    def model(self, state: str, *, beside: Collection[str] = ()) -> "LoadedModel":
        """The model in that state, or the one that never knew, loaded once and kept until another one is asked for.

        Args:
            beside: states of models that are to stay in memory with it.

        Raises:
            InputError: the base or the never-knew model cannot be had, or the state is not there yet.
        """
        for other in set(self._models) - {state, *beside}:
            del self._models[other]
        if state not in self._models:
            self._models[state] = self._load(state)
        return self._models[state]

    @property
    def _ranked(self) -> str:
        return "base" if self.config.base_model.quantize is None else _IN_FEWER_BITS

    def ranked_base(self) -> "LoadedModel":
        """The base as neurons are ranked and cuts are previewed on it: in fewer bits where the settings say so.

        What is reported of a model is measured on it as it is in its files: `model("base")`.
        """
        return self.model(self._ranked)

    def _load(self, state: str) -> "LoadedModel":
        from unlearning_core.models.loading import load_model

        section, twin = self.config.base_model, self.config.never_knew
        if state in ("base", _IN_FEWER_BITS):
            source, revision = section.base_model_path, section.revision
        elif state == NEVER_KNEW and twin.model is not None:
            source, revision = twin.model, twin.revision
        else:
            folder = str(self.run.model(state))
            return load_model(
                folder,
                device=section.device,
                dtype=section.dtype,
                device_map=section.device_map,
                may_be_cut=True,
                progress=self.progress,
            )
        bits = section.quantize if state == _IN_FEWER_BITS else None
        return load_model(source, revision=revision, **section.how_to_load(), quantize=bits, progress=self.progress)

    def ranked_base_in_memory(self) -> "LoadedModel | None":
        """What `ranked_base` returns, if it is loaded."""
        return self._models.get(self._ranked)

    def base_facts(self) -> "tuple[ModelInfo, bool]":
        """What the base model is, and whether it is in memory; where it is not, its weights are not read.

        Raises:
            InputError: it cannot be had.
        """
        from unlearning_core.models.inspection import inspect_model

        if (loaded := self._models.get("base")) is not None:
            return loaded.info, True
        section = self.config.base_model
        info = inspect_model(
            section.base_model_path,
            revision=section.revision,
            **section.how_to_load(),
            progress=self.progress,
        )
        return info, False

    def saved_model(self, state: str) -> Path:
        """The folder that a process of its own can load that state from; of the base it is made where it has none."""
        from unlearning_core.models.sources.resolve import local_folder

        section = self.config.base_model
        if state != "base":
            return self.run.model(state)
        return local_folder(
            section.base_model_path,
            revision=section.revision,
            allow_pickle=section.allow_pickle,
            extra_tokens=section.extra_tokens,
            progress=self.progress,
        )

    def forget_models(self) -> None:
        """Free the memory of whatever model is loaded."""
        self._models.clear()

    @property
    def test_prompts(self) -> list[str]:
        """The config's test prompts; where it has none, prompts about the concept from the held-out sentences.

        Raises:
            InputError: it has none, and the sentences are not labelled yet or none of them holds the concept.
        """
        return list(self.config.test_prompts) or about_concept(self.sentences("held_out").items)

    def sentences(self, part: str) -> LabelledSet:
        """The labelled sentences of `train` or `held_out`; raises InputError while there are none."""
        return LabelledSet(self.run.sentences(part).items, 0, self.concept.words)

    @cached_property
    def ranking(self) -> "pd.DataFrame":
        """The run's ranking (columns site, layer, index, score, rank, protected)."""
        return self.run.ranking()
