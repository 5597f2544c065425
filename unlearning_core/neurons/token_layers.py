"""Where in a sentence the concept's neurons are at work: token by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from unlearning_core.activations.statistics import CONCEPT, RETAIN, Statistics
from unlearning_core.errors import InputError
from unlearning_core.neurons.passages import Piece, whole
from unlearning_core.neurons.reading import Trace, read_layers

if TYPE_CHECKING:
    from unlearning_core.concepts.labelling import LabelledText
    from unlearning_core.models.loading import LoadedModel


@dataclass(frozen=True, eq=False)
class TokenLayers:
    """How far some neurons are moved at each token of a sentence the way the concept moves them.

    Attributes:
        pieces: the tokens, whose values say nothing here.
        moved: by layer and token, in standard deviations (`token_layers`); NaN where none of the neurons lies in the
            layer, or the token is not counted.
        neurons: how many of them lie in each layer.
    """

    pieces: tuple[Piece, ...]
    moved: Float[np.ndarray, "layers tokens"]
    neurons: Int[np.ndarray, " layers"]


def token_layers(
    loaded: LoadedModel,
    item: LabelledText,
    ranking: pd.DataFrame,
    first: int,
    statistics: Statistics,
    *,
    skip_first: bool = True,
) -> TokenLayers:
    """Read the `first` neurons of a ranking at each token of a sentence.

    moved[l, t] = mean over the neurons j of layer l that are among the first of s_j (a_jt - m_j) / d_j

    a_jt is the activation of j at token t, m_j and d_j are its mean and standard deviation at tokens that are not the
    concept's, and s_j is +1 or -1, the direction in which its mean at the concept's tokens lies from m_j. So 0 is as on
    other text, and a neuron counts by how unusual it is, not by how large its activations are. A neuron that was never
    seen to change counts as 0.

    Args:
        loaded: the model.
        item: the sentence.
        ranking: of one site.
        first: how many of its neurons, the most concept-relevant ones.
        statistics: what the pass behind the ranking kept: m, d and s, where that read them.
        skip_first: leave out position 0, where GPT-style models park attention.

    Raises:
        InputError: the sentence has no token, `first` is not among the neurons, or `statistics` are of other neurons.
        WorkFailed: an activation is not finite.
    """
    site = str(ranking["site"].iloc[0])
    shape = loaded.map.require(site)
    if not 1 <= first <= len(ranking):
        raise InputError(f"first is {first}; it must be from 1 to {len(ranking):,}, the number of neurons ranked.")
    if statistics.shape != shape:
        raise InputError(f"The statistics are of {statistics.shape} neurons, the model has {shape}. Rank them again.")
    found = read_layers(loaded, [item], site, range(shape[0]))
    if not found.items:
        raise InputError("The sentence is empty. Write one, or choose another.")
    encoded = found.encoded[0]
    counted = ~encoded.special
    counted[:1] &= not skip_first
    chosen = _marks(ranking, first, shape)
    mean, spread = statistics.mean(), statistics.sample_std()[RETAIN]
    towards = np.sign(mean[CONCEPT] - mean[RETAIN])
    moved = np.full((shape[0], len(encoded)), np.nan)
    for layer in np.flatnonzero(chosen.any(axis=1)):
        own = chosen[layer]
        away = found.values[int(layer)][:, own] - mean[RETAIN, layer, own]
        steps = np.divide(away, spread[layer, own], out=np.zeros_like(away), where=spread[layer, own] > 0)
        moved[layer, counted] = (steps * towards[layer, own]).mean(axis=1)[counted]
    texts = whole(loaded.tokenizer, Trace(item, encoded, np.zeros(len(encoded))), skip_first)
    return TokenLayers(texts, moved, chosen.sum(axis=1))


def _marks(ranking: pd.DataFrame, first: int, shape: tuple[int, int]) -> Bool[np.ndarray, "layers width"]:
    marks = np.zeros(shape, bool)
    rows = ranking[ranking["rank"] < first]
    marks[rows["layer"], rows["index"]] = True
    return marks
