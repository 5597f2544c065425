"""Every neuron of a site as a heatmap, binned so that no figure is larger than `PAYLOAD` bytes.

Large arrays go to the browser as typed arrays. No torch, no streamlit.
"""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.score_grid import Bins, bin_scores, score_matrix, standardise
from unlearning_core.figures.style import DIVERGING, SITE_NAMES, VEIL, crosses, layer_axis, styled

PAYLOAD = 340_000

# Cells that fit. Each costs 4 bytes of score, 2 of neuron number where its place does not tell it and 1 under a veil;
# base64 and its escapes add almost half. The name of an expert's neuron takes up to 25.
_CELLS_PLAIN = 47_000
_CELLS_NUMBERED = 26_000
_CELLS_NAMED = 9_000
_COLUMNS = 2_000
_MARKERS = 2_000


def heatmap(
    ranking: pd.DataFrame | np.ndarray,
    site: str = "mlp",
    *,
    quantity: str = "score",
    cut: np.ndarray | None = None,
    marks: str = "cut",
) -> go.Figure:
    """Every neuron of a site by layer (up) and index (across), coloured by its score's distance from its layer's mean.

    Args:
        ranking: a ranking, or its scores as [layers, width].
        site: whose neurons.
        quantity: what the method calls its score.
        cut: bool [layers, width], True = cut; marked with crosses, or as a share of each cell when there are many.
        marks: what the hover text calls the neurons in `cut`.
    """
    raw = score_matrix(ranking, site) if isinstance(ranking, pd.DataFrame) else np.asarray(ranking, np.float64)
    cut = np.zeros(raw.shape, bool) if cut is None else np.asarray(cut, bool)
    plain = raw.size <= _CELLS_PLAIN and np.count_nonzero(cut) <= _MARKERS
    names = expert_names(ranking, site, raw.shape)
    most = _CELLS_NAMED if names is not None else _CELLS_PLAIN if plain else _CELLS_NUMBERED
    bins = bin_scores(standardise(raw), min(most, _COLUMNS * len(raw)))
    figure = go.Figure(_cells(bins, quantity, names))
    if cut.any():
        for trace in _cut_overlay(bins, cut, marks):
            figure.add_trace(trace)
    binned = f", {bins.size} a cell, each showing its strongest" if bins.size > 1 else ""
    layers, columns = bins.values.shape
    bare = {"showgrid": False, "zeroline": False}
    title, reach = f"{SITE_NAMES.get(site, site)}: index{binned}", [-bins.size / 2, (columns - 0.5) * bins.size]
    height = max(280, min(720, 110 + 16 * layers))
    figure.update_xaxes(title=title, range=reach, **bare)
    figure.update_yaxes(title="layer", range=[-0.5, layers - 0.5], **layer_axis(layers, height - 90), **bare)
    return styled(figure, height=height)


def expert_names(ranking: pd.DataFrame | np.ndarray, site: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """What each place of a layer is called in a mixture of experts, str [width]: "5, neuron 17"; None elsewhere."""
    if not isinstance(ranking, pd.DataFrame) or "expert" not in ranking.columns:
        return None
    rows = ranking[(ranking["site"] == site) & (ranking["layer"] == ranking["layer"].iloc[0])]
    names = np.full(shape[1], "", dtype=object)
    names[rows["index"]] = rows["expert"].astype(str) + ", neuron " + rows["neuron"].astype(str)
    return names


def limits(scores: np.ndarray, *, standardised: bool) -> tuple[float, float]:
    """The ends of a scale of colours: a few neurons stand far out, and without a limit they alone would have one."""
    finite = scores[np.isfinite(scores)]
    high = float(np.quantile(np.abs(finite) if standardised else finite, 0.995)) if finite.size else 1.0
    low = -high if standardised else float(finite.min()) if finite.size else 0.0
    return low, high if high > low else low + 1.0


def _cells(bins: Bins, quantity: str, names: np.ndarray | None) -> go.Heatmap:
    low, high = limits(bins.values, standardised=True)
    places, numbered = np.arange(bins.values.shape[1]) * bins.size, bins.size > 1
    neuron = "expert %{hovertext}" if names is not None else "neuron %{customdata}" if numbered else "neuron %{x}"
    return go.Heatmap(
        z=bins.values.astype(np.float32), x=small(places), zmin=low, zmax=high, name="score",
        customdata=small(np.maximum(bins.neurons, 0)) if numbered and names is None else None,
        hovertext=None if names is None else names[np.maximum(bins.neurons, 0)],
        colorscale=DIVERGING, colorbar={"title": "SD above layer", "thickness": 12},
        hovertemplate=f"layer %{{y}}<br>{neuron}<br>{quantity}: %{{z:+.3g}} SD from its layer's mean<extra></extra>",
    )  # fmt: skip


def _cut_overlay(bins: Bins, cut: np.ndarray, marks: str) -> tuple[Any, ...]:
    """A cross on each cell that holds a cut neuron; where the crosses would cover all, a veil by share cut."""
    counts = np.zeros(bins.values.shape, np.int64)
    rows, _ = np.nonzero(cut)
    np.add.at(counts, (rows, bins.cells[cut]), 1)
    places = np.arange(bins.values.shape[1]) * bins.size
    if np.count_nonzero(counts) <= _MARKERS:
        y, x = np.nonzero(counts)
        return crosses(
            small(places[x]), small(y), "x-thin", 5, customdata=small(counts[y, x]), name=marks,
            hovertemplate=f"layer %{{y}}, from %{{x}}: %{{customdata}} {marks}<extra></extra>",
        )  # fmt: skip
    share = np.ceil(counts * (100.0 / bins.size)).clip(0, 100).astype(np.uint8)
    veil = go.Heatmap(
        z=share, x=small(places), zmin=0, zmax=100, showscale=False, name=marks,
        colorscale=VEIL,
        hovertemplate=f"layer %{{y}}, from %{{x}}: %{{z}} % {marks}<extra></extra>",
    )  # fmt: skip
    return (veil,)


def small(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 in the narrowest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
