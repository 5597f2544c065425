"""Retrain: the model recovers on text without the concept, in a process of its own; what was cut stays cut."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from unlearning_core import distributed
from unlearning_core.config.schema import RetrainingSection
from unlearning_core.files import write_json
from unlearning_core.methods.method import MethodInput, Summary
from unlearning_core.training.job import TrainingJob

TEXT_KEYS = {
    "enabled", "train_dataset_path", "val_dataset_path", "dataset", "dataset_split", "dataset_column",
    "dataset_reading", "max_train_texts",
}  # fmt: skip
"""Settings that say which text is trained on, not how."""


def inputs(parameters: RetrainingSection, seed: int) -> Any:
    """How it trains; measuring while it learns changes nothing in the result."""
    return {"settings": parameters.model_dump(exclude=TEXT_KEYS | {"measure_while_learning"}), "seed": seed}


def training_job(given: MethodInput, parameters: RetrainingSection) -> TrainingJob:
    """What a training process is told."""
    recipe, watch = given.recipe(), parameters.measure_while_learning
    return TrainingJob(
        model_folder=str(given.saved()),
        recipe_folder=str(recipe) if recipe is not None else None,
        train_path=str(given.text() / "train"),
        validation_path=str(given.text() / "validation"),
        output_folder=str(given.work),
        epochs=parameters.num_train_epochs,
        max_steps=parameters.max_steps,
        learning_rate=parameters.learning_rate,
        weight_decay=parameters.weight_decay,
        warmup_ratio=parameters.warmup_ratio,
        batch_size=parameters.batch_size,
        max_length=parameters.max_length,
        keep_pruned=parameters.keep_pruned,
        checkpoint_every=parameters.checkpoint_steps,
        device=given.device.split(":")[0],
        seed=given.seed,
        probe_set_path=str(given.probe_sentences()) if watch else None,
        prompts=tuple(given.prompts) if watch else (),
    )


def make(given: MethodInput, parameters: RetrainingSection) -> Summary:
    """Train in a child process (under a launcher: in the processes that are there) and keep the result.

    Raises:
        InputError: the text or a setting cannot be used.
        Stopped: it was asked to stop; a checkpoint is left, from which the next call goes on.
        WorkFailed: the process failed or died.
    """
    from unlearning_core.jobs.process import wait
    from unlearning_core.training.job import start

    job = training_job(given, parameters)
    if distributed.is_main():
        _start_over_if_changed(job, given)
    distributed.share(None)
    if distributed.world_size() > 1:
        from unlearning_core.training.train import train

        result = train(job, given.progress)
    else:
        _end_orphan(job.folder)
        result = wait(start(job), given.progress)
    distributed.share(None)  # the other processes of a launch still read what is moved now
    if distributed.is_main():
        given.model_folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(job.final_folder, given.model_folder)
    return {key: value for key, value in result.items() if key != "model_folder"}


def _start_over_if_changed(job: TrainingJob, given: MethodInput) -> None:
    """Checkpoints of another job must not be gone on with: the model, the text or a setting may have changed."""
    mark = job.folder / "inputs.json"
    if not mark.is_file() or json.loads(mark.read_text(encoding="utf-8")) != given.fingerprint:
        _end_orphan(job.folder)
        shutil.rmtree(job.folder, ignore_errors=True)
        write_json(mark, given.fingerprint)


def _end_orphan(folder: Path) -> None:
    """A worker whose parent was killed is asked to stop; the new one goes on from its checkpoint."""
    from unlearning_core.jobs.process import request_stop
    from unlearning_core.jobs.status import status

    if status(folder).live:
        request_stop(folder)
        while status(folder).live:
            time.sleep(0.2)
