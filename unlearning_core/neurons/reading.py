"""When one neuron is active: a pass over sentences that reads it alone, and what can be seen in that."""

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
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.passages import Passage, passages

if TYPE_CHECKING:
    from unlearning_core.concepts.labelling import LabelledSet, LabelledText
    from unlearning_core.config.schema import ExperimentConfig
    from unlearning_core.models.loading import LoadedModel

TOKEN_BUDGET = 2048
"""Padded tokens a batch."""

MOST_VALUES = 2**26
"""Activations of the neuron's layer that a batch has at most."""


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
    """The neuron's layer was read: later layers need not run."""


def read_neuron(loaded: LoadedModel, items: Sequence[LabelledText], neuron: Neuron) -> list[Trace]:
    """Run `items` through the model up to the neuron's layer and keep the activation of that neuron at every token.

    A head's activation is the L2 norm of its block of the output projection's input, as in the ranking.

    Raises:
        InputError: there is no such neuron, or the tokenizer gives no offsets.
        WorkFailed: an activation is not finite.
    """
    neuron.check(loaded.map.require(neuron.site))
    encoded = encode(loaded.tokenizer, items, context_length(loaded))
    device = next(loaded.model.parameters()).device
    wide = loaded.map.head_dim if neuron.site == "head" else 1
    own = slice(neuron.index * wide, (neuron.index + 1) * wide)
    seen: list[torch.Tensor] = []

    def take(layer: int, values: torch.Tensor) -> None:
        part = values[..., own].float()
        seen.append(torch.linalg.vector_norm(part, dim=-1) if neuron.site == "head" else part[..., 0])
        raise _Seen

    traces: list[Trace] = []
    # All neurons of the layer stand side by side for a moment, which of a mixture of experts are many.
    budget = min(TOKEN_BUDGET, max(1, MOST_VALUES // loaded.map.require(neuron.site)[1]))
    with listening(loaded.map, neuron.site, take, only=neuron.layer), torch.inference_mode():
        for group in length_sorted([len(text) for text in encoded], budget):
            texts = [torch.from_numpy(encoded[i].input_ids) for i in group]
            ids = nn.utils.rnn.pad_sequence(texts, batch_first=True)
            mask = nn.utils.rnn.pad_sequence([torch.ones_like(text) for text in texts], batch_first=True)
            with contextlib.suppress(_Seen):
                loaded.map.body(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
            values = seen.pop().cpu().numpy()
            if not np.isfinite(values).all():
                raise WorkFailed(f"Activations of layer {neuron.layer} are not finite. Load the model in float32.")
            traces += [
                Trace(items[i], encoded[i], values[row, : len(encoded[i])].copy()) for row, i in enumerate(group)
            ]
    return traces


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


def read_activity(loaded: LoadedModel, labelled: LabelledSet, neuron: Neuron, config: ExperimentConfig) -> Activity:
    """Read `neuron` in a sample of the labelled sentences, where the settings let a ranking read it.

    Raises:
        InputError: there is no such neuron.
        WorkFailed: an activation is not finite.
    """
    probing, few = config.neural_probing, sample_size(loaded.info.parameters)
    items = labelled.take(few, few, config.seed).items
    traces = read_neuron(loaded, items, neuron)
    skip = probing.skip_first_position
    values, classes = rows_of(traces, probing.alignment, probing.aggregation, skip)
    most, least = passages(loaded.tokenizer, traces, skip_first=skip)
    return Activity(histogram(values, classes), most, least, len(items))
