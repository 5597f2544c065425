"""One training from a job to a saved model: what the worker process runs, and each process under `accelerate`."""

import logging
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainingArguments

from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import new_folder, write_json
from unlearning_core.jobs.device_queue import queued_for
from unlearning_core.jobs.events import EventLog, read_json
from unlearning_core.jobs.stopping import ShouldStop, never, stop_on_signals
from unlearning_core.jobs.worker import JobContext, working_in
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.training.batching import split_batch
from unlearning_core.training.callback import TrainingMonitor
from unlearning_core.training.checkpoints import discard_others, fingerprint, full_disk, last_complete
from unlearning_core.training.data import TrainingData, load_data, not_finite
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.learning import Learning
from unlearning_core.training.precision import compute_dtype
from unlearning_core.training.trainer import EditKeepingTrainer

FIGURES_FILE = "retraining.json"
"""In the saved model's folder: how it was trained, and the identity of that training."""

_log = logging.getLogger(__name__)


def train(job: TrainingJob, progress: ProgressCallback = silent, should_stop: ShouldStop = never) -> dict[str, Any]:
    """Retrain and save; goes on from the last checkpoint of the same training, or returns what it left if it finished.

    Call it in one process, or in each process of `accelerate launch` / `torchrun` (only the first one writes). Ctrl-C
    and SIGTERM stop it like `should_stop`, between two optimizer steps. While another process trains on the device, it
    waits in the queue.

    Args:
        progress: told after every optimizer step; may raise `Stopped`.
        should_stop: asked after every optimizer step.

    Returns:
        The figures of the training, JSON-able: model_folder, steps, loss and evaluation loss (nats a token) at the
        start and the end, tokens_per_second (predicted tokens, without padding), cut, regrown, precision, ...

    Raises:
        InputError: something in the job cannot be used, or a worker is at work in its folder.
        Stopped: someone asked; a checkpoint is left.
        WorkFailed: the loss is not a number, the disk is full, memory ran out.
    """
    first = int(os.environ.get("RANK", "0")) == 0
    with stop_on_signals() as signalled:

        def stop() -> bool:
            return signalled() or should_stop()

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
        trainer = make_trainer(job, data, total_steps(job, data))
        if done := _finished(job, trainer):
            step = trainer.args.max_steps
            log.state("finished", f"Nothing had changed: the model is in {job.final_folder}", step=step, result=done)
            return done
        monitor, checkpoint = fit(job, data, trainer, log, progress, stop)
        result = _save(job, data, trainer, _figures(data, trainer, monitor, checkpoint))
        step = trainer.state.global_step
        log.state("finished", f"{step} steps; the model is in {job.final_folder}", step=step, result=result)
        return result


def total_steps(job: TrainingJob, data: TrainingData) -> int:
    """Optimizer steps of the whole training."""
    return job.max_steps or math.ceil(job.epochs * math.ceil(len(data.train.ids) / job.batch_size))


def fit(
    job: TrainingJob,
    data: TrainingData,
    trainer: EditKeepingTrainer,
    log: EventLog,
    progress: ProgressCallback = silent,
    stop: ShouldStop = never,
) -> tuple[TrainingMonitor, int | None]:
    """Take the steps that the last checkpoint does not have; returns what was counted and the checkpoint's step.

    Raises:
        Stopped: someone asked; a checkpoint is left.
        WorkFailed: the loss is not a number, the disk is full.
    """
    learning = Learning(job, trainer.args.max_steps, log, trainer, data.tokenizer)
    monitor = TrainingMonitor(job, trainer, learning, log, progress, stop)
    trainer.add_callback(monitor)
    checkpoint, begun = _checkpoint(job, trainer) or (None, None)
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


def make_trainer(job: TrainingJob, data: TrainingData, total: int) -> EditKeepingTrainer:
    """The trainer for `total` optimizer steps of `job`; `train` adds what watches it."""
    arguments, parts = _arguments(job, data, total)
    device = arguments.device.type
    parameters = data.model.num_parameters()
    tokenizer = data.tokenizer
    pad_id = next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)
    dtype = compute_dtype(job.dtype, device, parameters)
    files = sorted(Path(job.model_folder).glob("*.safetensors"))
    weights = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    settings = job.model_dump(mode="json", exclude=_NO_MATTER)
    edits = [edit.digest() for edit in data.edits]
    training = fingerprint(
        settings, weights, data.train.digest(), edits, str(dtype), arguments.world_size, parts, total
    )
    trainer = EditKeepingTrainer(
        data.model,
        arguments,
        train=data.train,
        validation=data.validation,
        pad_id=pad_id,
        batch_size=job.batch_size,
        dtype=dtype,
        edits=data.edits if job.keep_pruned else [],
        identity=training,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


_NO_MATTER = {
    "output_folder", "model_folder", "train_path", "validation_path", "recipe_folder", "probe_set_path", "prompts",
    "sample_tokens", "measure_every", "measure_share", "eval_every", "eval_texts", "checkpoint_every",
}  # fmt: skip
"""Fields that do not decide the weights of a step, or do so through what they point to."""


def _arguments(job: TrainingJob, data: TrainingData, total: int) -> tuple[TrainingArguments, int]:
    """The arguments, and in how many parts a process computes its share of a batch."""
    if job.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device is 'cuda', but this machine has no CUDA card that torch can use; use 'auto'.")
    use_cpu = job.device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if job.batch_size % world:
        raise InputError(
            f"batch_size is {job.batch_size}, which {world} processes cannot share evenly; use a multiple of {world}."
        )
    at_once, parts = split_batch(
        job.batch_size // world, max(data.train.lengths), data.model.config.get_text_config().vocab_size
    )
    return TrainingArguments(
        output_dir=str(job.checkpoints),
        max_steps=total,
        per_device_train_batch_size=at_once,
        per_device_eval_batch_size=at_once,
        gradient_accumulation_steps=parts,
        learning_rate=job.learning_rate,
        weight_decay=job.weight_decay,
        warmup_steps=job.warmup_ratio,
        optim="adamw_torch" if not use_cpu and not torch.cuda.is_available() else "adamw_torch_fused",
        seed=job.seed,
        data_seed=job.seed,
        logging_steps=max(1, total // 500),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="no",
        save_total_limit=2,
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not use_cpu,
        use_cpu=use_cpu,
        ddp_backend="gloo" if use_cpu and world > 1 else None,
        ddp_find_unused_parameters=False if world > 1 else None,
        push_to_hub=False,
    ), parts


def _checkpoint(job: TrainingJob, trainer: EditKeepingTrainer) -> tuple[Path, int] | None:
    """The checkpoint to go on from; whatever cannot be used is discarded by the first process."""
    if trainer.args.should_save and discard_others(job.checkpoints, trainer.identity):
        _log.warning("Settings, text or model changed since the last checkpoint: retraining from the start")
    trainer.accelerator.wait_for_everyone()
    return last_complete(job.checkpoints, trainer.identity)


def _finished(job: TrainingJob, trainer: EditKeepingTrainer) -> dict[str, Any] | None:
    """The figures of this very training, if its model stands there already."""
    figures = read_json(job.final_folder / FIGURES_FILE)
    if figures.get("identity") != trainer.identity:
        return None
    return figures | {"model_folder": str(job.final_folder)}


def _save(job: TrainingJob, data: TrainingData, trainer: EditKeepingTrainer, figures: dict[str, Any]) -> dict[str, Any]:
    """Save the model whole or not at all, with its figures and the edits read back; returns the figures."""
    if trainer.args.should_save:
        with full_disk(job.final_folder), new_folder(job.final_folder) as folder:
            data.model.to(data.saved_dtype).save_pretrained(folder)
            data.tokenizer.save_pretrained(folder)
            regrown = sum(edit.undone(folder) for edit in data.edits)
            if regrown and job.keep_pruned:
                raise WorkFailed(
                    f"{regrown} of {figures['cut']} cut neurons are not zero in the saved file, so it was not kept. "
                    "Please report this with the recipe."
                )
            write_json(folder / FIGURES_FILE, figures | {"keep_pruned": job.keep_pruned, "regrown": regrown})
        shutil.rmtree(job.checkpoints, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    saved = _finished(job, trainer)
    if saved is None:
        raise WorkFailed(f"{job.final_folder} vanished while it was written. Start the retraining again.")
    return saved


def _figures(
    data: TrainingData, trainer: EditKeepingTrainer, monitor: TrainingMonitor, checkpoint: int | None
) -> dict[str, Any]:
    history = trainer.state.log_history  # goes through checkpoints, so it holds what came before a stop
    losses = [point["loss"] for point in history if "loss" in point]
    evaluations = [(point["step"], point["eval_loss"]) for point in history if "eval_loss" in point]
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
        "texts": data.train.texts,
        "sequences": len(data.train.ids),
        "too_short": data.train.too_short,
        "max_length": data.train.max_length,
        "end_of_text": data.train.end_of_text,
        "processes": trainer.args.world_size,
    }
