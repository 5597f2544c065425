"""One streaming pass of labelled text through a model: statistics by class, a sample of rows, the massive neurons.

Texts are tokenised a window at a time, batched by length, run through the body of the model (without its language
model head), and summed layer by layer inside hooks. Memory beside the model does not grow with the corpus.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from unlearning_core.activations.accumulate import LayerSums, plan, to_statistics
from unlearning_core.activations.alignment import Aggregation, Alignment, encode
from unlearning_core.activations.batches import Batch, batches
from unlearning_core.activations.hooks import listening
from unlearning_core.activations.massive import massive_neurons
from unlearning_core.activations.reduce import all_reduced, all_rows, all_statistics, processes
from unlearning_core.activations.reservoir import Reservoir, Rows
from unlearning_core.activations.statistics import Statistics
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.models.fitting import where_it_fits
from unlearning_core.models.placement import input_device
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.concepts.labelling import LabelledText
    from unlearning_core.config.schema import NeuralProbingSection
    from unlearning_core.models.loading import LoadedModel

WINDOW = 2048
"""Texts tokenised and sorted by length at a time."""

TOKEN_BUDGET = 512
"""Padded tokens a batch on a CPU: on GPT-2 small and SmolLM2 as fast a token as 2,048, with less padding (a batch spans
fewer lengths) and a quarter of the memory. It does not depend on the number of threads, so that one process and several
make the same batches."""

TOKEN_BUDGET_GPU = 16_384

MOST_VALUES = 2**30
"""Activations of one layer that stand side by side at most: the layers of a mixture of experts are very wide."""

TASK = "reading activations"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Activations:
    """What one pass keeps.

    Attributes:
        site: which kind of neuron was read.
        statistics: by class, `[2, layers, width]`.
        rows: a sample of rows of both classes, or None if none was asked for.
        massive: neurons that write the attention sink: site, layer, index, contribution, typical.
        tokens: tokens that went through the model, without padding.
        alignment: "before" or "at".
        aggregation: "token", "average", "first" or "last".
        skip_first: whether position 0 was left out.
    """

    site: str
    statistics: Statistics
    rows: Rows | None
    massive: pd.DataFrame
    tokens: int
    alignment: Alignment
    aggregation: Aggregation
    skip_first: bool

    @classmethod
    def load(cls, folder: Path, probing: NeuralProbingSection) -> Activations:
        """What a run keeps of a pass made with these settings: no rows, and 0 for the tokens that were read.

        Raises:
            InputError: there are no statistics in `folder`.
        """
        statistics = Statistics.load(folder / "statistics.npz")
        massive, skip_first = pd.read_parquet(folder / "massive.parquet"), probing.skip_first_position
        return cls(probing.site, statistics, None, massive, 0, probing.alignment, probing.aggregation, skip_first)


def collect(
    loaded: LoadedModel,
    items: Sequence[LabelledText],
    *,
    site: str = "mlp",
    alignment: Alignment = "before",
    aggregation: Aggregation = "token",
    skip_first: bool = True,
    token_budget: int | None = None,
    rows: int = 0,
    seed: int = 0,
    final_normed: bool = False,
    progress: ProgressCallback = silent,
) -> Activations:
    """Run `items` through the model once and keep what the rankers need.

    Under torch.distributed each process runs every n-th batch and the sums are reduced, so that each ends with the
    same result as one process alone. It is the batches that are dealt out, not the texts, because a text's activations
    differ in their last bits with the shape of the batch around it.

    Args:
        loaded: the model, its tokenizer and its map.
        items: labelled texts.
        site: "mlp", "head" (a head is one number, the L2 norm of its block of the output projection's input) or
            "residual".
        alignment: read at the token ("at") or where it is predicted ("before").
        aggregation: a row a token, or a row a word from its tokens.
        skip_first: leave position 0 out (the begin-of-text token where the tokenizer adds one).
        token_budget: padded tokens a batch; half of them, and so on, where memory does not suffice.
        rows: how many rows to sample for the rankers that need them, half of each class; 0 for none.
        seed: of that sample.
        final_normed: site "residual": read the last hidden state after the final norm, as NeuroX does.
        progress: told the tokens done. May raise `Stopped`; the hooks are removed all the same.

    Raises:
        InputError: no text holds the concept, the model lacks the site, or its tokenizer gives no offsets.
        WorkFailed: activations are not finite.
    """
    if not any(item.spans for item in items):
        raise InputError(
            f"None of the {len(items)} sentences holds a word of the concept, so there is nothing to rank. "
            "Check the concept words, or give sentences in which they occur."
        )
    layers, width = loaded.map.require(site)
    device = input_device(loaded.model)
    budget = token_budget or min(default_token_budget(device.type), max(TOKEN_BUDGET, MOST_VALUES // width))
    read_at = alignment, aggregation, skip_first
    rank, world = processes()

    def run(budget: int) -> Activations:
        reader = _Pass(loaded, site, device, Reservoir(rows, layers, width, seed=seed) if rows else None)
        with listening(loaded.map, site, reader.take, final_normed=final_normed), torch.no_grad():
            for number, (batch, done, total) in enumerate(_stream(loaded, items, budget, read_at)):
                if number % world == rank:
                    reader.run(batch)
                progress(Progress(TASK, done, total, "tokens"))
        return reader.finished(*read_at)

    found = where_it_fits(run, budget)
    log.info(
        "Read %d tokens at site %s (%s, %s): %d retain and %d concept rows, %d massive neurons",
        *(found.tokens, site, alignment, aggregation, *found.statistics.count.tolist(), len(found.massive)),
    )
    return found


def default_token_budget(device_type: str) -> int:
    """Padded tokens a batch on a device of this type ("cpu", "cuda", "mps")."""
    return TOKEN_BUDGET if device_type == "cpu" else TOKEN_BUDGET_GPU


class _Pass:
    """The state of one pass: the sums of each layer and the batch that is running."""

    def __init__(self, loaded: LoadedModel, site: str, device: torch.device, reservoir: Reservoir | None) -> None:
        self.loaded, self.site, self.device, self.reservoir = loaded, site, device, reservoir
        self.layers, self.width = loaded.map.require(site)
        self.sums: list[LayerSums | None] = [None] * self.layers
        self.count = np.zeros(2, np.int64)
        self.texts = self.tokens = 0

    def run(self, batch: Batch) -> None:
        """Send one batch through the body of the model; the hooks call `take`."""
        picked = slots = np.zeros(0, np.int64)
        if self.reservoir is not None:
            picked, slots = self.reservoir.admit(batch.row_text, batch.row_number, batch.retain)
        self.chunks = plan(batch, self.width, self.device, picked, slots)
        self.side_by_side = len(batch.input_ids)
        self.loaded.map.body(
            input_ids=torch.from_numpy(batch.input_ids).to(self.device),
            attention_mask=torch.from_numpy(batch.attention_mask).to(self.device),
            use_cache=False,
        )
        self.count += (batch.retain, batch.concept)
        self.texts += self.side_by_side
        self.tokens += batch.tokens

    def take(self, layer: int, values: torch.Tensor) -> None:
        """Sum what one layer's neurons hold for the running batch."""
        sums = self.sums[layer]
        if sums is None:
            sums = LayerSums(self.width, values.device, heads=self.width if self.site == "head" else 0)
            self.sums[layer] = sums
        buffer = None if self.reservoir is None else self.reservoir.buffer[:, layer]
        sums.add(values, self.chunks, self.side_by_side, buffer)

    def finished(self, *read_at: Any) -> Activations:
        """What the passes of all processes kept."""
        sums = [layer or LayerSums(self.width, self.device) for layer in self.sums]
        statistics = all_statistics(to_statistics(sums, self.count))
        first = all_reduced(np.stack([layer.first_abs.cpu().numpy() for layer in sums]))
        texts, tokens = all_reduced(np.array([self.texts, self.tokens])).tolist()
        broken = np.flatnonzero(~np.isfinite(statistics.sumsq).all(axis=(0, 2)))
        if len(broken):
            raise WorkFailed(
                f"The activations of layer {broken[0]} ({self.site}) are not finite numbers. Load the model in "
                "float32, or check its weights."
            )
        elsewhere = statistics.sumabs.sum(0) / max(1, int(statistics.count.sum()))
        norm = self.loaded.map.outgoing_norm(self.site)
        massive = massive_neurons(self.site, first / max(1, texts), elsewhere, norm)
        rows = None if self.reservoir is None else all_rows(self.reservoir)
        return Activations(self.site, statistics, rows, massive, tokens, *read_at)


def _stream(
    loaded: LoadedModel, items: Sequence[LabelledText], budget: int, read_at: tuple[Alignment, Aggregation, bool]
) -> Iterator[tuple[Batch, int, int]]:
    """Yield batches with (tokens done after them, tokens in all, estimated while texts are still to be tokenised)."""
    characters = sum(len(item.text) for item in items)
    context = context_length(loaded)
    seen_characters = seen_tokens = done = 0
    for start in range(0, len(items), WINDOW):
        window = items[start : start + WINDOW]
        encoded = encode(loaded.tokenizer, window, context)
        if cut := sum(context is not None and len(text) >= context for text in encoded):
            log.warning("%d texts reach the model's %s tokens; what goes beyond is left out", cut, context)
        seen_characters += sum(len(item.text) for item in window)
        seen_tokens += sum(len(text) for text in encoded)
        total = round(seen_tokens * characters / max(1, seen_characters))
        for batch in batches(encoded, budget, *read_at, offset=start):
            done += batch.tokens
            yield batch, done, total


def context_length(loaded: LoadedModel) -> int | None:
    """The longest text that the model takes, in tokens; None where it does not say."""
    config: Any = loaded.model.config.get_text_config()
    length = getattr(config, "max_position_embeddings", None)
    return int(length) if length else None
