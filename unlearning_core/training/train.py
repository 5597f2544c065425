"""One training from a job to a saved model: what the worker process runs, and each process under `accelerate`."""

import logging
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch

from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import new_folder, read_object, write_json
from unlearning_core.jobs.device_queue import Ticket, hold_device, queue_name, queued_for
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.stopping import ShouldStop, never, stop_on_signals
from unlearning_core.jobs.worker import JobContext, working_in
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.training.callback import TrainingMonitor
from unlearning_core.training.checkpoints import discard_others, last_complete
from unlearning_core.training.data import TrainingData, load_data, not_finite
from unlearning_core.training.distilling import DistillingTrainer
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.rate import TIMED_STEPS, Rate, rate_of
from unlearning_core.training.trainer import EditKeepingTrainer

FIGURES_FILE = "retraining.json"
"""In the saved model's folder: how it was trained, and the identity of that training."""

_log = logging.getLogger(__name__)


def train(job: TrainingJob, progress: ProgressCallback = silent) -> dict[str, Any]:
    """Retrain and save; goes on from the last checkpoint of the same training, or returns what it left if it finished.

    Call it in one process, or in each process of `accelerate launch` / `torchrun` (only the first one writes). While
    another process trains on the device, it waits in the queue. Ctrl-C and SIGTERM stop it between two optimizer steps,
    and so does a `progress` that raises `Stopped`.

    Returns:
        The figures of the training, JSON-able: model_folder, steps, loss and evaluation loss (nats a token) at the
        start and the end, tokens_per_second (predicted tokens, without padding), cut, regrown, precision, ...

    Raises:
        InputError: something in the job cannot be used, or a worker is at work in its folder.
        Stopped: someone asked; a checkpoint is left.
        WorkFailed: the loss is not a number, the disk is full, memory ran out.
    """
    first = int(os.environ.get("RANK", "0")) == 0
    with stop_on_signals() as stop:
        with working_in(job.folder, "retraining", first=first) as log:
            result = _train(job, log, progress, stop)
        if stop():
            raise Stopped("Retraining had finished when the stop came; its model is kept. Start again to go on.")
        return result


def train_job(values: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """`train` as a worker process runs it: `values` are those of a `TrainingJob`."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with stop_on_signals() as signalled:
        return _train(TrainingJob(**values), context.log, silent, lambda: signalled() or context.should_stop())


def _train(job: TrainingJob, log: EventLog, progress: ProgressCallback, stop: ShouldStop) -> dict[str, Any]:
    with _memory_errors(), queued_for(job.device, log, progress, stop):
        log.state("starting", step=0, ahead=0, result=None, error=None)
        data = load_data(job, progress)
        if stop():
            raise Stopped("Retraining was stopped before its first step. Start it again to go on.")
        steps = job.max_steps or math.ceil(job.epochs * math.ceil(len(data.train.ids) / job.batch_size))
        trainer = _trainer(job, data, steps)
        if done := _finished(trainer):
            log.state("finished", f"Nothing had changed: the model is in {job.final_folder}", step=steps, result=done)
            return done
        monitor, checkpoint = fit(trainer, log, progress, stop)
        trainer.finish()
        result = _save(trainer, _figures(trainer, monitor, checkpoint))
        step = trainer.state.global_step
        log.state("finished", f"{step} steps; the model is in {job.final_folder}", step=step, result=result)
        return result


def time_job(values: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """What `rate.measure_rate` runs in the child."""
    context.progress(Progress(f"timing {TIMED_STEPS} training steps", 0))
    return asdict(time_steps(TrainingJob(**values)))


def time_steps(job: TrainingJob) -> Rate:
    """Train for so many steps in this process, with all that goes with them, and throw the model away.

    Raises:
        InputError: something in the job cannot be used, or another retraining is running on the device.
    """

    def refuse(before: list[Ticket]) -> None:
        raise InputError(
            "Another retraining is running on this device, so the speed cannot be measured now. Start this one: it "
            "queues, and begins by itself."
        )

    job = job.model_copy(update={"report_to": ()})
    with hold_device(queue_name(job.device), job.folder, waiting=refuse, should_stop=never):
        log = EventLog(job.folder)
        log.state("starting")
        fit(_trainer(job, load_data(job), TIMED_STEPS + 1), log)
    rate = rate_of(job.folder, {})
    if rate is None:
        raise WorkFailed(f"The {TIMED_STEPS} steps of the timing took no time that can be measured.")
    return replace(rate, source=None)


def _trainer(job: TrainingJob, data: TrainingData, steps: int) -> EditKeepingTrainer:
    return (EditKeepingTrainer if data.distillation is None else DistillingTrainer)(job, data, steps)


def fit(
    trainer: EditKeepingTrainer, log: EventLog, progress: ProgressCallback = silent, stop: ShouldStop = never
) -> tuple[TrainingMonitor, int | None]:
    """Take the steps that the last checkpoint does not have; returns what was counted and the checkpoint's step.

    Raises:
        Stopped: someone asked.
        WorkFailed: the loss or a weight is not a number any more.
    """
    job, data = trainer.job, trainer.data
    monitor = TrainingMonitor(trainer, log, progress, stop)
    trainer.add_callback(monitor)
    if trainer.args.should_save and discard_others(job.checkpoints, trainer.identity):
        _log.warning("Settings, text or model changed since the last checkpoint: retraining from the start")
    trainer.accelerator.wait_for_everyone()
    checkpoint, begun = last_complete(job.checkpoints, trainer.identity) or (None, None)
    _log.info(
        "Training %s: %d texts, %d sequences, %d steps of %d, %s, from step %d",
        job.model_folder, data.train.texts, len(data.train.ids), trainer.args.max_steps, job.batch_size,
        trainer.compute_dtype, begun or 0,
    )  # fmt: skip
    if checkpoint is None:
        trainer.write_edits()
    trainer.args.eval_on_start = checkpoint is None and data.validation is not None
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    data.model.config.use_cache = trainer.use_cache
    if monitor.stopped:
        raise Stopped(
            f"Retraining was stopped at step {trainer.state.global_step} of {trainer.args.max_steps}; a checkpoint is "
            "kept. Start again to go on from it."
        )
    if broken := not_finite(data.model):
        raise trainer.diverged(f"The weight {broken} is not a number any more")
    return monitor, begun


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn what torch raises when memory runs out into a sentence."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise WorkFailed(
                "Memory ran out while retraining. Use a smaller retraining.batch_size or max_length."
            ) from error
        raise


def _finished(trainer: EditKeepingTrainer) -> dict[str, Any] | None:
    """The figures of this very training, if its model stands there already."""
    folder = trainer.job.final_folder
    figures = read_object(folder / FIGURES_FILE)
    return figures | {"model_folder": str(folder)} if figures.get("identity") == trainer.identity else None


def _save(trainer: EditKeepingTrainer, figures: dict[str, Any]) -> dict[str, Any]:
    """Save the model whole or not at all, with its figures and the edits read back; returns the figures."""
    job, data = trainer.job, trainer.data
    if trainer.args.should_save:
        with new_folder(job.final_folder) as folder:
            if data.adapters is not None:
                data.adapters.merge()
            data.model.to(data.saved_dtype).save_pretrained(folder)
            data.tokenizer.save_pretrained(folder)
            regrown = sum(edit.undone(folder) for edit in data.edits)
            if regrown and job.keep_pruned:
                raise WorkFailed(
                    f"{regrown} cut neurons or reset tokens (of {figures['cut']} and {figures['token_rows']}) are not "
                    "as the edit left them in the saved file, so it was not kept. Please report this with the recipe."
                )
            write_json(folder / FIGURES_FILE, figures | {"keep_pruned": job.keep_pruned, "regrown": regrown})
        shutil.rmtree(job.checkpoints, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    saved = _finished(trainer)
    if saved is None:
        raise WorkFailed(f"{job.final_folder} vanished while it was written. Start the retraining again.")
    return saved


def _figures(trainer: EditKeepingTrainer, monitor: TrainingMonitor, checkpoint: int | None) -> dict[str, Any]:
    data = trainer.data
    history = trainer.state.log_history  # goes through checkpoints, so it holds what came before a stop
    losses = [point["loss"] for point in history if "loss" in point]
    evaluations = [(point["step"], point["eval_loss"]) for point in history if "eval_loss" in point]
    further = {} if data.distillation is None else {"distillation": data.distillation.figures()}
    if data.adapters is not None:
        further["adapters"] = data.adapters.figures()
    return {
        "identity": trainer.identity,
        "steps": trainer.state.global_step,
        "resumed_from": checkpoint,
        "loss_first": losses[0] if losses else None,
        "loss_last": losses[-1] if losses else None,
        "eval_loss_before": next((loss for step, loss in evaluations if step == 0), None),
        "eval_loss_after": evaluations[-1][1] if evaluations else None,
        "tokens": monitor.tokens,
        "seconds": round(monitor.seconds, 3),
        "tokens_per_second": round(monitor.tokens / max(monitor.seconds, 1e-9), 1),
        "precision": str(trainer.compute_dtype).removeprefix("torch."),
        "saved_dtype": str(data.saved_dtype).removeprefix("torch."),
        "cut": sum(edit.size for edit in data.edits),
        "token_rows": sum(len(edit.tokens) for edit in data.edits),
        "texts": data.train.texts,
        "sequences": len(data.train.ids),
        "too_short": data.train.too_short,
        "max_length": data.train.max_length,
        "end_of_text": data.train.end_of_text,
        "processes": trainer.args.world_size,
        **further,
    }
