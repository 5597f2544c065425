"""Hugging Face's `Trainer` for an edited model: its edits stay, batches carry little padding, no step is lost."""

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.integrations import TensorBoardCallback

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import disk_errors
from unlearning_core.models.devices import compute_dtype
from unlearning_core.training.batching import LengthGroupedOrder, MixedOrder, pad, split_batch
from unlearning_core.training.checkpoints import fingerprint, mark
from unlearning_core.training.data import TrainingData, not_finite
from unlearning_core.training.job import TrainingJob

_log = logging.getLogger(__name__)


class EditKeepingTrainer(Trainer):
    """Trains on `Sequences`, token by token alike, and writes checkpoints that can be told whole from torn.

    Differences from `Trainer`: the order of the texts depends on seed and epoch alone, so a resumed training equals an
    uninterrupted one; `edits` are written again after each optimizer step; the steps run under autocast without the
    copy of the scores to float32 that Accelerate's wrapper makes; evaluation is the mean over tokens, not over batches;
    a loss that is not a number ends the training.
    """

    control: Any

    def __init__(self, job: TrainingJob, data: TrainingData, total: int) -> None:
        """For `total` optimizer steps of `job`.

        Raises:
            InputError: the device or the batch size cannot be had here.
        """
        self.job, self.data = job, data
        arguments, parts = self._arguments(total)
        model, device = data.model, arguments.device.type
        self.compute_dtype = compute_dtype(job.dtype, device, model.num_parameters())
        files = sorted(Path(job.model_folder).glob("*.safetensors"))
        weights = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        settings = job.model_dump(mode="json", exclude=_NO_MATTER)
        edits = [edit.digest() for edit in data.edits]
        further = data.distillation.decides() if data.distillation is not None else []
        self.identity = fingerprint(
            [
                settings, weights, data.train.digest(), edits, str(self.compute_dtype), arguments.world_size, parts,
                total, *further,
            ]
        )  # fmt: skip
        self.use_cache = model.config.use_cache  # Trainer switches it off; the saved model keeps its own
        if data.saved_dtype != self.compute_dtype:
            model.float()  # with adapters it is as it was saved
        super().__init__(model=data.trained, args=arguments, data_collator=self._collate, train_dataset=data.train.ids)
        # Trainer would split each batch over all visible cards; one process drives one.
        self.args._n_gpu = min(self.args.n_gpu, 1)
        self.order: LengthGroupedOrder | MixedOrder = LengthGroupedOrder(data.train.lengths, job.batch_size, job.seed)
        self.step_tokens = 0
        self.remove_callback(PrinterCallback)
        if "tensorboard" in job.report_to:
            board = TensorBoardCallback()
            board.logging_dir = board.logging_dir or str(job.folder / "tensorboard")
            self.add_callback(board)

    @property
    def pad_id(self) -> int:
        """What a batch is padded with."""
        tokenizer = self.data.tokenizer
        return next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)

    def _collate(self, sequences: list[Any]) -> dict[str, Tensor]:
        return pad(sequences, self.pad_id)

    def _shares(self, at_once: int, world: int) -> tuple[int, int]:
        """(texts that a process computes at once, its parts of a step), where so many texts at once are enough."""
        return at_once, self.job.batch_size // world // at_once

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedOrder | MixedOrder:
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
        for edit in self.data.edits if self.job.keep_pruned else []:
            edit.write()

    def finish(self) -> None:
        """What is left to do after the last step, before the model is saved."""

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Mean loss on the validation sequences, nats a token; each process takes a share."""
        if self.data.validation is None:
            return {}
        self.model.eval()
        ids = sorted(self.data.validation.ids, key=len, reverse=True)
        size = self.args.per_device_eval_batch_size
        batches = [ids[start : start + size] for start in range(0, len(ids), size)]
        total = torch.zeros(2, dtype=torch.float64)
        for batch in batches[self.args.process_index :: self.args.world_size]:
            total += self._evaluated(batch)
        if self.args.world_size > 1:
            total = self.accelerator.reduce(total.float().to(self.args.device), "sum").cpu()
        self.model.train()
        metrics = {"eval_loss": float(total[0] / total[1])}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _evaluated(self, sequences: list[Any]) -> Tensor:
        """float64 (summed loss in nats, tokens) of some sequences."""
        inputs = self._prepare_inputs(self._collate(sequences))
        labels = inputs.pop("labels")
        with self.autocast():
            scores = self.model(**inputs, use_cache=False).logits
        targets = labels[:, 1:].flatten()
        losses = nn.functional.cross_entropy(scores[:, :-1].flatten(0, 1).float(), targets, reduction="sum")
        return torch.stack([losses.double().cpu(), (targets != -100).sum().cpu()])

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if not_finite(self.model):
            raise self.diverged("A weight is not a number any more")
        checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            with disk_errors(checkpoint):
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    mark(checkpoint, self.identity, self.state.global_step)
        except BaseException:
            shutil.rmtree(checkpoint, ignore_errors=True)
            raise
        _log.info("Checkpoint at step %d", self.state.global_step)

    def _arguments(self, total: int) -> tuple[TrainingArguments, int]:
        """The arguments, and in how many parts a process computes its share of a batch."""
        job, config = self.job, self.data.model.config.get_text_config()
        if job.device == "cuda" and not torch.cuda.is_available():
            raise InputError("device is 'cuda', but this machine has no CUDA card that torch can use; use 'auto'.")
        use_cpu = job.device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
        world = _processes(job)
        at_once, _ = split_batch(job.batch_size // world, max(self.data.train.lengths), config.vocab_size)
        at_once, parts = self._shares(at_once, world)
        return TrainingArguments(
            output_dir=str(job.checkpoints),
            max_steps=total,
            per_device_train_batch_size=at_once,
            per_device_eval_batch_size=at_once,
            gradient_accumulation_steps=parts,
            learning_rate=job.learning_rate,
            weight_decay=job.weight_decay,
            warmup_steps=job.warmup_ratio,
            optim=_optimizer(job, use_cpu),
            activation_checkpointing=job.gradient_checkpointing,
            seed=job.seed,
            data_seed=job.seed,
            logging_steps=max(1, total // 500),
            logging_first_step=True,
            logging_nan_inf_filter=False,
            save_strategy="no",
            save_total_limit=2,
            eval_strategy="no",
            report_to=[name for name in job.report_to if name != "tensorboard"] or "none",
            run_name=job.folder.parent.name,
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=not use_cpu,
            use_cpu=use_cpu,
            ddp_backend="gloo" if use_cpu and world > 1 else None,
            ddp_find_unused_parameters=False if world > 1 else None,
            push_to_hub=False,
        ), parts


_NO_MATTER = {
    "output_folder", "model_folder", "train_path", "validation_path", "recipe_folder", "probe_set_path", "prompts",
    "sample_tokens", "measure_every", "measure_share", "quiz_path", "quiz_chat", "quiz_tokens", "eval_every",
    "eval_texts", "checkpoint_every", "distillation", "report_to", "gradient_checkpointing",
}  # fmt: skip
"""Fields that do not decide the weights of a step, or do so through what they point to or what was made of them."""


def _optimizer(job: TrainingJob, use_cpu: bool) -> str:
    """The optimizer as transformers calls it."""
    if job.optimizer == "adamw":
        return "adamw_torch" if not use_cpu and not torch.cuda.is_available() else "adamw_torch_fused"
    return job.optimizer


def _processes(job: TrainingJob) -> int:
    """How many train together."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if job.batch_size % world:
        raise InputError(
            f"batch_size is {job.batch_size}, which {world} processes cannot share evenly; use a multiple of {world}."
        )
    return world
