"""What happens around each optimizer step: edits written, progress told, measurements due, stops heard."""

import logging
import math
import time
from typing import Any

import torch
from transformers import TrainerCallback

from unlearning_core.errors import Stopped
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.stopping import ShouldStop
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.training.learning import Learning
from unlearning_core.training.rate import conditions
from unlearning_core.training.trainer import EditKeepingTrainer

_log = logging.getLogger(__name__)
CHECKPOINT_SECONDS = 120.0
EVALUATIONS = 4
_SMOOTHING = 0.1


class TrainingMonitor(TrainerCallback):
    """Follows one training.

    Attributes:
        stopped: whether the training ended because someone asked.
        tokens: predicted tokens in this session, over all processes.
        seconds: wall time of its optimizer steps, without evaluations and checkpoints.
    """

    def __init__(
        self, trainer: EditKeepingTrainer, log: EventLog, progress: ProgressCallback, should_stop: ShouldStop
    ) -> None:
        self.stopped = False
        self.tokens = 0
        self.seconds = 0.0
        self._job, self._trainer, self._log = trainer.job, trainer, log
        self._learning = Learning(trainer, log)
        self._progress, self._should_stop = progress, should_stop
        self._total = trainer.args.max_steps
        self._eval_every = self._job.eval_every or max(1, math.ceil(self._total / EVALUATIONS))
        self._mark = self._saved = self._begun = time.monotonic()
        self._logged = (0, 0.0)
        self._step_seconds: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say where it starts from, and what decides its speed."""
        self._begun = time.monotonic()
        job, trainer = self._job, self._trainer
        speed = conditions(job.model_folder, args.device.type, trainer.compute_dtype, job.pace)
        values: dict[str, Any] = {"conditions": speed, "batch_size": self._job.batch_size}
        self._log.state("running", step=state.global_step, total_steps=self._total, **values)
        self._tell(state.global_step)
        if state.is_world_process_zero:
            self._learning.measure(state.global_step, first=True)
            self._learning.ask(state.global_step, first=True)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the order of this pass; the loader's own way there differs between one process and several."""
        trainer = self._trainer
        trainer.order.set_epoch(state.global_step // math.ceil(len(trainer.order) / trainer.order.batch_size))
        self._mark = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count this step's tokens from zero."""
        self._trainer.step_tokens = 0

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Right after the optimizer wrote the weights, and before anything reads them: make the edits hold."""
        self._trainer.write_edits()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count, tell, and decide what is due."""
        took = time.monotonic() - self._mark
        self.tokens += self._trainer.step_tokens
        self.seconds += took
        old = self._step_seconds
        self._step_seconds = took if old is None else old + _SMOOTHING * (took - old)
        step = state.global_step
        last = step >= self._total
        self._tell(step)
        asked = self.stopped or self._should_stop()
        due = self._job.checkpoint_every
        save = step % due == 0 if due else time.monotonic() - self._saved > CHECKPOINT_SECONDS
        asked, save = self._agree(asked, save)
        self.stopped = asked and not last
        control.should_training_stop = control.should_training_stop or self.stopped
        control.should_save = (save or self.stopped) and not last
        control.should_evaluate = (step % self._eval_every == 0 or last) and not self.stopped
        if state.is_world_process_zero and not self.stopped:
            if self._learning.due(step, self.seconds):
                self._learning.measure(step)
            if control.should_evaluate and self._learning.may_ask(step, self.seconds):
                self._learning.ask(step)
        self._mark = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """A point of the loss curve."""
        if not logs or "loss" not in logs:
            return
        tokens, seconds = self._logged
        self._logged = (self.tokens, self.seconds)
        rate = (self.tokens - tokens) / max(self.seconds - seconds, 1e-9)
        values = {
            "step": state.global_step,
            "total_steps": self._total,
            "epoch": round(state.epoch or 0.0, 4),
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "grad_norm": logs.get("grad_norm"),
            "tokens_per_second": round(rate, 1),
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "elapsed": round(time.monotonic() - self._begun, 3),
            "eta_seconds": self._eta(state.global_step),
        }
        self._log.event("train", **values)
        self._log.step(**values)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """A point of the evaluation curve."""
        loss = metrics["eval_loss"]
        self._log.event("eval", step=state.global_step, total_steps=self._total, loss=loss)
        self._log.step(eval_loss=loss)
        self._mark = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Writing a checkpoint is no training time."""
        self._saved = self._mark = time.monotonic()

    def _eta(self, step: int) -> float | None:
        return None if self._step_seconds is None else round(self._step_seconds * (self._total - step), 1)

    def _tell(self, step: int) -> None:
        self._log.step(task="retraining", step=step, total_steps=self._total, unit="steps", eta_seconds=self._eta(step))
        try:
            self._progress(Progress("retraining", step, self._total, "steps"))
        except Stopped:
            self.stopped = True

    def _agree(self, *flags: bool) -> tuple[bool, ...]:
        """What any process says holds for all: a checkpoint and a stop are steps that they take together."""
        trainer = self._trainer
        if trainer.args.world_size == 1:
            return flags
        said = torch.tensor([float(flag) for flag in flags], device=trainer.args.device)
        return tuple(bool(count) for count in trainer.accelerator.reduce(said, "sum"))
