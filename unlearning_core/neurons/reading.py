"""When a neuron is active: a pass over sentences that reads it, alone or with others, and what can be seen in that."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from unlearning_core.activations.alignment import Aggregation, Alignment, Encoded, encode, readings
from unlearning_core.activations.batches import length_sorted
from unlearning_core.activations.collect import context_length
from unlearning_core.activations.hooks import listening
from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.errors import WorkFailed
from unlearning_core.models.placement import input_device
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.passages import Passage, passages

if TYPE_CHECKING:
    from unlearning_core.concepts.labelling import LabelledSet, LabelledText
    from unlearning_core.config.schema import ExperimentConfig
    from unlearning_core.models.loading import LoadedModel

TOKEN_BUDGET = 2048
"""Padded tokens a batch."""

MOST_VALUES = 2**26
"""Activations of the layers that a batch has at most."""

MOST_KEPT = 2**25
"""Activations that are kept, so that the next neuron of the same layers needs no pass: 128 MiB."""


def sample_size(parameters: int) -> int:
    """How many sentences of each kind show when a neuron is active without a long wait: fewer, the larger the model.

    About a second of a two-core machine: 200 up to 30 million parameters, 45 of SmolLM2's 135 million, never under 16.
    """
    return max(16, min(200, 6_000_000_000 // max(1, parameters)))


@dataclass(frozen=True)
class Trace:
    """One sentence as one neuron saw it.

    Attributes:
        item: the sentence.
        encoded: its tokens.
        values: the neuron's activation at each token, float32 [tokens].
    """

    item: LabelledText
    encoded: Encoded
    values: np.ndarray


class _Seen(Exception):
    """The last of the layers was read: later ones need not run."""


@dataclass(frozen=True, eq=False)
class LayerTraces:
    """Sentences as the neurons of some layers saw them.

    Attributes:
        items: the sentences that have a token.
        encoded: their tokens.
        values: by layer, float32 [tokens of all sentences, neurons]; the sentences follow one another as in `items`.
        first: the neuron of the first column.
    """

    items: tuple[LabelledText, ...]
    encoded: tuple[Encoded, ...]
    values: dict[int, np.ndarray]
    first: int = 0

    def traces(self, neuron: Neuron) -> list[Trace]:
        """What `neuron` saw, a trace a sentence."""
        column, ends = self.values[neuron.layer][:, neuron.index - self.first], self.ends
        return [
            Trace(item, encoded, column[end - len(encoded) : end])
            for item, encoded, end in zip(self.items, self.encoded, ends, strict=True)
        ]

    @property
    def ends(self) -> list[int]:
        """Where the tokens of each sentence end among those of all."""
        return np.cumsum([len(one) for one in self.encoded], dtype=int).tolist()


def read_layers(
    loaded: LoadedModel, items: Sequence[LabelledText], site: str, layers: Sequence[int], only: int | None = None
) -> LayerTraces:
    """Run `items` through the model up to the last of `layers` and keep what their neurons hold at every token.

    A head's activation is the L2 norm of its block of the output projection's input, as in the ranking.

    Args:
        loaded: the model.
        items: sentences, longer ones up to the model's context.
        site: whose neurons.
        layers: at least one.
        only: keep this neuron of each layer and no other.

    Raises:
        InputError: there is no such neuron, or the tokenizer gives no offsets.
        WorkFailed: an activation is not finite.
    """
    for layer in layers:
        Neuron(site, layer, only or 0).check(loaded.map.require(site))
    encoded = encode(loaded.tokenizer, items, context_length(loaded))
    wide = loaded.map.head_dim if site == "head" else 1
    own = slice(None) if only is None else slice(only * wide, (only + 1) * wide)
    seen: dict[int, torch.Tensor] = {}

    def take(layer: int, values: torch.Tensor) -> None:
        part = values[..., own].float()
        seen[layer] = torch.linalg.vector_norm(part.unflatten(-1, (-1, wide)), dim=-1) if site == "head" else part
        if layer == max(layers):
            raise _Seen

    parts: dict[int, list[np.ndarray]] = {layer: [np.zeros((0, 1), np.float32)] for layer in layers}
    # All neurons of a layer stand side by side for a moment, which of a mixture of experts are many.
    budget = min(TOKEN_BUDGET, max(1, MOST_VALUES // (len(layers) * loaded.map.require(site)[1])))
    order: list[int] = []
    with listening(loaded.map, site, take, only=layers), torch.inference_mode():
        for group in length_sorted([len(text) for text in encoded], budget):
            there = _run(loaded, [encoded[i] for i in group])
            for layer in layers:
                values = seen.pop(layer).cpu().numpy()[there]
                if not np.isfinite(values).all():
                    raise WorkFailed(f"Activations of layer {layer} are not finite. Load the model in float32.")
                parts[layer].append(values)
            order.extend(group)
    whole = {layer: np.concatenate(found[1:] or found) for layer, found in parts.items()}
    return LayerTraces(tuple(items[i] for i in order), tuple(encoded[i] for i in order), whole, only or 0)


def _run(loaded: LoadedModel, texts: Sequence[Encoded]) -> np.ndarray:
    """Run the model until somebody has seen enough; which positions are tokens, bool [texts, positions]."""
    ids = [torch.from_numpy(text.input_ids) for text in texts]
    padded = nn.utils.rnn.pad_sequence(ids, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(one) for one in ids], batch_first=True)
    device = input_device(loaded.model)
    with contextlib.suppress(_Seen):
        loaded.map.body(input_ids=padded.to(device), attention_mask=mask.to(device), use_cache=False)
    return mask.numpy().astype(bool)


def read_neuron(loaded: LoadedModel, items: Sequence[LabelledText], neuron: Neuron) -> list[Trace]:
    """What one neuron holds at every token of `items`; raises as `read_layers` does."""
    return read_layers(loaded, items, neuron.site, [neuron.layer], neuron.index).traces(neuron)


def rows_of(
    traces: Sequence[Trace], alignment: Alignment, aggregation: Aggregation, skip_first: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The neuron's rows as a ranking counts them: (values float64 [rows], classes [rows], 0 retain, 1 concept)."""
    values, classes = [np.zeros(0)], [np.zeros(0, np.int64)]
    for trace in traces:
        found = readings(trace.encoded, alignment, aggregation, skip_first)
        sums = np.bincount(found.segments, weights=trace.values[found.positions], minlength=len(found.classes))
        values.append(sums / np.maximum(np.bincount(found.segments, minlength=len(found.classes)), 1))
        classes.append(found.classes)
    return np.concatenate(values), np.concatenate(classes)


@dataclass(frozen=True)
class Histogram:
    """How often a neuron had which activation, by class.

    Attributes:
        edges: of the bins, float64 [bins + 1], the same for both classes.
        concept: rows of the concept in each bin, int64 [bins].
        retain: all other rows in each bin, int64 [bins].
        concept_mean: mean activation of the concept's rows; NaN without any.
        retain_mean: of all others.
    """

    edges: np.ndarray
    concept: np.ndarray
    retain: np.ndarray
    concept_mean: float
    retain_mean: float


def histogram(values: np.ndarray, classes: np.ndarray, bins: int = 40) -> Histogram:
    """Count `values` [rows] by class [rows] in equal bins from the smallest to the largest of all."""
    edges = np.histogram_bin_edges(values, bins)
    counts, means = [], []
    for label in (CONCEPT, RETAIN):
        own = values[classes == label]
        counts.append(np.histogram(own, edges)[0])
        means.append(float(own.mean()) if len(own) else float("nan"))
    return Histogram(edges, counts[0], counts[1], means[0], means[1])


@dataclass(frozen=True)
class Activity:
    """When a neuron was active in a sample of so many `sentences`, and the passages where it was most and least so."""

    histogram: Histogram
    most: list[Passage]
    least: list[Passage]
    sentences: int


def sample(loaded: LoadedModel, labelled: LabelledSet, seed: int) -> Sequence[LabelledText]:
    """The sentences that show when a neuron of this model is active."""
    few = sample_size(loaded.info.parameters)
    return labelled.take(few, few, seed).items


def read_together(loaded: LoadedModel, items: Sequence[LabelledText], neuron: Neuron) -> range:
    """The layers whose neurons are best read at once with `neuron`: the next one is then there already.

    As many as `MOST_KEPT` values allow; an empty range where one layer has too many.
    """
    layers, width = loaded.map.require(neuron.site)
    tokens = sum(len(ids) for ids in loaded.tokenizer([item.text for item in items]).input_ids)
    size = min(layers, MOST_KEPT // max(1, tokens * width))
    if not size:
        return range(0)
    begin = neuron.layer // size * size
    return range(begin, min(layers, begin + size))


def activity(loaded: LoadedModel, traces: Sequence[Trace], config: ExperimentConfig) -> Activity:
    """What `traces` of one neuron say, read where the settings let a ranking read it."""
    probing = config.neural_probing
    skip = probing.skip_first_position
    values, classes = rows_of(traces, probing.alignment, probing.aggregation, skip)
    most, least = passages(loaded.tokenizer, traces, skip_first=skip)
    return Activity(histogram(values, classes), most, least, len(traces))
