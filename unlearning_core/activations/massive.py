"""Neurons that write the attention sink: found by how much they put out at position 0 beside everything else.

GPT-style models park attention on the first token with a few activations that are orders of magnitude larger than all
others ("Massive Activations in Large Language Models", Sun et al. 2024). They carry no concept, but stand at the top
of many rankings, and a model that loses them writes nonsense. Not only the few largest matter: on SmolLM2-135M, three
neurons of layers 2 and 9 that put out a few hundred at position 0, where others put out tenths, start the sink that
layers 11 and 28 complete with thousands; cutting those three is what ruins an unprotected cut by activation ratio.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from jaxtyping import Float

TIMES_TYPICAL = 100.0
"""A massive neuron puts out at position 0 at least this many times what the middle neuron puts out elsewhere (the
middle of its layer or of the whole site, whichever is larger) ..."""

TIMES_ITSELF = 5.0
"""... and at least this many times what it puts out itself elsewhere, or it is merely a loud neuron. Not more: the sink
also forms at a few later positions, which weigh in the mean of a small corpus."""

LARGEST_SHARE = 0.002
"""At most this share of a site's neurons is called massive (rounded up): the strongest ones."""


def massive_neurons(
    site: str,
    first: Float[np.ndarray, "layers width"],
    elsewhere: Float[np.ndarray, "layers width"],
    outgoing_norm: Float[np.ndarray, "layers width"],
) -> pd.DataFrame:
    """The neurons to protect, strongest first.

    Args:
        site: the kind of neuron.
        first: mean absolute activation at position 0.
        elsewhere: mean absolute activation at the other positions.
        outgoing_norm: L2 norm of the weights that leave each neuron.

    Returns:
        One line a neuron: site, layer, index, contribution (mean |activation| x outgoing norm at position 0) and
        typical (the same elsewhere).
    """
    contribution, typical = first * outgoing_norm, elsewhere * outgoing_norm
    middle = np.maximum(np.median(typical, axis=1, keepdims=True), np.median(typical))
    massive = (contribution >= TIMES_TYPICAL * middle) & (contribution >= TIMES_ITSELF * typical) & (contribution > 0)
    candidates = np.flatnonzero(massive)
    strongest = candidates[np.argsort(-contribution.ravel()[candidates], kind="stable")]
    strongest = strongest[: math.ceil(LARGEST_SHARE * contribution.size)]
    layer, index = np.unravel_index(strongest, contribution.shape)
    return pd.DataFrame(
        {
            "site": np.full(len(strongest), site, dtype=object),
            "layer": layer.astype(np.int64),
            "index": index.astype(np.int64),
            "contribution": contribution.ravel()[strongest],
            "typical": typical.ravel()[strongest],
        }
    )
