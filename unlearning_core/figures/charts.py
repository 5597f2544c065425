"""Plotly figures from data frames and plain numbers. No torch, no streamlit.

Colours are Okabe and Ito's, which stay apart with every common kind of colour blindness; where a colour carries a
meaning, a position, a shape or a word carries it too. Large arrays go to the browser as typed arrays, binned so that
no figure is larger than `PAYLOAD` bytes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

from unlearning_core.figures.score_grid import Bins, OrderBy, bin_scores, score_matrix, standardise

# Its look of axes and grid; its defaults for fifty kinds of trace would be copied into every figure.
_TEMPLATE = go.layout.Template(layout=pio.templates["plotly_white"].layout)

PAYLOAD = 340_000
BLUE, ORANGE, GREEN, PURPLE, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#7F7F7F"
STAGE_COLOURS = {"base": BLUE, "pruned": ORANGE, "retrained": GREEN}
SITE_NAMES = {"mlp": "MLP neurons", "head": "attention heads", "residual": "residual dimensions"}

# Cells that fit. Each costs 4 bytes of score, 2 of neuron number where its place does not tell it, 15 where it can be
# clicked and 1 under a veil; base64 and its escapes add almost half.
_CELLS_PLAIN = 47_000
_CELLS_NUMBERED = 26_000
_CELLS_SELECTABLE = 9_000
_COLUMNS = 2_000
_MARKERS = 2_000

_METRICS = {
    "concept_nll": "Concept loss (nats/token)",
    "retain_nll": "Retain loss (nats/token)",
    "neighbour_nll": "Neighbours' loss",
    "rest_nll": "Loss on the rest",
    "concept_words_per_100": "Concept words in 100 written",
    "concept_accuracy": "Concept accuracy",
    "retain_accuracy": "Retain accuracy",
}


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
    most = _CELLS_SELECTABLE if selectable else _CELLS_PLAIN if plain else _CELLS_NUMBERED
    bins = _bins(scores, most, order_by)
    numbered = not selectable and (bins.size > 1 or order_by == "score")
    figure = go.Figure(_cells(bins, order_by, standardised, numbered=numbered))
    if selectable:
        figure.add_trace(_clickable(bins, order_by))
        figure.data[0].update(hoverinfo="skip", hovertemplate=None)
        figure.update_layout(hoverdistance=-1)
    if cut.any():
        figure.add_trace(_cut_overlay(bins, cut, marks))
    if chosen is not None:
        figure.add_trace(_frame(bins, *chosen))
    across = "place within the layer, strongest first" if order_by == "score" else "index"
    binned = f", {bins.size} a cell, each showing its strongest" if bins.size > 1 else ""
    layers, columns = bins.values.shape
    figure.update_xaxes(
        title=f"{SITE_NAMES.get(site, site)}: {across}{binned}",
        showgrid=False,
        zeroline=False,
        range=[-bins.size / 2, (columns - 0.5) * bins.size],
    )
    figure.update_yaxes(title="layer", showgrid=False, zeroline=False, tickformat="d", range=[-0.5, layers - 0.5])
    return styled(figure, height=max(280, min(720, 110 + 16 * raw.shape[0])))


def neurons_of_cell(
    ranking: pd.DataFrame, site: str, chosen: tuple[int, int], *, order_by: OrderBy = "index"
) -> np.ndarray:
    """Indices of the neurons that a selectable heatmap draws in the cell of `chosen`, (layer, neuron), itself too."""
    bins = _bins(score_matrix(ranking, site), _CELLS_SELECTABLE, order_by)
    layer, neuron = chosen
    return np.flatnonzero(bins.cells[layer] == bins.cells[layer, neuron])


def _bins(scores: np.ndarray, most: int, order_by: OrderBy) -> Bins:
    return bin_scores(scores, min(most, _COLUMNS * len(scores)), order_by)


def _frame(bins: Bins, layer: int, neuron: int) -> go.Scatter:
    return go.Scatter(
        x=[int(bins.cells[layer, neuron]) * bins.size],
        y=[layer],
        mode="markers",
        marker={"symbol": "square-open", "size": 15, "color": "black", "line": {"width": 2.5}},
        hoverinfo="skip",
        showlegend=False,
        name="chosen",
    )


def _cells(bins: Bins, order_by: OrderBy, standardised: bool, *, numbered: bool) -> go.Heatmap:
    finite = bins.values[np.isfinite(bins.values)]
    # A few neurons stand far out: without a limit they alone would have a colour.
    high = float(np.quantile(np.abs(finite) if standardised else finite, 0.995)) if finite.size else 1.0
    low = -high if standardised else float(finite.min()) if finite.size else 0.0
    places = np.arange(bins.values.shape[1]) * bins.size
    neuron = "%{customdata}" if numbered else "%{x}"
    return go.Heatmap(
        z=bins.values.astype(np.float32),
        x=_small(places),
        customdata=_small(np.maximum(bins.neurons, 0)) if numbered else None,
        zmin=low,
        zmax=high if high > low else low + 1.0,
        colorscale="RdBu_r" if standardised else "Cividis",
        colorbar={"title": "SD above layer" if standardised else "score", "thickness": 12},
        hovertemplate=_hover(neuron, "%{z:.3g}", order_by),
        name="score",
    )


def _hover(neuron: str, score: str, order_by: OrderBy) -> str:
    place = "<br>place %{x}" if order_by == "score" else ""
    return f"layer %{{y}}<br>neuron {neuron}<br>score {score}{place}<extra></extra>"


def _clickable(bins: Bins, order_by: OrderBy) -> go.Scattergl:
    layers, cells = np.nonzero(bins.neurons >= 0)
    facts = np.column_stack([layers, bins.neurons[layers, cells], bins.values[layers, cells]])
    return go.Scattergl(
        x=_small(cells * bins.size),
        y=_small(layers),
        customdata=facts.astype(np.float32),  # exact for every number of a neuron
        mode="markers",
        marker={"symbol": "square", "size": 7, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        hovertemplate=_hover("%{customdata[1]:d}", "%{customdata[2]:.3g}", order_by),
        showlegend=False,
        name="neurons",
    )


def _cut_overlay(bins: Bins, cut: np.ndarray, marks: str) -> go.Scattergl | go.Heatmap:
    """A cross on each cell that holds a cut neuron; where the crosses would cover all, a veil by share cut."""
    layers, columns = bins.values.shape
    counts = np.zeros((layers, columns), np.int64)
    rows, indices = np.nonzero(cut)
    np.add.at(counts, (rows, bins.cells[rows, indices]), 1)
    places = np.arange(columns) * bins.size
    if np.count_nonzero(counts) <= _MARKERS:
        y, x = np.nonzero(counts)
        return go.Scattergl(
            x=_small(places[x]),
            y=_small(y),
            customdata=_small(counts[y, x]),
            mode="markers",
            marker={"symbol": "x-thin", "size": 7, "line": {"width": 1.6, "color": "black"}},
            hovertemplate=f"layer %{{y}}, from %{{x}}: %{{customdata}} {marks}<extra></extra>",
            name=marks,
        )
    share = np.ceil(counts * (100.0 / bins.size)).clip(0, 100).astype(np.uint8)
    return go.Heatmap(
        z=share,
        x=_small(places),
        zmin=0,
        zmax=100,
        colorscale=[[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0.65)"]],
        showscale=False,
        hovertemplate=f"layer %{{y}}, from %{{x}}: %{{z}} % {marks}<extra></extra>",
        name=marks,
    )


def _small(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 in the narrowest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def layer_summary(cut: np.ndarray, protected: np.ndarray | None = None) -> go.Figure:
    """How many neurons of each layer are cut.

    Args:
        cut: bool [layers, width], True = cut.
        protected: bool [layers, width], neurons that no cut reaches first; named in the hover text.
    """
    counts = np.asarray(cut, bool).sum(axis=1)
    kept_safe = np.zeros_like(counts) if protected is None else np.asarray(protected, bool).sum(axis=1)
    hover = np.column_stack([100.0 * counts / max(cut.shape[1], 1), kept_safe])
    bars = go.Bar(
        x=np.arange(len(counts)),
        y=counts,
        customdata=hover,
        marker_color=ORANGE,
        hovertemplate="layer %{x}: %{y} cut (%{customdata[0]:.2f} %)<br>%{customdata[1]:d} protected<extra></extra>",
        name="cut",
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title="layer", tickformat="d")
    few = int(counts.max(initial=0)) < 5  # the ticks that plotly chooses would be halves
    figure.update_yaxes(title="neurons cut", tickformat="d", rangemode="tozero", dtick=1 if few else None)
    return styled(figure, height=260)


def score_histogram(
    ranking: pd.DataFrame, site: str = "mlp", *, cut: np.ndarray | None = None, bins: int = 80
) -> go.Figure:
    """How the scores are spread, cut and kept neurons apart; counts on a logarithmic axis, because few stand out."""
    rows = ranking[ranking["site"] == site]
    scores = rows["score"].to_numpy(np.float64)
    flags = np.zeros(len(rows), bool)
    if cut is not None:
        flags = np.asarray(cut, bool)[rows["layer"].to_numpy(), rows["index"].to_numpy()]
    edges = np.histogram_bin_edges(scores, bins)
    middles, figure = (edges[:-1] + edges[1:]) / 2, go.Figure()
    for name, chosen, colour in (("kept", ~flags, BLUE), ("cut", flags, ORANGE)):
        if chosen.any():
            counts = np.histogram(scores[chosen], edges)[0]
            hover = f"%{{y}} {name} with a score about %{{x:.3g}}<extra></extra>"
            figure.add_trace(
                go.Bar(x=middles, y=counts, name=name, marker_color=colour, hovertemplate=hover, width=np.diff(edges))
            )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_traces(opacity=0.8)
    figure.update_xaxes(title="score")
    figure.update_yaxes(title="neurons", type="log", dtick=1)
    return styled(figure, height=280)


def loss_curve(events: Iterable[Mapping[str, Any]], *, most_points: int = 1000) -> go.Figure:
    """Training and validation loss by step.

    Args:
        events: of `events.jsonl`; those with `kind` "train" or "eval", `step` and `loss` are drawn, others passed over.
        most_points: a longer curve is thinned, its last point kept.
    """
    curves: dict[str, dict[int, float]] = {"train": {}, "eval": {}}
    for event in events:
        if event.get("kind") in curves and event.get("loss") is not None:
            curves[event["kind"]][int(event["step"])] = float(event["loss"])
    figure = go.Figure()
    for kind, name, colour, style in (
        ("train", "training", BLUE, {"mode": "lines"}),
        ("eval", "validation", ORANGE, {"mode": "lines+markers", "marker": {"symbol": "diamond", "size": 8}}),
    ):
        if curves[kind]:
            points = sorted(curves[kind].items())
            step = math.ceil(len(points) / most_points)
            points = points[::-1][::step][::-1]
            x, y = (list(values) for values in zip(*points, strict=True))
            hover = f"step %{{x}}: {name} loss %{{y:.4f}}<extra></extra>"
            figure.add_trace(go.Scatter(x=x, y=y, name=name, line_color=colour, hovertemplate=hover, **style))
    figure.update_xaxes(title="optimizer step", rangemode="tozero")
    figure.update_yaxes(title="loss (nats/token)")
    return styled(figure, height=320)


def gate_history(history: Sequence[Mapping[str, float]]) -> go.Figure:
    """What a training of gates has come to, step by step, in two panels.

    Args:
        history: of each step `step`, `forget` and `divergence` (nats a token; of single batches, so they jump) and
            `closed` (gates more closed than open).
    """
    figure = make_subplots(
        rows=1, cols=2, subplot_titles=["Concept and the rest", "Neurons whose gate is closed"], horizontal_spacing=0.1
    )
    steps = [line["step"] + 1 for line in history]
    for column, key, name, colour, dash in (
        (1, "forget", "concept loss, rise", ORANGE, "solid"),
        (1, "divergence", "divergence elsewhere", BLUE, "dot"),
        (2, "closed", "closed", GREY, "solid"),
    ):
        line = go.Scatter(
            x=steps,
            y=[line[key] for line in history],
            name=name,
            mode="lines",
            line={"color": colour, "dash": dash},
            hovertemplate=f"step %{{x}}: {name} %{{y:.4~g}}<extra></extra>",
            showlegend=column == 1,
        )
        figure.add_trace(line, row=1, col=column)
    figure.update_xaxes(title="step", rangemode="tozero")
    figure.update_yaxes(title="nats/token", row=1, col=1)
    figure.update_yaxes(rangemode="tozero", row=1, col=2)
    figure.update_annotations(font_size=12)
    return styled(figure, height=260).update_layout(legend={"y": -0.3, "x": 0.5, "xanchor": "center"}, margin={"b": 80})


def metric_bars(metrics: Mapping[str, Mapping[str, float | None]], names: Sequence[str] | None = None) -> go.Figure:
    """One panel a metric, one bar a stage, with 95 % intervals (1.96 standard errors each way).

    Args:
        metrics: what `metrics.json` holds.
        names: metrics to show; those that no stage has are left out.
    """
    wanted = list(names or _METRICS)
    shown = [name for name in wanted if any(stage.get(name) is not None for stage in metrics.values())]
    if not shown:
        return styled(go.Figure(), height=260)
    titles = [_METRICS.get(name, name.replace("_", " ")) for name in shown]
    figure = make_subplots(rows=1, cols=len(shown), subplot_titles=titles, horizontal_spacing=0.06)
    for column, name in enumerate(shown, start=1):
        stages = [stage for stage, values in metrics.items() if values.get(name) is not None]
        errors = [1.96 * (metrics[stage].get(f"{name}_stderr") or 0.0) for stage in stages]
        bars = go.Bar(
            x=stages,
            y=[metrics[stage][name] for stage in stages],
            error_y={"type": "data", "array": errors, "color": GREY, "thickness": 1.4},
            customdata=errors,
            marker_color=[STAGE_COLOURS.get(stage, GREY) for stage in stages],
            hovertemplate="%{x}: %{y:.3g} ± %{customdata:.2g}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(bars, row=1, col=column)
    figure.update_yaxes(rangemode="tozero")
    figure.update_annotations(font_size=12)
    return styled(figure, height=300)


def styled(figure: go.Figure, *, height: int) -> go.Figure:
    """The look that all figures share: no ground of their own, so that the page's light or dark one shows."""
    figure.update_layout(
        template=_TEMPLATE,
        height=height,
        margin={"l": 60, "r": 20, "t": 40, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.08, "x": 1, "xanchor": "right"},
        modebar={"remove": ["lasso2d", "select2d", "autoScale2d"]},
    )
    return figure
