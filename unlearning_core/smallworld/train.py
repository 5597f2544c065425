"""Training a SmallWorld model from random weights: a plain loop, seeded, that goes on where it was stopped."""

import importlib.util
import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import new_folder
from unlearning_core.models.checksums import write_checksums
from unlearning_core.models.devices import has_bfloat16
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.smallworld.record import Record, TrainingState, checkpoint_folder
from unlearning_core.smallworld.rows import batches, pack, tokenise, train_tokenizer
from unlearning_core.smallworld.training_settings import TrainingSettings
from unlearning_core.training.checkpoints import fingerprint

_log = logging.getLogger(__name__)

_POINTS = 50
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_BETAS = (0.9, 0.95)
_LARGEST_GRADIENT = 1.0


def train(
    texts: Sequence[str],
    vocabulary_texts: Sequence[str],
    settings: TrainingSettings,
    target: Path,
    *,
    without: str | None = None,
    device: str = "cpu",
    compiled: bool = True,
    progress: ProgressCallback = silent,
) -> Path:
    """Train a model on `texts` and write it to `target`, as any local model folder.

    While it trains, the newest state is `checkpoint_folder(target)`: a model folder too. The same call goes on from it.

    Args:
        texts: what the model reads.
        vocabulary_texts: what the tokenizer is learned from; the same for models that are to be compared.
        without: the concept family that was left out of `texts`, for the record.
        device: cpu, cuda, mps.
        compiled: let torch.compile write the step's kernels (needs a C++ compiler on the CPU).

    Raises:
        InputError: `target` is there already, its checkpoint is of another training, or the texts are too few.
        WorkFailed: the loss is not a number, or the disk is full.
    """
    if target.exists():
        raise InputError(f"--output-dir {target} is there already; give another folder or delete it.")
    progress(Progress("learning the vocabulary", 0))
    tokenizer = train_tokenizer(vocabulary_texts, settings.vocabulary, settings.context)
    ids = tokenise(texts, tokenizer, progress)
    read, held_out = _split(ids, settings)
    steps = settings.steps or max(1, round(settings.epochs * _rows(read, settings) / settings.batch_rows))
    trainer = _Trainer(new_model(settings, tokenizer), settings, steps, device, compiled)
    record = Record(
        settings,
        without,
        len(texts),
        steps,
        target,
        fingerprint([asdict(settings), list(texts), list(vocabulary_texts)]),
        tokenizer,
    )
    training = record.restore(trainer.model, trainer.optimizer)
    trainer.run(training, read, held_out, record, progress)
    with new_folder(target) as folder:
        record.save_model(folder, trainer.model, training)
        write_checksums(folder)
    shutil.rmtree(checkpoint_folder(target), ignore_errors=True)
    return target


def can_compile(device: str) -> bool:
    """Whether torch.compile has what it needs: a C++ compiler for the CPU, Triton for CUDA."""
    if device.startswith("cuda"):
        return importlib.util.find_spec("triton") is not None
    return device == "cpu" and any(shutil.which(name) for name in ("c++", "g++", "clang++"))


def new_model(settings: TrainingSettings, tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """A GPT-2 with random weights drawn from the seed of the settings; input and output embeddings are one."""
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=settings.context,
        n_embd=settings.width,
        n_layer=settings.layers,
        n_head=settings.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = GPT2LMHeadModel(config)
    model.generation_config.pad_token_id = end
    return model


def learning_rate(step: int, steps: int, settings: TrainingSettings) -> float:
    """Of the step with this number (from 0): a linear rise, then half a cosine down to zero."""
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


def _split(ids: list[np.ndarray], settings: TrainingSettings) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The texts to read and those (2 %, at most 400) only the held-out loss is measured on."""
    held_out = min(400, max(1, len(ids) // 50))
    order = np.random.default_rng([settings.seed, len(ids)]).permutation(len(ids))
    parts = [ids[index] for index in order[held_out:]], [ids[index] for index in order[:held_out]]
    if len(ids) < 2 or _rows(parts[0], settings) < settings.batch_rows:
        raise InputError(
            f"{len(ids)} texts do not fill one batch of {settings.batch_rows} rows of {settings.context} tokens; use "
            "more texts (--texts) or a smaller batch (--batch-rows)."
        )
    return parts


def _rows(ids: list[np.ndarray], settings: TrainingSettings) -> int:
    return len(pack(ids, range(len(ids)), settings.context))


class _Trainer:
    """Model and optimizer, and what one step does."""

    def __init__(
        self, model: GPT2LMHeadModel, settings: TrainingSettings, steps: int, device: str, compiled: bool
    ) -> None:
        self.model = model.to(device).train()
        self.settings = settings
        self.steps = steps
        self.device = device
        matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
        others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=settings.learning_rate,
            betas=_BETAS,
            fused=not device.startswith("mps"),
        )
        self._loss: Callable[..., torch.Tensor] = torch.compile(next_token_loss) if compiled else next_token_loss
        kind = device.partition(":")[0]
        self._cast = torch.autocast(kind, torch.bfloat16, enabled=has_bfloat16(kind))

    def run(
        self,
        training: TrainingState,
        read: list[np.ndarray],
        held_out: list[np.ndarray],
        record: Record,
        progress: ProgressCallback,
    ) -> None:
        """All steps that `training` has not taken yet."""
        settings = self.settings
        tokens = settings.batch_rows * settings.context
        between = max(1, self.steps // _POINTS)
        losses: list[torch.Tensor] = []
        begun, saved = time.monotonic() - training.seconds, time.monotonic()
        source = batches(read, settings.context, settings.batch_rows, settings.seed, start=training.step)
        while training.step < self.steps:
            losses.append(self._step(training.step, next(source)))
            training.step += 1
            training.seconds = time.monotonic() - begun
            progress(Progress("training", training.step * tokens, self.steps * tokens, "tokens"))
            if training.step % between == 0 or training.step == self.steps:
                self._measure(training, losses, held_out)
                losses = []
            if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS and not losses:
                record.save_checkpoint(self.model, self.optimizer, training)
                saved = time.monotonic()

    def _step(self, step: int, rows: np.ndarray) -> torch.Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.steps, self.settings)
        with self._cast:
            loss = self._loss(self.model, self._tensor(rows))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _measure(self, training: TrainingState, losses: list[torch.Tensor], held_out: list[np.ndarray]) -> None:
        rows = pack(held_out, range(len(held_out)), self.settings.context)
        if not len(rows):
            rows = np.concatenate(held_out)[None]
        with torch.no_grad(), self._cast:
            size = self.settings.batch_rows
            parts = [rows[start : start + size] for start in range(0, len(rows), size)]
            total = sum(float(next_token_loss(self.model, self._tensor(part))) * len(part) for part in parts)
        measured = total / len(rows)
        trained = float(torch.stack(losses).mean())
        if not math.isfinite(trained) or not math.isfinite(measured):
            raise WorkFailed(
                f"The loss is not a number after step {training.step}: the learning rate "
                f"{self.settings.learning_rate} is too high. Give a lower --learning-rate."
            )
        training.loss.append({"step": training.step, "train": round(trained, 4), "held_out": round(measured, 4)})
        _log.info("step %d of %d: loss %.4f, held-out loss %.4f", training.step, self.steps, trained, measured)

    def _tensor(self, rows: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(rows, dtype=torch.long, device=self.device)
