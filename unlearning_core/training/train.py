"""One retraining from a job to a saved model: what the worker process runs, and each process under `accelerate`."""

import logging
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainingArguments

from unlearning_core.edits.weights import cuts, survivors
from unlearning_core.errors import InputError, Stopped, WorkbenchError, WorkFailed
from unlearning_core.files import new_folder, write_json
from unlearning_core.jobs.device_queue import device_for
from unlearning_core.jobs.events import EventLog, read_json
from unlearning_core.jobs.liveness import record
from unlearning_core.jobs.stopping import ShouldStop, never, stop_on_signals
from unlearning_core.models.mapping import map_model
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.training.batching import split_batch
from unlearning_core.training.callback import Watch
from unlearning_core.training.checkpoints import discard_others, full_disk, identity, last_complete
from unlearning_core.training.data import Material, gather, not_finite
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.learning import Learning
from unlearning_core.training.precision import compute_dtype
from unlearning_core.training.trainer import PrunedTrainer

FIGURES_FILE = "retraining.json"
"""In the saved model's folder: how it was trained, and the identity of that training."""

_log = logging.getLogger(__name__)


def train(job: TrainingJob, progress: ProgressCallback = silent, should_stop: ShouldStop = never) -> dict[str, Any]:
    """Retrain and save; goes on from the last checkpoint of the same training, or returns what it left if it finished.

    Call it in one process, or in each process of `accelerate launch` / `torchrun` (only the first one writes). Ctrl-C
    and SIGTERM stop it like `should_stop`, between two optimizer steps. While another process trains on the device, it
    waits for its turn (see turn.py).

    Args:
        progress: told after every optimizer step; may raise `Stopped`.
        should_stop: asked after every optimizer step.

    Returns:
        The figures of the training, JSON-able: model_folder, steps, loss and evaluation loss (nats a token) at the
        start and the end, tokens_per_second (predicted tokens, without padding), cut, regrown, precision, ...

    Raises:
        InputError: something in the job cannot be used.
        Stopped: someone asked; a checkpoint is left.
        WorkFailed: the loss is not a number, the disk is full, memory ran out.
    """
    first = int(os.environ.get("RANK", "0")) == 0
    log = EventLog(job.folder, silent=not first)
    if first:
        record(job.folder, os.getpid())
    with stop_on_signals() as signalled:

        def stop() -> bool:
            return signalled() or should_stop()

        with _reported(log), device_for(job, log, progress, stop):
            log.state("starting", step=0, ahead=0, result=None, exit_code=None, error=None)
            material = gather(job, progress)
            if stop():
                raise Stopped("Retraining was stopped before its first step. Start it again to go on.")
            result = _run(job, material, log, progress, stop)
        if stop():
            raise Stopped("Retraining had finished when the stop came; its model is kept. Start again to go on.")
        return result


@contextmanager
def _reported(log: EventLog) -> Iterator[None]:
    """Leave the way a training ended in its status."""
    try:
        yield
    except BaseException as error:
        ending = _readable(error)
        state = "stopped" if isinstance(ending, Stopped | KeyboardInterrupt) else "failed"
        with suppress(WorkbenchError, OSError):
            log.state(state, str(ending) or type(ending).__name__, error=type(ending).__name__)
        if ending is error:
            raise
        raise ending from error


def _readable(error: BaseException) -> BaseException:
    """`error`, or the sentence for it."""
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
    if memory:
        return WorkFailed("Memory ran out while retraining. Use a smaller retraining.batch_size or max_length.")
    return error


def _run(
    job: TrainingJob, material: Material, log: EventLog, progress: ProgressCallback, stop: ShouldStop
) -> dict[str, Any]:
    steps_a_pass = math.ceil(len(material.train.ids) / job.batch_size)
    total = job.max_steps or math.ceil(job.epochs * steps_a_pass)
    watch = Watch(job, total, log, progress, stop)
    cached = material.model.config.use_cache  # Trainer switches it off
    trainer = make_trainer(job, material, total)
    trainer.add_callback(watch)
    watch.trainer, watch.learning = trainer, Learning(job, total, log, trainer, material.tokenizer)
    if done := _finished(job, trainer):
        log.state("finished", f"Nothing had changed: the model is in {job.final_folder}", step=total, result=done)
        return done
    checkpoint = _checkpoint(job, trainer)
    _log.info(
        "Retraining %s: %d texts, %d sequences, %d steps of %d, %s, from step %d",
        job.model_folder, material.train.texts, len(material.train.ids), total, job.batch_size,
        trainer.compute_dtype, checkpoint[1] if checkpoint else 0,
    )  # fmt: skip
    if checkpoint is None:
        trainer.write_cuts()
    trainer.args.eval_on_start = checkpoint is None and material.validation is not None
    trainer.train(resume_from_checkpoint=str(checkpoint[0]) if checkpoint else None)
    material.model.config.use_cache = cached
    step = trainer.state.global_step
    if watch.stopped:
        raise Stopped(
            f"Retraining was stopped at step {step} of {total}; a checkpoint is kept. Start again to go on from it."
        )
    if broken := not_finite(material.model):
        raise trainer.diverged(f"The weight {broken} is not a number any more")
    result = _save(job, material, trainer, _result(material, trainer, watch, checkpoint))
    log.state("finished", f"{total} steps; the model is in {job.final_folder}", step=step, result=result)
    return result


def make_trainer(job: TrainingJob, material: Material, total: int) -> PrunedTrainer:
    """The trainer for `total` optimizer steps of `job`; `train` adds what watches it."""
    arguments, parts = _arguments(job, material, total)
    device = arguments.device.type
    parameters = material.model.num_parameters()
    tokenizer = material.tokenizer
    pad_id = next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)
    dtype = compute_dtype(job.dtype, device, parameters)
    mask = material.mask
    weights = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _weights(job)]
    settings = {k: v for k, v in job.to_dict().items() if k not in _NO_MATTER}
    training = identity(
        settings, weights, material.train.digest(), mask.digest() if mask else None, str(dtype), arguments.world_size,
        parts, total,
    )  # fmt: skip
    trainer = PrunedTrainer(
        material.model,
        arguments,
        train=material.train,
        validation=material.validation,
        pad_id=pad_id,
        batch_size=job.batch_size,
        dtype=dtype,
        cuts=cuts(map_model(material.model), mask) if mask and job.keep_pruned else [],
        identity=training,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


_NO_MATTER = {
    "output_folder", "model_folder", "train_path", "validation_path", "recipe_folder", "probe_set_path", "prompts",
    "sample_tokens", "measure_every", "measure_share", "eval_every", "eval_texts", "checkpoint_every",
}  # fmt: skip
"""Fields that do not decide the weights of a step, or do so through what they point to."""


def _weights(job: TrainingJob) -> list[Path]:
    return sorted(Path(job.model_folder).glob("*.safetensors"))


def _arguments(job: TrainingJob, material: Material, total: int) -> tuple[TrainingArguments, int]:
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
        job.batch_size // world, max(material.train.lengths), material.model.config.get_text_config().vocab_size
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


def _checkpoint(job: TrainingJob, trainer: PrunedTrainer) -> tuple[Path, int] | None:
    """The checkpoint to go on from; whatever cannot be used is discarded by the first process."""
    if trainer.args.should_save and discard_others(job.checkpoints, trainer.identity):
        _log.warning("Settings, text or model changed since the last checkpoint: retraining from the start")
    trainer.accelerator.wait_for_everyone()
    return last_complete(job.checkpoints, trainer.identity)


def _finished(job: TrainingJob, trainer: PrunedTrainer) -> dict[str, Any] | None:
    """The figures of this very training, if its model stands there already."""
    figures = read_json(job.final_folder / FIGURES_FILE)
    if figures.get("identity") != trainer.identity:
        return None
    return figures | {"model_folder": str(job.final_folder)}


def _save(job: TrainingJob, material: Material, trainer: PrunedTrainer, figures: dict[str, Any]) -> dict[str, Any]:
    """Save the model whole or not at all, with its figures and the cut read back from the file; returns the figures."""
    mask = material.mask
    if trainer.args.should_save:
        with full_disk(job.final_folder), new_folder(job.final_folder) as folder:
            material.model.to(material.saved_dtype).save_pretrained(folder)
            material.tokenizer.save_pretrained(folder)
            regrown = len(survivors(folder, mask)) if mask else 0
            if mask and regrown and job.keep_pruned:
                raise WorkFailed(
                    f"{regrown} of {mask.cut} cut neurons are not zero in the saved file, so it was not kept. "
                    "Please report this with the recipe."
                )
            write_json(folder / FIGURES_FILE, figures | {"keep_pruned": job.keep_pruned, "regrown": regrown})
        shutil.rmtree(job.checkpoints, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    saved = _finished(job, trainer)
    if saved is None:
        raise WorkFailed(f"{job.final_folder} vanished while it was written. Start the retraining again.")
    return saved


def _result(
    material: Material, trainer: PrunedTrainer, watch: Watch, checkpoint: tuple[Path, int] | None
) -> dict[str, Any]:
    mask, sequences = material.mask, material.train
    history = trainer.state.log_history  # goes through checkpoints, so it holds what came before a stop
    losses = [point["loss"] for point in history if "loss" in point]
    evaluations = [(point["step"], point["eval_loss"]) for point in history if "eval_loss" in point]
    return {
        "identity": trainer.identity,
        "steps": trainer.state.global_step,
        "resumed_from": checkpoint[1] if checkpoint else None,
        "loss_first": losses[0] if losses else None,
        "loss_last": losses[-1] if losses else None,
        "eval_loss_before": next((loss for step, loss in evaluations if step == 0), None),
        "eval_loss_after": evaluations[-1][1] if evaluations else None,
        "tokens": watch.tokens,
        "seconds": round(watch.seconds, 3),
        "tokens_per_second": round(watch.tokens / max(watch.seconds, 1e-9), 1),
        "precision": str(trainer.compute_dtype).removeprefix("torch."),
        "saved_dtype": str(material.saved_dtype).removeprefix("torch."),
        "cut": mask.cut if mask else 0,
        "texts": sequences.texts,
        "sequences": len(sequences.ids),
        "too_short": sequences.too_short,
        "max_length": sequences.max_length,
        "end_of_text": sequences.end_of_text,
        "processes": trainer.args.world_size,
    }
