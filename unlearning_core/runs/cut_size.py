"""How many neurons a run will cut, known from its settings and its model's shapes before anything is ranked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Shapes
from unlearning_core.errors import InputError
from unlearning_core.methods.registry import methods_of
from unlearning_core.runs.cuts import cut_settings

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.models.inspection import ModelInfo


def cut_size(config: ExperimentConfig, info: ModelInfo) -> int:
    """How many neurons the settings cut of this model; 0 where none are, or a search finds the ratio.

    About so many where neurons were picked by hand or layers have shares of their own: only a ranking tells which of
    them `prune_ratio` takes too.

    Raises:
        InputError: the model has no such site, layer or neuron, all of them are protected, settings contradict each
            other, or a ratio rounds to none.
    """
    import pandas as pd

    probing = config.neural_probing
    if not any(method.name == "prune" for method, _ in methods_of(config)):
        return 0
    if (shape := info.shapes.get(probing.site)) is None:
        # A GGUF file's header does not tell the width of every site.
        if info.missing.get(probing.site) is None:
            return 0
        raise InputError(
            f"neural_probing.site is {probing.site!r}, but {info.source} has no neurons there: "
            f"{info.missing[probing.site]}. Choose one of {', '.join(info.shapes)}."
        )
    layers, width = shape
    layer, index = np.divmod(np.arange(layers * width), width)
    # A ranking that takes as many of every layer.
    neurons = pd.DataFrame({"site": probing.site, "layer": layer, "index": index, "rank": index * layers + layer})
    cut = cut_settings(config)
    # Whether a site is there that a GGUF file's header does not tell of is seen when its weights are read.
    told = tuple(neuron for neuron in cut.picked_neurons if neuron[0] in info.shapes or neuron[0] in info.missing)
    size = replace(cut, picked_neurons=told).mask(neurons, info.shapes).cut
    _check_ratios(replace(cut, picked_neurons=()), neurons, info.shapes, searched=config.search.forget is not None)
    return 0 if config.search.forget is not None else size


def _check_ratios(cut: CutSettings, neurons: pd.DataFrame, shapes: Shapes, *, searched: bool) -> None:
    """Refuse a ratio above 0 that rounds to no neuron, and a search of a ratio that no layer follows."""
    left, width = cut.candidates(neurons), shapes[str(neurons["site"].iloc[0])][1]
    follows = cut.follows_ratio(left)
    if searched and not follows.any():
        raise InputError(
            "neural_probing.layer_ratios gives every layer a share of its own, so search.forget has no ratio to "
            "search. Leave one of them out."
        )
    for layer, share in cut.layer_ratios:
        here = int((left["layer"] == layer).sum())
        if share > 0 and round(share * here) == 0:
            raise InputError(
                f"neural_probing.layer_ratios gives layer {layer} the share {share:g}, which cuts 0 of its {here:,} "
                f"neurons. Raise it (one is {1 / max(here, 1):.2g}), or write 0 to cut none there on purpose."
            )
    whole = replace(cut, layer_ratios=())
    if not searched and cut.ratio > 0 and follows.any() and whole.mask(neurons, shapes).cut == 0:
        of = f"the {width:,} of each layer" if cut.per_layer else f"{len(left):,}"
        raise InputError(
            f"neural_probing.prune_ratio is {cut.ratio:g}, which cuts 0 neurons of {of}. Raise it (one of "
            f"{width if cut.per_layer else len(neurons):,} is "
            f"{1 / (width if cut.per_layer else len(neurons)):.2g}), or write 0 to cut none on purpose."
        )
