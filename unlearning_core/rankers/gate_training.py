"""The training behind `gates`: hard-concrete gates on frozen weights, stoppable, and gone on with from a checkpoint.

The sentences of a step need not stand side by side: the gradient is summed over parts of them, which are as large as
memory allows, and over the processes of a launch, which take every so-manieth sentence each.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unlearning_core.activations.reduce import all_reduced, gathered, processes
from unlearning_core.edits.hooks import multiplied
from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.files import write_file
from unlearning_core.models.fitting import where_it_fits
from unlearning_core.progress import Progress, duration
from unlearning_core.rankers.history import Step, read_history, write_history
from unlearning_core.rankers.parameters import GateParams
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.token_batches import Sentences, TokenBatch, positions_at_once

log = logging.getLogger(__name__)

TASK = "training gates"
CHECKPOINT = "gates.pt"
SAVE_EVERY = 5
"""Steps between checkpoints."""

TEMPERATURE, LEAST, MOST = 2 / 3, -0.1, 1.1
"""Of the hard-concrete distribution, as Louizos et al. chose them: the ends it is stretched to lie outside 0 and 1."""

SHUT, OPEN = 1.0, 3.5
"""log alpha at which the first and the last candidate start. At 3.5 a gate is wholly open 87 times in 100: the rest is
what tells whether to close it."""

PASSES = 3.0
"""Forward passes that a step costs: one, and one back through the activations, whose attention counts twice."""

KEPT_LOGITS = 64
"""Of the base model's predictions the most probable tokens are kept, and all others are one: the divergence is at least
what this gives, and nearly that."""


def sample_gates(log_alpha: Float[Tensor, "*#gates"], uniform: Float[Tensor, "*#gates"]) -> Float[Tensor, "*gates"]:
    """Hard-concrete gates in [0, 1] from uniform numbers in (0, 1); the shapes broadcast (Louizos et al. 2018, 10)."""
    soft = torch.sigmoid((torch.logit(uniform) + log_alpha) / TEMPERATURE)
    return (soft * (MOST - LEAST) + LEAST).clamp(0, 1)


def closed_probability(log_alpha: Float[Tensor, "*gates"]) -> Float[Tensor, "*gates"]:
    """Probability that a gate is exactly 0 (Louizos et al. 2018, one minus equation 12)."""
    return torch.sigmoid(TEMPERATURE * float(np.log(-LEAST / MOST)) - log_alpha)


@dataclass(frozen=True, eq=False)
class BasePrediction:
    """What the base model predicts at the positions of one sentence.

    Attributes:
        nll: negative log-likelihood, nats.
        tokens: the most probable tokens.
        log_p: their log probability.
    """

    nll: Float[Tensor, " positions"]
    tokens: Int[Tensor, "positions kept"]
    log_p: Float[Tensor, "positions kept"]

    def to(self, device: torch.device | str) -> BasePrediction:
        """The same on another device."""
        return BasePrediction(self.nll.to(device), self.tokens.to(device), self.log_p.to(device))


@dataclass(frozen=True, eq=False)
class StepTotals:
    """What some sentences of a step add to it.

    Attributes:
        gradient: of the loss without its last term, by log alpha; on the processor.
        loss: that loss, nats.
        forget: to the mean rise of the loss at concept tokens, nats a token.
        divergence: to the mean weighted divergence at the other tokens.
    """

    gradient: Float[Tensor, " gates"]
    loss: float
    forget: float
    divergence: float

    def __add__(self, other: StepTotals) -> StepTotals:
        return StepTotals(*(own + more for own, more in zip(self._parts(), other._parts(), strict=True)))

    def reduced(self) -> StepTotals:
        """The sum over processes."""
        gradient, rest = all_reduced(self.gradient.numpy()), all_reduced(np.array(self._parts()[1:]))
        return StepTotals(torch.from_numpy(gradient), *rest.tolist())

    def _parts(self) -> tuple[Any, ...]:
        return self.gradient, self.loss, self.forget, self.divergence


def divergence(
    log_p: Float[Tensor, "positions kept"], log_q: Float[Tensor, "positions kept"]
) -> Float[Tensor, " positions"]:
    """KL(p || q) over the kept tokens and one that stands for all others."""
    p, q = log_p.exp(), log_q.exp()
    rest_p, rest_q = ((1 - part.sum(-1)).clamp(min=1e-6) for part in (p, q))
    return (p * (log_p - log_q)).sum(-1) + rest_p * (rest_p.log() - rest_q.log())


class GateTraining:
    """One training: its gates, its sentences and how far it is.

    Attributes:
        expected_seconds: what it takes in all, going by how fast the base model's predictions were read.
        history: step, forget (rise of the concept's loss, nats a token), divergence and closed (gates more closed than
            open) of every step so far; as it goes, also in the input's folder (rankers/history.py).
    """

    def __init__(self, given: RankingInput, chosen: Int[np.ndarray, "gates 2"], params: GateParams) -> None:
        """Reads the base model's predictions; `given.progress` is told after every batch and may raise Stopped.

        Args:
            given: the model and all sentences to train on.
            chosen: (layer, index) of the neurons that get a gate, the likeliest first.
            params: how to train.
        """
        self._given, self._params = given, params
        self._shape = given.loaded.map.require(given.site)
        self._predictor = NextToken(given.loaded)
        self._sentences = Sentences(given)
        self._device = self._sentences.device
        self._gates_of_layer = {int(n): np.flatnonzero(chosen[:, 0] == n) for n in np.unique(chosen[:, 0])}
        self._index = torch.from_numpy(chosen[:, 1].copy()).to(self._device)
        self._log_alpha = torch.linspace(SHUT, OPEN, len(chosen), device=self._device).requires_grad_()
        self._optimizer = torch.optim.Adam([self._log_alpha], lr=params.learning_rate)
        with_concept = [number for number, item in enumerate(given.items) if item.spans]
        without = [number for number, item in enumerate(given.items) if not item.spans]
        self._kinds = [with_concept, without or with_concept]
        begun = time.monotonic()
        self._base = where_it_fits(self._read_base, positions_at_once(self._device))
        self._at_once = 2 * params.batch * self._sentences.longest
        of_all = 2 * params.batch * params.steps / len(given.items)
        self.expected_seconds = PASSES * of_all * (time.monotonic() - begun)
        self._fingerprint = self._made_from(chosen)
        self.history: list[Step] = []

    def run(self) -> Float[np.ndarray, " gates"]:
        """Train to the end, from the checkpoint of the same training if there is one; log alpha.

        Raises:
            Stopped: `given.progress` raised it; a checkpoint is left.
            WorkFailed: the loss is not a number.
        """
        begun, total = self._resume(), self._params.steps
        self._write_history()  # what an earlier training left there is not this one's
        task = f"{TASK} (about {duration(self.expected_seconds)} in all)"
        for step in range(begun, total):
            self._save_if(step > begun and step % SAVE_EVERY == 0, step)
            try:
                self._given.progress(Progress(task, step, total, "steps"))
            except BaseException:
                self._save_if(step > begun, step)
                raise
            self.history.append({"step": step} | self._step(step))
            self._write_history()
        self._given.progress(Progress(task, total, total, "steps"))
        if self._given.folder is not None:
            (self._given.folder / CHECKPOINT).unlink(missing_ok=True)
        return self._log_alpha.detach().cpu().double().numpy()

    def _step(self, step: int) -> Step:
        params, (rank, world) = self._params, processes()
        chosen = [number for kind in self._kinds for number in self._next(kind, step)]
        noise, of_all = self._noise(step, len(chosen)), self._sentences.counts(chosen)
        own = slice(rank, None, world)

        def summed(budget: int) -> StepTotals:
            self._at_once = budget  # what did not fit is not tried again
            return self._summed(chosen[own], noise[own], of_all)

        found = where_it_fits(summed, self._at_once).reduced()
        closed = closed_probability(self._log_alpha).sum()
        few = params.few * closed / (self._shape[0] * self._shape[1] / 100)
        if not np.isfinite(found.loss + float(few.detach())):
            raise WorkFailed(f"The loss of the gates is not a number at step {step}. Use float32, or a smaller rate.")
        (gradient,) = torch.autograd.grad(few, [self._log_alpha])
        self._log_alpha.grad = gradient + found.gradient.to(gradient)
        for group in self._optimizer.param_groups:
            group["lr"] = params.learning_rate * (1 - 0.9 * step / params.steps)
        self._optimizer.step()
        return {
            "forget": found.forget,
            "divergence": found.divergence,
            "closed": int((self._log_alpha < 0).sum()),
        }

    def _summed(self, chosen: list[int], noise: Float[Tensor, "texts gates"], of_all: tuple[int, int]) -> StepTotals:
        """What these sentences add to a step of which all have `of_all` concept tokens and others."""
        # Of a kind of which a step predicts no token (a concept's word that begins its text) nothing is added up.
        params, (concept, others) = self._params, (max(1, count) for count in of_all)
        found = StepTotals(torch.zeros(len(self._log_alpha), dtype=torch.float64), 0.0, 0.0, 0.0)
        for places in self._sentences.groups(chosen, self._at_once):
            batch = self._sentences.batch([chosen[place] for place in places])
            rise, apart = self._losses(batch, sample_gates(self._log_alpha, noise[places]))
            forget, kept = rise.sum() / concept, apart.sum() / others
            loss = -rise.clamp(max=params.cap).sum() / concept + params.keep * kept
            (gradient,) = torch.autograd.grad(loss, [self._log_alpha])
            found += StepTotals(
                gradient.cpu().double(), float(loss.detach()), float(forget.detach()), float(kept.detach())
            )
        return found

    def _next(self, kind: list[int], step: int) -> list[int]:
        """The sentences of a kind that are next: all of them once, shuffled, then all again in another order."""
        size = min(self._params.batch, len(kind))
        places = range(step * size, (step + 1) * size)
        epochs = {place // len(kind) for place in places}
        shuffled = {epoch: np.random.default_rng([self._given.seed, epoch]).permutation(kind) for epoch in epochs}
        return [int(shuffled[place // len(kind)][place % len(kind)]) for place in places]

    def _noise(self, step: int, texts: int) -> Float[Tensor, "texts gates"]:
        """Uniform numbers of this step, the same whether or not the training was stopped before it."""
        generator = np.random.default_rng([self._given.seed, 1, step])
        numbers = generator.random((texts, len(self._index)), dtype=np.float32)
        return torch.from_numpy(numbers).clamp(1e-6, 1 - 1e-6).to(self._device)

    def _losses(
        self, batch: TokenBatch, gates: Float[Tensor, "texts gates"]
    ) -> tuple[Float[Tensor, " concept"], Float[Tensor, " others"]]:
        """Rise of the loss at concept tokens, and weighted divergence at the others, under these gates."""
        factors = {}
        for layer, here in self._gates_of_layer.items():
            where = torch.from_numpy(here).to(self._device)
            whole = torch.ones(len(batch.ids), self._shape[1], device=self._device)
            factors[self._given.site, layer] = whole.index_copy(1, self._index[where], gates[:, where])[:, None]
        half = self._params.precision == "bfloat16"
        mixed = torch.autocast(self._device.type, torch.bfloat16) if half else nullcontext()
        with torch.enable_grad(), mixed, multiplied(self._given.loaded.map, factors):
            logits = self._predictor.logits(batch.ids, batch.attention_mask, batch.positions)
        logits, is_concept = logits.float(), batch.concept[batch.positions]
        base = [self._base[index] for index in batch.indices]
        nll, tokens, log_p = (torch.cat([getattr(one, name) for one in base]) for name in ("nll", "tokens", "log_p"))
        rise = batch.nll(logits) - nll
        others = logits[~is_concept]
        log_q = others.gather(1, tokens[~is_concept]) - torch.logsumexp(others, -1, keepdim=True)
        return rise[is_concept], batch.weight[batch.positions][~is_concept] * divergence(log_p[~is_concept], log_q)

    def _read_base(self, budget: int) -> list[BasePrediction]:
        """By sentence; read once in batches that do not depend on where a training was stopped."""
        found: dict[int, BasePrediction] = {}
        done, count, (rank, world) = 0, len(self._given.items), processes()
        for number, batch in enumerate(self._sentences.grouped(budget)):
            done += len(batch.ids)
            if number % world != rank:
                continue
            with torch.no_grad():
                logits = self._predictor.logits(batch.ids, batch.attention_mask, batch.positions).float()
                nll = batch.nll(logits)
                log_p, tokens = torch.log_softmax(logits, -1).topk(min(KEPT_LOGITS, logits.shape[-1]))
            sizes = batch.positions.sum(1).tolist()
            parts = zip(batch.indices, *(part.split(sizes) for part in (nll, tokens, log_p)), strict=True)
            found |= {index: BasePrediction(*(part.clone() for part in rest)) for index, *rest in parts}
            self._given.progress(Progress("reading the base model's predictions", done, count, "sentences"))
        if world > 1:  # any process may come to train on any sentence
            own = {index: base.to("cpu") for index, base in found.items()}
            found = {index: base.to(self._device) for part in gathered(own) for index, base in part.items()}
        return [found[index] for index in range(count)]

    def _made_from(self, chosen: Int[np.ndarray, "gates 2"]) -> str:
        """Digest of all that decides the steps of the training, the model by what it predicts."""
        given = self._given
        settings = [self._params.model_dump(), given.seed, given.site, self._sentences.weights]
        sha = hashlib.sha256(json.dumps(settings).encode())
        sha.update(json.dumps([[item.text, item.spans, item.neighbours] for item in given.items]).encode())
        sha.update(chosen.tobytes())
        for one in self._base:
            sha.update(one.log_p.cpu().numpy().tobytes())
        return sha.hexdigest()

    def _save_if(self, wanted: bool, step: int) -> None:
        """Keep the state before `step`."""
        if self._given.folder is None or not wanted:
            return
        state = {"made_from": self._fingerprint, "step": step, "log_alpha": self._log_alpha.detach()}
        state["optimizer"] = self._optimizer.state_dict()
        write_file(self._given.folder / CHECKPOINT, lambda path: torch.save(state, path))

    def _resume(self) -> int:
        """The step to go on from, with everything as it was before it; 0 without a checkpoint of this training."""
        kept = gathered(self._checkpoint())[0]  # the first process has the folder
        if kept is None:
            return 0
        step = int(kept["step"])
        with torch.no_grad():
            self._log_alpha.copy_(kept["log_alpha"])
        self._optimizer.load_state_dict(kept["optimizer"])
        if self._given.folder is not None:
            self.history = [line for line in read_history(self._given.folder) if line["step"] < step]
        log.info("Going on with the gates from step %d", step)
        return step

    def _checkpoint(self) -> dict[str, Any] | None:
        """What an earlier call of this training left in the input's folder."""
        folder = self._given.folder
        if folder is None or not (folder / CHECKPOINT).is_file():
            return None
        kept: dict[str, Any] = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        return kept if kept["made_from"] == self._fingerprint else None

    def _write_history(self) -> None:
        if self._given.folder is not None:
            write_history(self._given.folder, self.history)
