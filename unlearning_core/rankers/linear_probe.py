"""Linear probe: NeuroX's elastic-net logistic regression (Dalvi et al., AAAI 2019), trained by NeuroX itself.

NeuroX orders neurons by the share of a class's total |weight| at which they are first selected, in steps of 1 % and in
no particular order within a step. The score here is that share without the steps, so it refines NeuroX's order.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import Field

from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.rankers import parameters
from unlearning_core.rankers.ranking_input import RankingInput

COMMAND = "pip install --no-deps neurox==1.0.9"

log = logging.getLogger(__name__)


class Params(parameters.Params):
    """Parameters of the method, named as NeuroX names them."""

    lambda_l1: float = Field(0.001, ge=0, description="Weight of the L1 penalty: larger leaves fewer neurons.")
    lambda_l2: float = Field(0.001, ge=0, description="Weight of the L2 penalty: larger spreads over like neurons.")
    num_epochs: int = Field(10, ge=1, le=1000, description="Passes over the sampled rows.")
    batch_size: int = Field(32, ge=1, description="Rows a step.")
    learning_rate: float = Field(0.001, gt=0, description="Adam's learning rate.")
    standardise: bool = Field(
        True,
        description="Give each neuron mean 0 and deviation 1 first, so that weights of layers of different scale "
        "compare. Off: raw activations, as NeuroX takes them.",
    )


def passes(params: Params, sentences: int) -> float:
    """Forward passes over so many sentences that a ranking costs, roughly: as measured, mostly for the fit."""
    return 1.5 + 0.2 * params.num_epochs


def unavailable() -> str | None:
    """Why the method cannot run here, with the command that mends it; None if it can."""
    if importlib.util.find_spec("neurox") is None:
        return f"NeuroX is not installed. Add it with: {COMMAND}"
    return None


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """1 - the share of |weight| that stands before the neuron, the larger of both classes'.

    Raises:
        InputError: the pass sampled no rows.
    """
    import torch

    sample = given.rows
    rows = sample.X.reshape(len(sample.y), -1)
    if params.standardise:
        rows = _standardised(rows)
    # NeuroX draws the first weights from torch's global generator: fork it so that nobody else's numbers change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(given.seed)
        settings = params.model_dump(exclude={"standardise"})
        probe = _neurox(given.progress).train_logistic_regression_probe(rows, sample.y, **settings)
    weights = next(iter(probe.parameters())).detach().cpu().numpy()
    return selection_score(weights).reshape(given.activations.statistics.shape)


def selection_score(weights: Float[np.ndarray, "classes neurons"]) -> Float[np.ndarray, " neurons"]:
    """1 - the share of a class's |weight| that larger weights hold, the larger over classes.

    `get_top_neurons(probe, p)` selects the neurons whose score is 1 or above 1 - p (Dalvi et al. 2019, algorithm 1).
    """
    best = np.zeros(weights.shape[1])
    for absolute in np.abs(weights):
        order = np.argsort(-absolute, kind="stable")
        mass = np.cumsum(absolute[order], dtype=np.float64)
        before = np.concatenate([[0.0], mass[:-1]])
        own = np.empty_like(best)
        own[order] = 1.0 - before / mass[-1] if mass[-1] > 0 else 0.0
        best = np.maximum(best, own)
    return best


def _standardised(rows: Float[np.ndarray, "rows neurons"]) -> Float[np.ndarray, "rows neurons"]:
    mean, spread = rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
    result = rows - mean.astype(np.float32)
    result /= np.where(spread > 0, spread, 1.0).astype(np.float32)
    return result


def _neurox(progress: ProgressCallback) -> ModuleType:
    """A private copy of NeuroX's module: it reports to `progress`, prints nothing and trains on the CPU.

    NeuroX prints, draws a terminal bar, and moves to a GPU when it sees one, which changes the last bits of the result
    from one machine to another. The copy's own names are replaced; NeuroX as others import it stays as it is.
    """
    import torch

    spec = importlib.util.find_spec("neurox.interpretation.linear_probe")
    if spec is None or spec.loader is None:
        raise InputError(f"This NeuroX has no linear probe. Add the right one with: {COMMAND}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise InputError(f"NeuroX cannot be loaded ({error}). Install requirements.txt, then: {COMMAND}") from error
    epochs = 0

    def bar(batches: Iterable[Any], desc: str = "") -> Iterator[Any]:
        nonlocal epochs
        epochs += 1
        total = int(desc.rstrip("]").rpartition("/")[2] or 0)
        progress(Progress("training the probe", epochs - 1, total, "epochs"))
        yield from batches
        progress(Progress("training the probe", epochs, total, "epochs"))

    names: dict[str, Any] = {
        "print": lambda *words: log.debug("%s", " ".join(str(word) for word in words)),
        "utils": SimpleNamespace(get_progress_bar=lambda: bar, batch_generator=module.utils.batch_generator),
        "torch": SimpleNamespace(**vars(torch) | {"cuda": SimpleNamespace(is_available=lambda: False)}),
    }
    module.__dict__.update(names)
    return module
