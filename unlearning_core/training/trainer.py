"""Hugging Face's `Trainer` for an edited model: its edits stay, batches carry little padding, no step is lost."""

import contextlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer

from unlearning_core.errors import WorkFailed
from unlearning_core.training.batching import LengthGroupedOrder, pad
from unlearning_core.training.checkpoints import full_disk, mark
from unlearning_core.training.data import not_finite
from unlearning_core.training.kept_edits import KeptEdit
from unlearning_core.training.sequences import Sequences

_log = logging.getLogger(__name__)


class EditKeepingTrainer(Trainer):
    """Trains on `Sequences`, token by token alike, and writes checkpoints that can be told whole from torn.

    Differences from `Trainer`: the order of the texts depends on seed and epoch alone, so a resumed training equals an
    uninterrupted one; `edits` are written again after each optimizer step; the steps run under autocast without the
    copy of the scores to float32 that Accelerate's wrapper makes; evaluation is the mean over tokens, not over batches;
    a loss that is not a number ends the training.
    """

    control: Any

    def __init__(
        self,
        model: Any,
        args: Any,
        *,
        train: Sequences,
        validation: Sequences | None,
        pad_id: int,
        batch_size: int,
        dtype: torch.dtype,
        edits: Sequence[KeptEdit],
        identity: str,
    ) -> None:
        self.pad_id = pad_id
        self.use_cache = model.config.use_cache  # Trainer switches it off; the saved model keeps its own
        super().__init__(model=model, args=args, data_collator=self._collate, train_dataset=train.ids)
        # Trainer would split each batch over all visible cards; one process drives one.
        self.args._n_gpu = min(self.args.n_gpu, 1)
        self.order = LengthGroupedOrder(train.lengths, batch_size, args.seed)
        self.validation = validation
        self.compute_dtype = dtype
        self.edits = edits
        self.identity = identity
        self.step_tokens = 0

    def _collate(self, sequences: list[Any]) -> dict[str, Tensor]:
        return pad(sequences, self.pad_id)

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedOrder:
        return self.order

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """The number format of the maths: `compute_dtype` in the matrix products, float32 in the weights."""
        if self.compute_dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.args.device.type, self.compute_dtype)

    def compute_loss_context_manager(self) -> contextlib.ExitStack:
        """What `Trainer` computes each loss under."""
        stack = super().compute_loss_context_manager()
        stack.enter_context(self.autocast())
        return stack

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """One forward and backward pass; counts the predicted tokens of all processes in `step_tokens`."""
        if num_items_in_batch is None:
            self.step_tokens += int((inputs["labels"][:, 1:] != -100).sum()) * self.args.world_size
        else:
            self.step_tokens = int(num_items_in_batch)
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise self.diverged("The loss is not a number any more")
        return loss

    def diverged(self, what: str) -> WorkFailed:
        """The sentence for a training that blew up."""
        rate = self.args.learning_rate
        return WorkFailed(
            f"{what} (step {self.state.global_step + 1} of {self.state.max_steps}): the learning rate {rate:g} is "
            f"too large for this model. Start again with a smaller one, for example {rate / 10:g}."
        )

    def write_edits(self) -> None:
        """Make the edits hold again."""
        for edit in self.edits:
            edit.write()

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Mean negative log-likelihood on the validation sequences, nats a token; each process takes a share."""
        if self.validation is None:
            return {}
        self.model.eval()
        ids = sorted(self.validation.ids, key=len, reverse=True)
        size = self.args.per_device_eval_batch_size
        batches = [ids[start : start + size] for start in range(0, len(ids), size)]
        total = torch.zeros(2, dtype=torch.float64)
        for batch in batches[self.args.process_index :: self.args.world_size]:
            inputs = self._prepare_inputs(self._collate(batch))
            labels = inputs.pop("labels")
            with self.autocast():
                scores = self.model(**inputs, use_cache=False).logits
            targets = labels[:, 1:].flatten()
            losses = nn.functional.cross_entropy(scores[:, :-1].flatten(0, 1).float(), targets, reduction="sum")
            total += torch.stack([losses.double().cpu(), (targets != -100).sum().cpu()])
        if self.args.world_size > 1:
            total = self.accelerator.reduce(total.float().to(self.args.device), "sum").cpu()
        self.model.train()
        metrics = {"eval_loss": float(total[0] / total[1])}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if not_finite(self.model):
            raise self.diverged("A weight is not a number any more")
        checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            with full_disk(checkpoint):
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    mark(checkpoint, self.identity, self.state.global_step)
        except BaseException:
            shutil.rmtree(checkpoint, ignore_errors=True)
            raise
        _log.info("Checkpoint at step %d", self.state.global_step)
