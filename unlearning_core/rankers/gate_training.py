"""The training behind `gates`: hard-concrete gates on frozen weights, stoppable, and gone on with from a checkpoint."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from unlearning_core.edits.hooks import multiplied
from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.files import write_file, write_text
from unlearning_core.progress import Progress, ProgressCallback, duration
from unlearning_core.rankers.ranking_input import Subject
from unlearning_core.rankers.token_batches import Sentences, TokenBatch

if TYPE_CHECKING:
    from unlearning_core.rankers.gates import Params

log = logging.getLogger(__name__)

TASK = "training gates"
CHECKPOINT, HISTORY = "gates.npz", "gates.jsonl"
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


def drawn(log_alpha: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Hard-concrete gates in [0, 1] from uniform numbers in (0, 1); the shapes broadcast (Louizos et al. 2018, 10)."""
    soft = torch.sigmoid((torch.logit(uniform) + log_alpha) / TEMPERATURE)
    return (soft * (MOST - LEAST) + LEAST).clamp(0, 1)


def closed_probability(log_alpha: torch.Tensor) -> torch.Tensor:
    """Probability that a gate is exactly 0 (Louizos et al. 2018, one minus equation 12)."""
    return torch.sigmoid(TEMPERATURE * float(np.log(-LEAST / MOST)) - log_alpha)


@dataclass(frozen=True, eq=False)
class Known:
    """What the base model predicts at the places of one sentence.

    Attributes:
        nats: negative log-likelihood, `[places]`.
        tokens: the most probable tokens, `[places, kept]`.
        log_p: their log probability, `[places, kept]`.
    """

    nats: torch.Tensor
    tokens: torch.Tensor
    log_p: torch.Tensor


def divergence(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    """KL(p || q), `[places]`, over the kept tokens `[places, kept]` and one that stands for all others."""
    p, q = log_p.exp(), log_q.exp()
    rest_p, rest_q = ((1 - part.sum(-1)).clamp(min=1e-6) for part in (p, q))
    return (p * (log_p - log_q)).sum(-1) + rest_p * (rest_p.log() - rest_q.log())


class GateTraining:
    """One training: its gates, its sentences and how far it is.

    Attributes:
        expected_seconds: what it takes in all, going by how fast the base model's predictions were read.
        history: step, forget (rise of the concept's loss, nats a token), divergence and closed (gates more closed than
            open) of every step so far; as it goes, also in the file `HISTORY` of the subject's folder.
    """

    def __init__(
        self,
        subject: Subject,
        site: str,
        chosen: np.ndarray,
        params: Params,
        seed: int,
        progress: ProgressCallback,
    ) -> None:
        """Reads the base model's predictions.

        Args:
            chosen: (layer, index) of the neurons that get a gate, the likeliest first, int `[gates, 2]`.
            progress: told after every batch; may raise Stopped.
        """
        self._loaded, self._site, self._params, self._seed = subject.loaded, site, params, seed
        self._folder = subject.folder
        self._shape = subject.loaded.map.require(site)
        self._predictor = NextToken(subject.loaded)
        self._sentences = Sentences(subject)
        self._device = self._sentences.device
        self._places = [(layer, np.flatnonzero(chosen[:, 0] == layer)) for layer in np.unique(chosen[:, 0])]
        self._index = torch.from_numpy(chosen[:, 1].copy()).to(self._device)
        self._log_alpha = torch.linspace(SHUT, OPEN, len(chosen), device=self._device).requires_grad_()
        self._optimizer = torch.optim.Adam([self._log_alpha], lr=params.learning_rate)
        with_concept = [number for number, item in enumerate(subject.items) if item.spans]
        without = [number for number, item in enumerate(subject.items) if not item.spans]
        self._kinds = [with_concept, without or with_concept]
        begun = time.monotonic()
        self._known = self._read_base(len(subject.items), progress)
        of_all = 2 * params.batch * params.steps / len(subject.items)
        self.expected_seconds = PASSES * of_all * (time.monotonic() - begun)
        self._identity = self._made_from(subject, chosen)
        self.history: list[dict[str, float]] = []

    def run(self, progress: ProgressCallback) -> np.ndarray:
        """Train to the end, from the checkpoint of the same training if there is one; log alpha, `[gates]`.

        Raises:
            Stopped: `progress` raised it; a checkpoint is left.
            WorkFailed: the loss is not a number.
        """
        begun, total = self._resume(), self._params.steps
        self._write_history()  # what an earlier training left there is not this one's
        task = f"{TASK} (about {duration(self.expected_seconds)} in all)"
        for step in range(begun, total):
            self._save_if(step > begun and step % SAVE_EVERY == 0, step)
            try:
                progress(Progress(task, step, total, "steps"))
            except BaseException:
                self._save_if(step > begun, step)
                raise
            self.history.append({"step": step} | self._step(step))
            self._write_history()
        progress(Progress(task, total, total, "steps"))
        if self._folder is not None:
            (self._folder / CHECKPOINT).unlink(missing_ok=True)
        return self._log_alpha.detach().cpu().double().numpy()

    def _step(self, step: int) -> dict[str, float]:
        params = self._params
        batch = self._sentences.batch([number for kind in self._kinds for number in self._turn(kind, step)])
        gates = drawn(self._log_alpha, self._noise(step, len(batch.ids)))
        nats, apart = self._outcome(batch, gates)
        closed = closed_probability(self._log_alpha).sum()
        one_percent = self._shape[0] * self._shape[1] / 100
        loss = -nats.clamp(max=params.cap).mean() + params.keep * apart.mean() + params.few * closed / one_percent
        if not bool(torch.isfinite(loss)):
            raise WorkFailed(f"The loss of the gates is not a number at step {step}. Use float32, or a smaller rate.")
        (self._log_alpha.grad,) = torch.autograd.grad(loss, [self._log_alpha])
        for group in self._optimizer.param_groups:
            group["lr"] = params.learning_rate * (1 - 0.9 * step / params.steps)
        self._optimizer.step()
        return {
            "forget": float(nats.detach().mean()),
            "divergence": float(apart.detach().mean()),
            "closed": int((self._log_alpha < 0).sum()),
        }

    def _turn(self, kind: list[int], step: int) -> list[int]:
        """The sentences of a kind that are next: all of them once, shuffled, then all again in another order."""
        size = min(self._params.batch, len(kind))
        places = range(step * size, (step + 1) * size)
        shuffled = {
            n: np.random.default_rng([self._seed, n]).permutation(kind) for n in {p // len(kind) for p in places}
        }
        return [int(shuffled[place // len(kind)][place % len(kind)]) for place in places]

    def _noise(self, step: int, texts: int) -> torch.Tensor:
        """Uniform numbers of this step, the same whether or not the training was stopped before it."""
        numbers = np.random.default_rng([self._seed, 1, step]).random((texts, len(self._index)), dtype=np.float32)
        return torch.from_numpy(numbers).clamp(1e-6, 1 - 1e-6).to(self._device)

    def _outcome(self, batch: TokenBatch, gates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rise of the loss at concept tokens, and weighted divergence at the others, under gates `[texts, gates]`."""
        factors = {}
        for layer, here in self._places:
            where = torch.from_numpy(here).to(self._device)
            whole = torch.ones(len(batch.ids), self._shape[1], device=self._device)
            factors[self._site, int(layer)] = whole.index_copy(1, self._index[where], gates[:, where])[:, None]
        half = self._params.precision == "bfloat16"
        mixed = torch.autocast(self._device.type, torch.bfloat16) if half else nullcontext()
        with torch.enable_grad(), mixed, multiplied(self._loaded.map, factors):
            logits = self._predictor.logits(batch.ids, batch.seen, batch.places)
        logits = logits.float()
        is_concept = batch.concept[batch.places]
        known = [self._known[number] for number in batch.numbers]
        nats, tokens, log_p = (torch.cat([getattr(one, name) for one in known]) for name in ("nats", "tokens", "log_p"))
        rise = batch.nats(logits) - nats
        others = logits[~is_concept]
        log_q = others.gather(1, tokens[~is_concept]) - torch.logsumexp(others, -1, keepdim=True)
        return rise[is_concept], batch.weight[batch.places][~is_concept] * divergence(log_p[~is_concept], log_q)

    def _read_base(self, count: int, progress: ProgressCallback) -> list[Known]:
        """By sentence; read once in batches that do not depend on where a training was stopped."""
        known: dict[int, Known] = {}
        for batch in self._sentences.grouped():
            with torch.no_grad():
                logits = self._predictor.logits(batch.ids, batch.seen, batch.places).float()
                nats = batch.nats(logits)
                log_p, tokens = torch.log_softmax(logits, -1).topk(min(KEPT_LOGITS, logits.shape[-1]))
            sizes = batch.places.sum(1).tolist()
            parts = zip(batch.numbers, *(part.split(sizes) for part in (nats, tokens, log_p)), strict=True)
            known |= {number: Known(*(part.clone() for part in rest)) for number, *rest in parts}
            progress(Progress("reading the base model's predictions", len(known), count, "sentences"))
        return [known[number] for number in range(count)]

    def _made_from(self, subject: Subject, chosen: np.ndarray) -> str:
        """Identity of the training: of all that decides its steps, the model by what it predicts."""
        settings = [self._params.model_dump(), self._seed, self._site, self._sentences.weights]
        sha = hashlib.sha256(json.dumps(settings).encode())
        sha.update(json.dumps([[item.text, item.spans, item.neighbours] for item in subject.items]).encode())
        sha.update(chosen.tobytes())
        for one in self._known:
            sha.update(one.log_p.cpu().numpy().tobytes())
        return sha.hexdigest()

    def _save_if(self, wanted: bool, step: int) -> None:
        """Keep the state before `step`."""
        if self._folder is None or not wanted:
            return
        state = self._optimizer.state[self._log_alpha]
        arrays: Mapping[str, Any] = {
            "identity": np.array(self._identity),
            "step": np.array(step),
            "log_alpha": self._log_alpha.detach().cpu().numpy(),
            "mean": state["exp_avg"].cpu().numpy(),
            "square": state["exp_avg_sq"].cpu().numpy(),
        }

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, **arrays)

        write_file(self._folder / CHECKPOINT, write)

    def _resume(self) -> int:
        """The step to go on from, with everything as it was before it; 0 without a checkpoint of this training."""
        path = None if self._folder is None else self._folder / CHECKPOINT
        if path is None or not path.is_file():
            return 0
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["identity"]) != self._identity:
                return 0
            step, arrays = int(kept["step"]), {name: torch.from_numpy(kept[name]) for name in kept.files[2:]}
        with torch.no_grad():
            self._log_alpha.copy_(arrays["log_alpha"])
        self._optimizer.state[self._log_alpha] = {
            "step": torch.tensor(float(step)),
            "exp_avg": arrays["mean"].to(self._device),
            "exp_avg_sq": arrays["square"].to(self._device),
        }
        self.history = [line for line in history(path.parent) if line["step"] < step]
        log.info("Going on with the gates from step %d", step)
        return step

    def _write_history(self) -> None:
        if self._folder is not None:
            write_text(self._folder / HISTORY, "".join(json.dumps(line) + "\n" for line in self.history))


def history(folder: Path) -> list[dict[str, float]]:
    """How a training went, or goes: step, forget (rise of the concept's loss, nats a token), divergence, closed."""
    path = folder / HISTORY
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
