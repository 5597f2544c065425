"""What a method is, and what it is given to work with. A method is a file of its own and a row of the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from unlearning_core.progress import ProgressCallback, silent

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.activations.concept_tokens import ConceptTokens
    from unlearning_core.concepts.labelling import LabelledSet
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.edits.token_rows import RowSettings
    from unlearning_core.models.loading import LoadedModel

Summary = dict[str, Any]
"""A few figures of what was done, JSON-able."""


@dataclass(frozen=True)
class MethodInput:
    """What a method works with. It takes what it needs; nothing is loaded before it is asked for.

    Attributes:
        before: the state of the model that it starts from ("base", "pruned", ...).
        words: the concept's words.
        seed: of everything that is drawn.
        device: as the settings name it.
        prompts: the test prompts.
        state: of the model that it makes.
        fingerprint: of everything that the result depends on.
        load: a copy of the model in the state `before`, the method's own to change.
        load_ranked: the same as neurons were ranked on it: in fewer bits where the settings say so.
        saved: the folder of that model, for a process of its own.
        base_saved: the folder of the base model, for a process of its own.
        ranking: the ranked neurons; for a method that needs "rank".
        sentences: the labelled sentences of a part, "train" or "held_out"; a method reads the first only.
        sentences_file: the file of the labelled training sentences.
        other_sense: file of texts with the concept's words in another sense that may be learnt from, or None.
        text: folder with `train` and `validation`, text without the concept; for a method that needs "filter".
        probe_sentences: file of a few labelled held-out sentences, to be measured while a model learns.
        quiz: file of the quiz (evaluation.question_sets), to be asked while a model learns; chosen on the base where it
            was not yet, which takes it into memory for a moment. None where the settings name no questions.
        quiz_put: how its questions are put: `quiz_chat` and `quiz_tokens` of a training job.
        recipe: folder of the recipe that says which neurons are cut already, or None; what follows keeps them cut.
        concept_tokens: the tokens of the concept, for a tokenizer and settings of token rows.
        new_recipe: makes the recipe of a mask, the settings of the cut and token rows (or None), with the model and
            the ranking that they belong to.
        folder: where the result goes: `models/<state>` as `save_pretrained` writes it, and what else the method leaves.
        work: folder that outlives a stop, for checkpoints and events.
        progress: told how far it is; may raise Stopped.
    """

    before: str
    state: str
    fingerprint: str
    words: Sequence[str]
    seed: int
    device: str
    prompts: Sequence[str]
    load: Callable[[], LoadedModel]
    load_ranked: Callable[[], LoadedModel]
    ranking: Callable[[], pd.DataFrame]
    sentences: Callable[[str], LabelledSet]
    sentences_file: Callable[[], Path]
    other_sense: Callable[[], Path | None]
    text: Callable[[], Path]
    probe_sentences: Callable[[], Path]
    quiz: Callable[[], Path | None]
    quiz_put: Mapping[str, Any]
    saved: Callable[[], Path]
    base_saved: Callable[[], Path]
    recipe: Callable[[], Path | None]
    concept_tokens: Callable[[Any, RowSettings], ConceptTokens]
    new_recipe: Callable[..., Recipe]
    folder: Path
    work: Path
    progress: ProgressCallback = silent

    @property
    def model_folder(self) -> Path:
        """Where the model that is made has to be saved."""
        return self.folder / "models" / self.state

    def save(self, loaded: LoadedModel) -> None:
        """Save a model that the method has changed, with its tokenizer; its config says where whole matrices are 0."""
        from unlearning_core.models.loading import ZEROED, has_zeroed_matrices

        if has_zeroed_matrices(loaded.model):
            setattr(loaded.model.config, ZEROED, True)
        self.model_folder.mkdir(parents=True, exist_ok=True)
        loaded.model.save_pretrained(self.model_folder)
        loaded.tokenizer.save_pretrained(self.model_folder)


@dataclass(frozen=True)
class Method:
    """One way to make a model out of another one.

    Attributes:
        name: what configurations, `--until` and `status.json` call it.
        title: what pages and a progress bar call it.
        sentence: what it does, in one sentence.
        state: what the model is called that it makes, a word that fits before "model".
        state_title: what pages and reports call that state, where its capitalised name will not do ("NPO").
        parameters: pydantic model of its parameters, each with a description and a default.
        make: does it: leaves the model in `MethodInput.model_folder`.
        cost: what it costs, in a few words.
        needs: stages whose result it works with, beside the model before it ("label", "rank", "filter").
        section: the section of the config that has its parameters; None: they stand in `methods`.
        searched: the parameter that a search for the smallest cut finds, where the config asks for one.
        leaves: what it leaves beside the model ("recipe").
        inputs: everything that its result depends on, given its parameters and the seed; None: all of them.
        collective: all processes of a launch take part; otherwise the main one alone.
        check: refuses parameters with which it would fail, before any stage has worked; raises InputError.
        version: raised when it gives another result than before, so that what it made before is made again.
    """

    name: str
    title: str
    sentence: str
    state: str
    parameters: type[BaseModel]
    make: Callable[[MethodInput, Any], Summary]
    cost: str = "seconds"
    needs: tuple[str, ...] = ()
    section: str | None = None
    searched: str | None = None
    leaves: tuple[str, ...] = ()
    inputs: Callable[[Any, int], Any] | None = None
    collective: bool = False
    check: Callable[[Any, ProgressCallback], None] = lambda parameters, progress: None
    state_title: str = ""
    version: int = field(default=1)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Files and folders that it leaves."""
        return (*self.leaves, f"models/{self.state}")

    def depends_on(self, parameters: BaseModel, seed: int) -> Any:
        """What its result depends on beside the stages before it, JSON-able."""
        if self.inputs is not None:
            return self.inputs(parameters, seed)
        return {"parameters": parameters.model_dump(mode="json"), "seed": seed, "version": self.version}
