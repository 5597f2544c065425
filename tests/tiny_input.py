"""Tiny models and a few labelled sentences for rankers that run the model, and cuts made by hand to compare with."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers.pytorch_utils import Conv1D

from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.activations.collect import collect
from unlearning_core.activations.statistics import Statistics
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.evaluation.divergence import kl_of_logits
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.mapping import map_model
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.single_ablations import SingleAblations
from unlearning_core.rankers.token_batches import token_batches


def _item(text: str, *words: str) -> LabelledText:
    starts = [text.index(word) for word in words]
    return LabelledText(text, tuple((s, s + len(w)) for s, w in zip(starts, words, strict=True)), words)


ITEMS = [
    _item("She put the chair beside the sofa.", "chair", "sofa"),
    LabelledText("The cat sleeps."),
    _item("A naïve traveller sat down on a bench near the river before the rain.", "bench"),
    LabelledText("It's a café, isn't it? Nobody saw it."),
    _item("The dog barks at the chairs near the window.", "chairs"),
    LabelledText("A small boat crossed the river before the rain, and nobody saw it."),
]


SMOOTH: dict[str, dict[str, Any]] = {"qwen2_moe": {"num_experts_per_tok": 4}}
"""Settings with which a family's loss has a derivative everywhere: a router that chooses among experts jumps."""


def statistics_of(rows: np.ndarray, classes: np.ndarray) -> Statistics:
    """Statistics of activations `[rows, layers, width]` at hand; the class of each row is 0 or 1."""
    own = [rows[classes == label].astype(np.float64) for label in (0, 1)]
    sums = (np.stack([figure(part).sum(0) for part in own]) for figure in (np.array, np.square, np.abs))
    ends = (
        np.stack([part.min(0, initial=np.inf) for part in own]),
        np.stack([part.max(0, initial=-np.inf) for part in own]),
    )
    return Statistics(
        np.array([len(part) for part in own]), *sums, *ends, np.stack([(part > 0).sum(0) for part in own]) * 1.0
    )


def tiny_input(family: str, site: str = "mlp", seed: int = 0, **overrides: Any) -> RankingInput:
    """A tiny random model, `ITEMS`, and what a pass over them keeps."""
    model = tiny_model(family, seed, **overrides)
    loaded = LoadedModel(model, tiny_tokenizer(), map_model(model), info=None)  # type: ignore[arg-type]
    return RankingInput(collect(loaded, ITEMS, site=site), model=loaded, items=ITEMS)


def scaled(of: RankingInput, site: str, neurons: list[tuple[int, int]], factor: float) -> LoadedModel:
    """A copy of the model in whose weights the (layer, index) neurons of `site` count `factor` times."""
    model = copy.deepcopy(of.loaded.model)
    found = map_model(model)
    with torch.no_grad():
        for layer, index in neurons:
            if site == "mlp" and found.experts:
                _scale_expert(model.model.layers[layer].mlp, index, factor)
                continue
            for module in found.readers(site, layer):
                _scale(module, site, index, factor, found.head_dim, found.gain_offset)
    return replace(of.loaded, model=model, map=found)


def ablations_by_mask(of: RankingInput, site: str, neurons: np.ndarray) -> SingleAblations:
    """Each of `neurons` cut, each mask measured by itself."""
    shapes, base, rows = {site: of.loaded.map.shapes[site]}, measure(of.loaded, ITEMS), []
    for layer, index in neurons:
        mask = Mask.from_neurons(shapes, [(site, layer, index)])
        after = measure(of.loaded, ITEMS, mask=mask)
        deltas = [nll_delta(base, after, kind).value for kind in ("concept", "retain")]
        rows.append([*deltas, 0.0, _divergence(of, mask)])
    return SingleAblations(*np.array(rows).T)


def _divergence(of: RankingInput, mask: Mask) -> float:
    """Mean KL at retain tokens, text by text through the whole model."""
    nats = tokens = 0.0
    for batch in token_batches(of, token_budget=1):
        logits = []
        for cut in (Mask.from_neurons(of.loaded.map.shapes, []), mask):
            with torch.no_grad(), applied(of.loaded.model, cut):
                logits.append(of.loaded.model(batch.ids, attention_mask=batch.attention_mask).logits[batch.retain])
        nats += kl_of_logits(*logits).sum()
        tokens += int(batch.retain.sum())
    return nats / tokens


def _scale_expert(mlp: Any, index: int, factor: float) -> None:
    experts, _, width = mlp.experts.down_proj.shape
    if index < experts * width:
        mlp.experts.down_proj[index // width, :, index % width] *= factor
    else:
        mlp.shared_expert.down_proj.weight[:, index - experts * width] *= factor


def _scale(module: Any, site: str, index: int, factor: float, head_dim: int, gain_offset: float) -> None:
    if site == "residual":
        module.weight[index] = (module.weight[index] + gain_offset) * factor - gain_offset
        if getattr(module, "bias", None) is not None:
            module.bias[index] *= factor
        return
    inputs = slice(index, index + 1) if site == "mlp" else slice(index * head_dim, (index + 1) * head_dim)
    where = (inputs, slice(None)) if isinstance(module, Conv1D) else (slice(None), inputs)
    module.weight[where] *= factor
