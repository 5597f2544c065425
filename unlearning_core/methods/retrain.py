"""Retrain: the model recovers on text without the concept, in a process of its own; what was cut stays cut."""

import json
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unlearning_core import distributed
from unlearning_core.config.schema import RetrainingSection
from unlearning_core.errors import InputError
from unlearning_core.files import write_json
from unlearning_core.methods.method import MethodInput, Summary
from unlearning_core.progress import ProgressCallback
from unlearning_core.training.job import Distillation, TrainingJob

TEXT_KEYS = {
    "enabled", "train_dataset_path", "val_dataset_path", "dataset", "dataset_split", "dataset_column",
    "dataset_reading", "max_train_texts",
}  # fmt: skip
"""Settings that say which text is trained on, not how."""

DISTILL_KEYS = {
    "noise", "noise_scale", "other_sense_texts", "other_sense_ridge", "depth_weight", "concept_texts",
    "concept_weight",
}  # fmt: skip
"""Settings of the objective "distill" alone."""


def inputs(parameters: RetrainingSection, seed: int) -> Any:
    """How it trains; measuring while it learns changes nothing in the result.

    Trainings are not made anew because of settings that came later, where these are not used.
    """
    # Whoever reads the texts says what they hold.
    no_matter = TEXT_KEYS | {"measure_while_learning", "report_to", "other_sense_texts", "gradient_checkpointing"}
    no_matter |= {name for name, usual in (("precision", "auto"), ("optimizer", "adamw"), ("lora_rank", None))
                  if getattr(parameters, name) == usual}  # fmt: skip
    if parameters.lora_rank is None:
        no_matter |= {"lora_alpha"}
    if parameters.objective == "text":
        no_matter |= {"objective"} | DISTILL_KEYS
    return {"settings": parameters.model_dump(exclude=no_matter), "seed": seed}


def check(parameters: RetrainingSection, progress: ProgressCallback) -> None:
    """Refuse a tracker or an optimizer whose package is not installed.

    Raises:
        InputError: names it, and how to install it.
    """
    if missing := next((name for name in parameters.report_to if find_spec(name) is None), None):
        raise InputError(
            f"retraining.report_to names {missing!r}, which is not installed. Run: pip install {missing}. Or leave it "
            "out."
        )
    if parameters.optimizer.endswith("8bit") and find_spec("bitsandbytes") is None:
        raise InputError(
            f"retraining.optimizer is {parameters.optimizer!r}, which needs bitsandbytes, and that is not installed. "
            "Run: pip install bitsandbytes. Or choose adamw or "
            "adafactor."
        )


def passes(parameters: RetrainingSection) -> float:
    """Forward passes over each text without the concept that a step costs, a backward pass counted as two."""
    if parameters.objective == "text":
        return 3.0
    asked = Distillation(
        teacher_folder="", other_sense_path=parameters.other_sense_texts, concept_texts=parameters.concept_texts
    )
    texts = 1 + sum(asked.beside(parameters.batch_size)) / parameters.batch_size
    # The teacher's pass; of the base's upper layers half are run on average, there and back.
    return texts * (4.0 + (1.0 if parameters.depth_weight else 0.0))


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
        gradient_checkpointing=parameters.gradient_checkpointing,
        dtype=parameters.precision,
        optimizer=parameters.optimizer,
        lora_rank=parameters.lora_rank,
        lora_alpha=parameters.lora_alpha,
        report_to=tuple(parameters.report_to),
        device=given.device.split(":")[0],
        seed=given.seed,
        probe_set_path=str(given.probe_sentences()) if watch else None,
        prompts=tuple(given.prompts) if watch else (),
        distillation=_distillation(given, parameters) if parameters.objective == "distill" else None,
    )


def _distillation(given: MethodInput, parameters: RetrainingSection) -> Distillation:
    """What the teacher is, and what is read beside the text without the concept."""
    other_sense = given.other_sense()
    return Distillation(
        teacher_folder=str(given.base_saved()),
        words=tuple(given.words),
        sentences_path=str(given.sentences_file()),
        noise=parameters.noise,
        noise_scale=parameters.noise_scale,
        other_sense_path=str(other_sense) if other_sense is not None else None,
        other_sense_ridge=parameters.other_sense_ridge,
        concept_texts=parameters.concept_texts,
        concept_weight=parameters.concept_weight,
        depth_weight=parameters.depth_weight,
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
    quiz = None
    if distributed.is_main():
        _start_over_if_changed(job, given)
        quiz = given.quiz() if parameters.measure_while_learning else None
    if (quiz := distributed.share(quiz)) is not None:
        job = job.model_copy(update={"quiz_path": str(quiz), **given.quiz_put})
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
