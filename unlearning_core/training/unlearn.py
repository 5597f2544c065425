"""Training that takes a concept away: the one loop of all such methods, over pairs of texts to forget and to keep.

A method gives an `Objective`; batches, optimizer, clipping, seed, checkpoints and what must stay cut are the same for
all of them, so that a difference between two methods is one of their losses.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.files import write_file
from unlearning_core.models.devices import compute_dtype
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.training.batching import drawn
from unlearning_core.training.data import CutNeurons

_log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
SAVE_EVERY_SECONDS = 120.0
"""Between two checkpoints; one is also written when the training is stopped."""
CLIP = 1.0
"""L2 norm that the gradient is clipped to, as transformers' Trainer does."""


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Some texts side by side, padded on the right.

    Attributes:
        ids: token ids.
        attention_mask: 1 at real tokens.
        counted: where the next token counts in the loss.
        indices: which texts of their corpus they are.
    """

    ids: Int[Tensor, "texts tokens"]
    attention_mask: Int[Tensor, "texts tokens"]
    counted: Bool[Tensor, "texts tokens"]
    indices: list[int]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Tokenised texts.

    Attributes:
        ids: of each text its token ids, two or more.
        counted: of each text, bool [tokens - 1]: whether the next token counts.
    """

    ids: Sequence[np.ndarray]
    counted: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Sequence[int], device: torch.device) -> TextBatch:
        """These texts, in this order."""
        longest = max(len(self.ids[index]) for index in indices)
        ids, seen = np.zeros((2, len(indices), longest), np.int64)
        counted = np.zeros((len(indices), longest), bool)
        for row, index in enumerate(indices):
            size = len(self.ids[index])
            ids[row, :size], seen[row, :size], counted[row, : size - 1] = self.ids[index], 1, self.counted[index]
        a, b, c = (torch.from_numpy(part).to(device) for part in (ids, seen, counted))
        return TextBatch(a, b, c, list(indices))

    def drawn(self, size: int, step: int, seed: Sequence[int]) -> list[int]:
        """The texts of a step: all of them once, shuffled, then all again in another order; no state to restore."""
        return drawn(len(self), min(size, len(self)), step, seed)


Objective = Callable[[TextBatch, TextBatch], tuple[Tensor, Tensor]]
"""What a method minimises: given texts to forget and texts to keep, (loss on the former, weighted loss on the latter),
both scalars; their sum is minimised."""


@dataclass(frozen=True)
class Budget:
    """How long and how fast is trained.

    Attributes:
        steps: optimizer steps.
        batch_size: texts to forget a step, and as many to keep.
        learning_rate: peak, after a linear warm-up over the first tenth of the steps; then it falls linearly to 0.
    """

    steps: int
    batch_size: int
    learning_rate: float

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        warm = max(1, self.steps // 10)
        rising, falling = (step + 1) / warm, (self.steps - step) / max(1, self.steps - warm)
        return self.learning_rate * min(1.0, rising, falling)


@dataclass(frozen=True)
class Result:
    """What a training did: its losses by step, and how many of its steps this call made in how many seconds."""

    forget: list[float] = field(default_factory=list)
    retain: list[float] = field(default_factory=list)
    steps_here: int = 0
    seconds: float = 0.0


class Likelihood:
    """Token losses of one model, in the number format that its training is computed in."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._predictor = NextToken(loaded)
        self._device = loaded.model.get_input_embeddings().weight.device.type
        self._dtype = compute_dtype("auto", self._device, loaded.model.num_parameters())

    def mixed(self) -> Any:
        """The context in which the passes of a training step training."""
        return torch.autocast(self._device, self._dtype, enabled=self._dtype != torch.float32)

    def nats(self, batch: TextBatch) -> Float[Tensor, " texts"]:
        """Summed negative log-likelihood of the counted tokens of each text, nats; gradients flow."""
        with self.mixed():
            logits = self._predictor.logits(batch.ids, batch.attention_mask, batch.counted)
        wanted = batch.ids.roll(-1, dims=1)[batch.counted]
        losses = nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
        texts = torch.arange(len(batch.ids), device=losses.device)[:, None].expand_as(batch.ids)[batch.counted]
        return torch.zeros(len(batch.ids), device=losses.device).index_add(0, texts, losses)

    def of(self, corpus: Corpus, device: torch.device, batch_size: int = 16) -> Float[Tensor, " texts"]:
        """The same of every text, without gradients: what a method that needs a reference model needs of it."""
        found = torch.zeros(len(corpus), device=device)
        order = sorted(range(len(corpus)), key=lambda index: len(corpus.ids[index]))
        for start in range(0, len(order), batch_size):
            some = order[start : start + batch_size]
            with torch.no_grad():
                found[some] = self.nats(corpus.batch(some, device))
        return found


@dataclass(frozen=True, eq=False)
class Training:
    """One training.

    Attributes:
        loaded: the model, which is changed; in eval mode throughout: without dropout the loss of a text is one number,
            and that of the base model can be kept in place of the base model.
        forget: the texts to forget.
        retain: the texts to keep.
        objective: what is minimised.
        trained: the parameters that learn.
        budget: how long and how fast.
        seed: of the order of the texts.
        edits: neurons that stay cut.
        folder: outlives a stop; holds the checkpoint.
        made_from: identity of everything that decides the weights of every step.
        title: what progress calls it.
        progress: told before every step; may raise Stopped.
    """

    loaded: LoadedModel
    forget: Corpus
    retain: Corpus
    objective: Objective
    trained: Sequence[nn.Parameter]
    budget: Budget
    seed: int
    edits: Sequence[CutNeurons]
    folder: Path
    made_from: str
    title: str
    progress: ProgressCallback


def fit(training: Training) -> Result:
    """Train, from the checkpoint of the same training where there is one.

    Raises:
        Stopped: `progress` raised it; a checkpoint is left.
        WorkFailed: the loss is not a number any more.
    """
    optimizer = torch.optim.AdamW(training.trained, lr=training.budget.learning_rate, weight_decay=0.0)
    result, begun = _resume(training, optimizer)
    started = saved = time.monotonic()
    frozen = _only_trained(training)
    total = training.budget.steps
    try:
        for step in range(begun, total):
            if step > begun and time.monotonic() - saved > SAVE_EVERY_SECONDS:
                _save(training, optimizer, result, step)
                saved = time.monotonic()
            try:
                training.progress(Progress(training.title, step, total, "steps"))
            except BaseException:
                _save(training, optimizer, result, step)
                raise
            for group in optimizer.param_groups:
                group["lr"] = training.budget.rate(step)
            forget, retain = _step(training, optimizer, step)
            result.forget.append(forget)
            result.retain.append(retain)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    training.progress(Progress(training.title, total, total, "steps"))
    (training.folder / CHECKPOINT).unlink(missing_ok=True)
    return Result(result.forget, result.retain, total - begun, time.monotonic() - started)


def _only_trained(training: Training) -> list[nn.Parameter]:
    """Let only the trained parameters have gradients; returns the others that had them."""
    trained = {id(parameter) for parameter in training.trained}
    others = [one for one in training.loaded.model.parameters() if id(one) not in trained and one.requires_grad]
    for parameter in others:
        parameter.requires_grad_(False)
    for parameter in training.trained:
        parameter.requires_grad_(True)
    return others


def _step(training: Training, optimizer: torch.optim.Optimizer, step: int) -> tuple[float, float]:
    device = training.trained[0].device
    batches = [
        corpus.batch(corpus.drawn(training.budget.batch_size, step, (training.seed, number)), device)
        for number, corpus in enumerate((training.forget, training.retain))
    ]
    forget, retain = training.objective(*batches)
    loss = forget + retain
    if not bool(torch.isfinite(loss)):
        raise WorkFailed(
            f"The loss is not a number any more (step {step + 1} of {training.budget.steps}): the learning rate "
            f"{training.budget.learning_rate:g} is too large for this model. Start again with a smaller one, such as "
            f"{training.budget.learning_rate / 10:g}."
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(training.trained, CLIP)
    optimizer.step()
    for edit in training.edits:
        edit.write()
    return float(forget.detach()), float(retain.detach())


def _save(training: Training, optimizer: torch.optim.Optimizer, result: Result, step: int) -> None:
    """Keep the state before `step`."""
    state = {
        "made_from": training.made_from, "step": step, "weights": [one.detach() for one in training.trained],
        "optimizer": optimizer.state_dict(), "losses": [result.forget, result.retain],
    }  # fmt: skip
    training.folder.mkdir(parents=True, exist_ok=True)
    write_file(training.folder / CHECKPOINT, lambda path: torch.save(state, path))


def _resume(training: Training, optimizer: torch.optim.Optimizer) -> tuple[Result, int]:
    """What was done and the step to go on from, with everything as it was before it."""
    path = training.folder / CHECKPOINT
    kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True) if path.is_file() else {}
    if kept.get("made_from") != training.made_from:
        return Result(), 0
    with torch.no_grad():
        for parameter, known in zip(training.trained, kept["weights"], strict=True):
            parameter.copy_(known)
    optimizer.load_state_dict(kept["optimizer"])
    _log.info("%s: going on from step %d", training.title, kept["step"])
    return Result(*kept["losses"]), int(kept["step"])
