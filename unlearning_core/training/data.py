"""What a training works on, loaded and checked: model, tokenizer, tokenised text, edits to keep."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from unlearning_core.concepts.texts import read_texts
from unlearning_core.errors import InputError
from unlearning_core.files import read_object
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.kept_edits import CutNeurons, KeptEdit
from unlearning_core.training.sequences import Sequences, longest_sequence, tokenise

_log = logging.getLogger(__name__)


@dataclass
class TrainingData:
    """What a training works on.

    Attributes:
        model: in float32.
        saved_dtype: what the model came in and is saved in.
        tokenizer: of the model.
        train: the tokenised text.
        validation: the text that the evaluation loss is measured on, or None.
        edits: what was changed in the base.
    """

    model: Any
    saved_dtype: torch.dtype
    tokenizer: Any
    train: Sequences
    validation: Sequences | None
    edits: list[KeptEdit]


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
    edits: list[KeptEdit] = []
    if job.recipe_folder is not None:
        edits.append(CutNeurons.of_recipe(model, Path(job.recipe_folder)))
    return TrainingData(model, saved_dtype, tokenizer, training, validation, edits)


def _without_rows(path: Path) -> bool:
    """Whether `path` is a saved dataset of no rows (what filtering may leave), which `load_from_disk` cannot read."""
    return read_object(path / "state.json").get("_data_files") == []


def not_finite(model: nn.Module) -> str | None:
    """The name of the first parameter that holds NaN or infinity, or None."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return name
    return None
