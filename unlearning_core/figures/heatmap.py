"""Every neuron of a site as a heatmap, binned so that no figure is larger than `PAYLOAD` bytes.

Large arrays go to the browser as typed arrays. No torch, no streamlit.
"""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.score_grid import Bins, OrderBy, bin_scores, score_matrix, standardise
from unlearning_core.figures.style import SITE_NAMES, styled

PAYLOAD = 340_000

# Cells that fit. Each costs 4 bytes of score, 2 of neuron number where its place does not tell it, 15 where it can be
# clicked and 1 under a veil; base64 and its escapes add almost half. The name of an expert's neuron takes up to 25.
_CELLS_PLAIN = 47_000
_CELLS_NUMBERED = 26_000
_CELLS_SELECTABLE = 9_000
_CELLS_NAMED = 9_000
_CELLS_NAMED_SELECTABLE = 4_500
_COLUMNS = 2_000
_MARKERS = 2_000


def heatmap(
    ranking: pd.DataFrame | np.ndarray,
    site: str = "mlp",
    *,
    order_by: OrderBy = "index",
    standardised: bool = True,
    cut: np.ndarray | None = None,
    selectable: bool = False,
    chosen: tuple[int, int] | None = None,
    marks: str = "cut",
) -> go.Figure:
    """Every neuron of a site by layer (up) and index or place (across), coloured by its score.

    Args:
        ranking: a ranking, or its scores as [layers, width].
        order_by: across by index, or by score within the layer, highest first.
        standardised: colour by the score's distance from its layer's mean, in standard deviations.
        cut: bool [layers, width], True = cut; marked with crosses, or as a share of each cell when there are many.
        selectable: lay unseen markers over the cells, one a cell with customdata [layer, neuron, score]: a click on a
            heatmap tells Streamlit nothing, a click on a marker does, and the nearest marker is never far.
        chosen: (layer, neuron) whose cell is framed.
        marks: what the hover text calls the neurons in `cut`.
    """
    raw = score_matrix(ranking, site) if isinstance(ranking, pd.DataFrame) else np.asarray(ranking, np.float64)
    scores = standardise(raw) if standardised else raw
    cut = np.zeros(raw.shape, bool) if cut is None else np.asarray(cut, bool)
    plain = order_by == "index" and raw.size <= _CELLS_PLAIN and np.count_nonzero(cut) <= _MARKERS
    names = _expert_names(ranking, site, raw.shape)
    most = _most_selectable(names is not None) if selectable else _CELLS_PLAIN if plain else _CELLS_NUMBERED
    bins = _bins(scores, most if names is None else min(most, _CELLS_NAMED), order_by)
    numbered = not selectable and (bins.size > 1 or order_by == "score")
    figure = go.Figure(_cells(bins, order_by, standardised, None if selectable else names, numbered=numbered))
    if selectable:
        figure.add_trace(_clickable(bins, order_by, names))
        figure.data[0].update(hoverinfo="skip", hovertemplate=None)
        figure.update_layout(hoverdistance=-1)
    if cut.any():
        figure.add_trace(_cut_overlay(bins, cut, marks))
    if chosen is not None:
        figure.add_scatter(
            x=[int(bins.cells[chosen]) * bins.size], y=[chosen[0]], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"symbol": "square-open", "size": 15, "color": "black", "line": {"width": 2.5}}, name="chosen",
        )  # fmt: skip
    across = "place within the layer, strongest first" if order_by == "score" else "index"
    binned = f", {bins.size} a cell, each showing its strongest" if bins.size > 1 else ""
    layers, columns = bins.values.shape
    bare = {"showgrid": False, "zeroline": False}
    title, reach = f"{SITE_NAMES.get(site, site)}: {across}{binned}", [-bins.size / 2, (columns - 0.5) * bins.size]
    figure.update_xaxes(title=title, range=reach, **bare)
    figure.update_yaxes(title="layer", tickformat="d", range=[-0.5, layers - 0.5], **bare)
    return styled(figure, height=max(280, min(720, 110 + 16 * raw.shape[0])))


def neurons_of_cell(
    ranking: pd.DataFrame, site: str, chosen: tuple[int, int], *, order_by: OrderBy = "index"
) -> np.ndarray:
    """Indices of the neurons that a selectable heatmap draws in the cell of `chosen`, (layer, neuron), itself too."""
    cells = _bins(score_matrix(ranking, site), _most_selectable("expert" in ranking.columns), order_by).cells
    return np.flatnonzero(cells[chosen[0]] == cells[chosen])


def _most_selectable(named: bool) -> int:
    return _CELLS_NAMED_SELECTABLE if named else _CELLS_SELECTABLE


def _expert_names(ranking: pd.DataFrame | np.ndarray, site: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """What each place of a layer is called in a mixture of experts, str [width]: "5, neuron 17"; None elsewhere."""
    if not isinstance(ranking, pd.DataFrame) or "expert" not in ranking.columns:
        return None
    rows = ranking[(ranking["site"] == site) & (ranking["layer"] == ranking["layer"].iloc[0])]
    names = np.full(shape[1], "", dtype=object)
    names[rows["index"]] = rows["expert"].astype(str) + ", neuron " + rows["neuron"].astype(str)
    return names


def _bins(scores: np.ndarray, most: int, order_by: OrderBy) -> Bins:
    return bin_scores(scores, min(most, _COLUMNS * len(scores)), order_by)


def _cells(
    bins: Bins, order_by: OrderBy, standardised: bool, names: np.ndarray | None, *, numbered: bool
) -> go.Heatmap:
    finite = bins.values[np.isfinite(bins.values)]
    # A few neurons stand far out: without a limit they alone would have a colour.
    high = float(np.quantile(np.abs(finite) if standardised else finite, 0.995)) if finite.size else 1.0
    low = -high if standardised else float(finite.min()) if finite.size else 0.0
    places = np.arange(bins.values.shape[1]) * bins.size
    neuron = "expert %{hovertext}" if names is not None else "neuron %{customdata}" if numbered else "neuron %{x}"
    return go.Heatmap(
        z=bins.values.astype(np.float32), x=_small(places), zmin=low, zmax=high if high > low else low + 1.0,
        customdata=_small(np.maximum(bins.neurons, 0)) if numbered and names is None else None, name="score",
        hovertext=None if names is None else names[np.maximum(bins.neurons, 0)],
        colorscale="RdBu_r" if standardised else "Cividis", hovertemplate=_hover(neuron, "%{z:.3g}", order_by),
        colorbar={"title": "SD above layer" if standardised else "score", "thickness": 12},
    )  # fmt: skip


def _hover(neuron: str, score: str, order_by: OrderBy) -> str:
    place = "<br>place %{x}" if order_by == "score" else ""
    return f"layer %{{y}}<br>{neuron}<br>score {score}{place}<extra></extra>"


def _clickable(bins: Bins, order_by: OrderBy, names: np.ndarray | None) -> go.Scattergl:
    layers, cells = np.nonzero(bins.neurons >= 0)
    facts = np.column_stack([layers, bins.neurons[layers, cells], bins.values[layers, cells]])
    neuron = "neuron %{customdata[1]:d}" if names is None else "expert %{hovertext}"
    unseen = {"marker": {"opacity": 0}}
    return go.Scattergl(
        x=_small(cells * bins.size), y=_small(layers), mode="markers", selected=unseen, unselected=unseen,
        customdata=facts.astype(np.float32),  # exact for every number of a neuron
        marker={"symbol": "square", "size": 7, "opacity": 0}, showlegend=False, name="neurons",
        hovertext=None if names is None else names[bins.neurons[layers, cells]],
        hovertemplate=_hover(neuron, "%{customdata[2]:.3g}", order_by),
    )  # fmt: skip


def _cut_overlay(bins: Bins, cut: np.ndarray, marks: str) -> go.Scattergl | go.Heatmap:
    """A cross on each cell that holds a cut neuron; where the crosses would cover all, a veil by share cut."""
    counts = np.zeros(bins.values.shape, np.int64)
    rows, _ = np.nonzero(cut)
    np.add.at(counts, (rows, bins.cells[cut]), 1)
    places = np.arange(bins.values.shape[1]) * bins.size
    if np.count_nonzero(counts) <= _MARKERS:
        y, x = np.nonzero(counts)
        return go.Scattergl(
            x=_small(places[x]), y=_small(y), customdata=_small(counts[y, x]), mode="markers", name=marks,
            marker={"symbol": "x-thin", "size": 7, "line": {"width": 1.6, "color": "black"}},
            hovertemplate=f"layer %{{y}}, from %{{x}}: %{{customdata}} {marks}<extra></extra>",
        )  # fmt: skip
    share = np.ceil(counts * (100.0 / bins.size)).clip(0, 100).astype(np.uint8)
    return go.Heatmap(
        z=share, x=_small(places), zmin=0, zmax=100, showscale=False, name=marks,
        colorscale=[[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0.65)"]],
        hovertemplate=f"layer %{{y}}, from %{{x}}: %{{z}} % {marks}<extra></extra>",
    )  # fmt: skip


def _small(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 in the narrowest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
