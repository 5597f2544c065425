"""What a training works on, loaded and checked: model, tokenizer, tokenised text, edits to keep."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from unlearning_core.concepts.texts import read_texts
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.row_weights import held_rows, rows_undone
from unlearning_core.edits.weights import cuts, survivors
from unlearning_core.errors import InputError
from unlearning_core.files import read_object
from unlearning_core.models.inspection import describe
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.mapping import ModelMap, map_model
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.training.adapters import Adapters, Lora
from unlearning_core.training.distill_data import DistillationData, load_distillation
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.noise import shrink_towards_fresh
from unlearning_core.training.sequences import Sequences, longest_sequence, tokenise

_log = logging.getLogger(__name__)


class CutNeurons:
    """What a recipe changed, an edit that a training must not undo: cut neurons stay at zero, and reset token rows as
    they are, after every optimizer step.

    Attributes:
        size: how many neurons they are.
        tokens: the tokens whose rows are held, ascending.
    """

    def __init__(self, model: Any, recipe_folder: Path, model_map: ModelMap) -> None:
        """`model` has the edit: its token rows are held as they stand in it.

        Raises:
            InputError: the recipe is missing, damaged or made for another model.
        """
        recipe = Recipe.load(recipe_folder, model_map.shapes)
        self._mask = recipe.mask
        self._cuts = cuts(model_map, self._mask)
        self._rows = held_rows(model, recipe.rows) if recipe.rows is not None else []
        self._digest = recipe.mask.digest() + (recipe.rows.digest() if recipe.rows is not None else "")
        self.size = self._mask.cut
        self.tokens: list[int] = recipe.rows.ids.tolist() if recipe.rows is not None else []

    def digest(self) -> str:
        """Identity of the edit."""
        return self._digest

    def write(self) -> None:
        """Make the edit hold in the model in training; cheap enough for every step."""
        for cut in self._cuts:
            cut.write()
        for row in self._rows:
            row.write()

    def hold_in(self, adapters: Adapters) -> None:
        """From now on these learn in place of the weights: what `write` holds is that they leave the cut as it is."""
        self._cuts = adapters.cuts(self._cuts)

    def release(self, tokens: Collection[int]) -> None:
        """Hold the rows of these tokens no longer: they have learnt what they may."""
        self._rows = [kept for row in self._rows if (kept := row.without(tokens)) is not None]
        self.tokens = [token for token in self.tokens if token not in tokens]

    def undone(self, folder: Path) -> int:
        """How many neurons and tokens are not as the edit left them in the model that is saved in `folder`."""
        return len(survivors(folder, self._mask)) + (len(rows_undone(folder, self._rows)) if self._rows else 0)


@dataclass
class TrainingData:
    """What a training works on: a model, its tokenizer, tokenised text, and what was changed in the base."""

    model: Any
    """In float32; with adapters as it was saved."""
    map: ModelMap
    saved_dtype: torch.dtype
    """What the model came in and is saved in."""
    tokenizer: Any
    train: Sequences
    validation: Sequences | None
    """What the evaluation loss is measured on."""
    edits: list[CutNeurons]
    distillation: DistillationData | None = None
    """What it learns from in place of the text; None where it learns the text itself."""
    adapters: Adapters | None = None
    """What learns in place of the model's weights; None where these do."""

    @property
    def student(self) -> LoadedModel:
        """The model that learns."""
        return as_loaded(self.model, self.tokenizer, self.map)

    @property
    def trained(self) -> Any:
        """What an optimizer is given: the model, or its adapters around it."""
        return self.model if self.adapters is None else self.adapters.model


def load_data(job: TrainingJob, progress: ProgressCallback = silent) -> TrainingData:
    """Load and tokenise what `job` names.

    Raises:
        InputError: the model, its tokenizer, the recipe or a text cannot be used; says which and why.
    """
    folder = Path(job.model_folder)
    if not (folder / "config.json").is_file():
        raise InputError(
            f"model_folder is {folder}, which has no config.json; expected a saved model. Prune one first."
        )
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} cannot be loaded as a causal language model with its tokenizer ({error}). Save it again."
        ) from error
    saved_dtype = model.dtype
    if job.lora_rank is None:
        model.float()
    if broken := not_finite(model):
        raise InputError(f"The weight {broken} in {folder} holds NaN or infinity. Take another model.")
    length = longest_sequence(model.config.get_text_config(), job.max_length)

    def sequences(path: str, limit: int | None) -> Sequences:
        return tokenise(read_texts(path, limit=limit), tokenizer, length, path, progress=progress)

    if _without_rows(Path(job.train_path)):
        raise InputError(
            f"train_path is {job.train_path}, a dataset of no rows: filtering left nothing. Give more text."
        )
    training = sequences(job.train_path, job.limit)
    validation = None
    if job.validation_path and _without_rows(Path(job.validation_path)):
        _log.warning("%s has no rows: retraining goes without evaluation", job.validation_path)
    elif job.validation_path:
        validation = sequences(job.validation_path, job.eval_texts)
    recipe = job.recipe_folder
    found = map_model(model)
    edits = [CutNeurons(model, Path(recipe), found)] if recipe is not None else []
    distillation = load_distillation(job, model, tokenizer, length)
    if distillation is not None:
        settings = distillation.settings
        shrink_towards_fresh(model, settings.noise, settings.noise_scale, job.seed)
        for edit in edits:  # also what may grow back later
            edit.write()
    data = TrainingData(model, found, saved_dtype, tokenizer, training, validation, edits, distillation)
    if job.lora_rank is not None:
        data.adapters = Adapters(model, found, Lora(job.lora_rank, job.lora_alpha or 2 * job.lora_rank), job.seed)
        for edit in edits:
            edit.hold_in(data.adapters)
    return data


def as_loaded(model: Any, tokenizer: Any, found: ModelMap) -> LoadedModel:
    """A model in training, or its teacher, as what measures models takes them."""
    info = describe(str(model.config._name_or_path), model, found, model.device.type, "float32")
    return LoadedModel(model, tokenizer, found, info)


def _without_rows(path: Path) -> bool:
    """Whether `path` is a saved dataset of no rows (what filtering may leave), which `load_from_disk` cannot read."""
    return read_object(path / "state.json").get("_data_files") == []


def not_finite(model: nn.Module) -> str | None:
    """The name of the first parameter that holds NaN or infinity, or None."""
    return next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
