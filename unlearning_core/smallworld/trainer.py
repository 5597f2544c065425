"""One pass of a SmallWorld training: what a step does, what is measured, when the newest state is kept."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import GPT2LMHeadModel

from unlearning_core.errors import WorkFailed
from unlearning_core.models.devices import has_bfloat16
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.smallworld.record import Record, TrainingState
from unlearning_core.smallworld.rows import batches, pack
from unlearning_core.smallworld.training_settings import TrainingSettings

_log = logging.getLogger(__name__)

_POINTS = 50
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_BETAS = (0.9, 0.95)
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Texts:
    """Texts as token ids, and of each whether it is about the concept that is routed (none is, where nothing is)."""

    ids: list[np.ndarray]
    about: list[bool]

    def of(self, about: bool) -> list[np.ndarray]:
        """Those about the concept, or the others."""
        return [ids for ids, flag in zip(self.ids, self.about, strict=True) if flag is about]


def learning_rate(step: int, steps: int, settings: TrainingSettings) -> float:
    """Of the step with this number (from 0): a linear rise, then half a cosine down to zero, or a cool-down before."""
    if settings.last_step is not None and settings.cooldown is not None and step > settings.cooldown:
        left = (settings.last_step - step) / (settings.last_step - settings.cooldown)
        return left * learning_rate(settings.cooldown, steps, settings)
    rising = max(1, round(settings.warmup * steps))
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def next_token_loss(model: GPT2LMHeadModel, ids: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood in nats of every token but the first of each row; `ids` is [rows, tokens]."""
    # The last position predicts nothing, but a full row of a round length is computed faster than one without it.
    hidden = model.transformer(ids).last_hidden_state[:, :-1]
    logits = model.lm_head(hidden).flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:].flatten())


class Trainer:
    """Model and optimizer, and what one step does."""

    def __init__(
        self, model: GPT2LMHeadModel, settings: TrainingSettings, steps: int, device: str, compiled: bool
    ) -> None:
        self.model = model.to(device).train()
        self.settings = settings
        self.steps = steps
        self.end = min(steps, settings.last_step or steps)
        self.device = device
        self.optimizer = self._optimizer(self._groups())
        self._loss: Callable[..., torch.Tensor] = next_token_loss
        if compiled:
            # Each shape is compiled for itself: with a symbolic one the kernels are half as fast.
            self._loss = torch.compile(next_token_loss, dynamic=False)
        kind = device.partition(":")[0]
        self._cast = torch.autocast(kind, torch.bfloat16, enabled=has_bfloat16(kind))

    def run(
        self, training: TrainingState, read: Texts, held_out: Texts, record: Record, progress: ProgressCallback
    ) -> None:
        """All steps that `training` has not taken yet."""
        settings = self.settings
        tokens = settings.batch_rows * settings.context
        between, end = max(1, self.steps // _POINTS), self.end
        losses: list[torch.Tensor] = []
        begun, saved = time.monotonic() - training.seconds, time.monotonic()
        source = self._batches(read, training.step)
        while training.step < end:
            self._set_learning_rate(training.step)
            losses.append(self._step(training.step, next(source)))
            training.step += 1
            training.seconds = time.monotonic() - begun
            progress(Progress("training", training.step * tokens, end * tokens, "tokens"))
            if training.step % between == 0 or training.step == end:
                self._measure(training, losses, held_out)
                losses = []
            if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS and not losses:
                record.save_checkpoint(self.model, self.optimizer, training, self.plain())
                saved = time.monotonic()

    def plain(self) -> GPT2LMHeadModel:
        """The model as it is saved."""
        return self.model

    def _optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        fused = not self.device.startswith("mps")
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate, betas=_BETAS, fused=fused)

    def _groups(self) -> list[dict[str, Any]]:
        """What the optimizer changes: matrices with weight decay, gains and biases without."""
        parameters = list(self.model.parameters())
        return [
            {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": self.settings.weight_decay},
            {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
        ]

    def _batches(self, read: Texts, start: int) -> Iterator[Any]:
        """What the steps from `start` on read."""
        return batches(read.ids, self.settings.context, self.settings.batch_rows, self.settings.start_seed, start)

    def _set_learning_rate(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.steps, self.settings)

    def _step(self, step: int, batch: Any) -> torch.Tensor:
        """Learn from what `_batches` gave for the step of this number; returns the loss before it, detached."""
        loss = self._learn(batch, list(self.model.parameters()))
        self._apply()
        return loss

    def _learn(self, rows: np.ndarray, parameters: list[torch.nn.Parameter]) -> torch.Tensor:
        """Leave the gradients of the loss on `rows` in `parameters`, clipped together."""
        with self._cast:
            loss = self._loss(self.model, self._tensor(rows))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        return loss.detach()

    def _apply(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _measure(self, training: TrainingState, losses: list[torch.Tensor], held_out: Texts) -> None:
        figures = {"train": float(torch.stack(losses).mean()), **self._held_out_losses(held_out)}
        if not all(map(math.isfinite, figures.values())):
            raise WorkFailed(
                f"The loss is not a number after step {training.step}: the learning rate "
                f"{self.settings.learning_rate} is too high. Give a lower --learning-rate."
            )
        figures = {name: round(value, 4) for name, value in figures.items()}
        training.loss.append({"step": training.step, **figures})
        _log.info("step %d of %d: %s", training.step, self.steps, figures)

    def _held_out_losses(self, held_out: Texts) -> dict[str, float]:
        return {"held_out": self._held_out_loss(held_out.ids)}

    def _held_out_loss(self, ids: list[np.ndarray]) -> float:
        """Mean loss in nats a token over rows packed from `ids`."""
        rows = pack(ids, range(len(ids)), self.settings.context)
        if not len(rows):
            rows = np.concatenate(ids)[None]
        with torch.no_grad(), self._cast:
            size = self.settings.batch_rows
            parts = [rows[start : start + size] for start in range(0, len(rows), size)]
            total = sum(float(next_token_loss(self.model, self._tensor(part))) * len(part) for part in parts)
        return total / len(rows)

    def _tensor(self, rows: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(rows, dtype=torch.long, device=self.device)
