"""How much memory and disk space the stages of a run need at most, and whether it is there before they begin."""

import math
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.models.devices import available, choose_device
from unlearning_core.progress import size
from unlearning_core.runs.stages.registry import stage_called

if TYPE_CHECKING:
    from unlearning_core.runs.context import RunContext

TRAINING_BYTES = 16
"""A parameter in training: weight, gradient and AdamW's two averages, float32 each."""

CHECKPOINT_BYTES = 12
"""A parameter in a checkpoint: weight and AdamW's two averages, float32 each."""

CHECKPOINTS = 3
"""Two are kept, and a third is written before the oldest goes."""


def disk_needed(config: ExperimentConfig, pending: Collection[str], weights: int, parameters: int) -> dict[str, int]:
    """Bytes that each stage writes at most, figures and tables (a few MB) left out.

    Args:
        weights: bytes of the model as it is saved.
    """
    saves = {name: weights for name in pending if any("models/" in out for out in stage_called(name, config).outputs)}
    if "retrain" in saves:
        saves["retrain"] += checkpoints_of(config) * CHECKPOINT_BYTES * parameters
    return saves


def checkpoints_of(config: ExperimentConfig) -> int:
    """Checkpoints that are on the disk at once at most; one may be written when a training is stopped."""
    training = config.retraining
    steps = training.max_steps
    if steps is None and training.max_train_texts is not None:
        steps = math.ceil(training.num_train_epochs * math.ceil(training.max_train_texts / training.batch_size))
    return CHECKPOINTS if steps is None else max(1, min(CHECKPOINTS, math.ceil(steps / training.checkpoint_steps)))


TEACHER_BYTES = 4
"""A parameter of the teacher in a distillation."""


def memory_needed(config: ExperimentConfig, pending: Collection[str], parameters: int) -> int:
    """Bytes that weights, gradients and optimizer take in training; what a batch takes is not in it."""
    teacher = TEACHER_BYTES if config.retraining.objective == "distill" else 0
    return (TRAINING_BYTES + teacher) * parameters if "retrain" in pending else 0


def check_room(context: "RunContext", pending: Collection[str]) -> None:
    """Refuse a run whose models would not fit on the disk, or in memory while it trains.

    Raises:
        InputError: training needs more memory than is free.
        WorkFailed: there is less space on the disk than the models take.
    """
    config = context.config
    heavy = [name for name in pending if any("models/" in out for out in stage_called(name, config).outputs)]
    if not heavy:
        return
    try:
        info, loaded = context.base_facts()
    except InputError:  # a run that was moved here without its model, and does not need it any more
        return
    disk = disk_needed(config, pending, info.bytes_in_memory, info.parameters)
    if "retrain" in disk:
        # Of a training that was stopped, checkpoints take a part of that already.
        there = sum(file.stat().st_size for file in context.run.training_folder.rglob("*") if file.is_file())
        disk["retrain"] = max(0, disk["retrain"] - there)
    check_disk(context.run.folder, disk)
    # The model in memory now is let go of before the training begins.
    check_memory(config, pending, info.parameters, info.bytes_in_memory if loaded else 0)


def check_memory(config: ExperimentConfig, pending: Collection[str], parameters: int, freed: int = 0) -> None:
    """Refuse a training that does not fit in memory; `freed` bytes will be free once it begins.

    Raises:
        InputError: says how much is needed and free.
    """
    need, device = memory_needed(config, pending, parameters), choose_device(config.base_model.device)
    free = available(device) + freed
    if need > free:
        raise InputError(
            f"Retraining {config.base_model.base_model_path} needs {size(need)} on {device} for weights, "
            f"gradients and optimizer alone, and {size(free)} are free. Choose a smaller model, or set "
            "retraining.enabled to false."
        )


def check_disk(folder: Path, disk: dict[str, int]) -> None:
    """Refuse to begin where the disk of `folder` has less room than `disk_needed` says.

    Raises:
        WorkFailed: says how much is needed and free.
    """
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    need, free = sum(disk.values()), shutil.disk_usage(place).free
    if need > free:
        parts = ", ".join(f"{name} {size(part)}" for name, part in disk.items())
        raise WorkFailed(
            f"The disk of {place} has {size(free)} free, and this run writes up to {size(need)} ({parts}). "
            "Free some space, or give another output_dir."
        )
