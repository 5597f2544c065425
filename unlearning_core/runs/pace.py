"""How fast a model reads and writes on this machine: timed for two seconds, to tell what a run will take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

_LEAST_SECONDS = 0.5
_MOST_ROUNDS = 20
_GROWS = 8


@dataclass(frozen=True)
class Pace:
    """Seconds, as measured.

    Attributes:
        token: of a forward pass over one token of text.
        step: of writing one token more in each text of a batch.
        tokens: tokens of a sentence on average.
    """

    token: float
    step: float
    tokens: float


def measure_pace(loaded: "LoadedModel", sentences: Sequence[str], batch: int = 32) -> Pace:
    """Time forward passes over some sentences, and the writing of a few tokens behind them.

    Args:
        sentences: at least one; the first `batch` are read.
    """
    import torch

    model, tokenizer = loaded.model, loaded.tokenizer
    ids = [list(tokenizer(text, verbose=False)["input_ids"])[: loaded.info.context] for text in sentences[:batch]]
    # Room for the tokens that are written while it is timed.
    room = max(2, (loaded.info.context or len(ids[0]) + _GROWS) - _GROWS)
    shortest = min(room, max(2, min(map(len, ids))))
    block = torch.tensor([(row * shortest)[:shortest] for row in ids if row], device=model.device)
    with torch.inference_mode():
        read = _seconds(lambda: model(input_ids=block, use_cache=False)) / block.numel()
        cache = model(input_ids=block[:, :-1], use_cache=True).past_key_values
        # One more token a text; the cache grows by fewer than `_GROWS` positions meanwhile, which changes little.
        step = _seconds(lambda: model(input_ids=block[:, -1:], past_key_values=cache, use_cache=True), rounds=3)
    return Pace(read, step, sum(map(len, ids)) / len(ids))


def _seconds(work, rounds: int = _MOST_ROUNDS) -> float:  # type: ignore[no-untyped-def]
    """Of one call, the fastest of several: others may use the machine meanwhile."""
    work()
    best, begun = float("inf"), time.perf_counter()
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - begun > _LEAST_SECONDS:
            break
    return best
