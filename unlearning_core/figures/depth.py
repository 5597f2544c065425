"""Layer by layer: what is lacking inside an edited model, and what can still be read there. No torch, no streamlit."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.style import BLUE, COLOURS, DASHES, GREY, ORANGE, SYMBOLS, panels, state_colour, styled


def depth_curves(found: pd.DataFrame, state: str) -> go.Figure:
    """What the base loses on the concept's words with another model's states in each layer.

    Args:
        found: of one state, by layer (evaluation/depth.py, `by_layer`): `layer`, `never_knew_nats`, `nats`,
            `control_nats`, `share`.
        state: whose `nats` these are.
    """
    figure = go.Figure()
    for column, name, colour, dash, symbol in (
        ("never_knew_nats", "never-knew model", BLUE, "solid", "circle"),
        ("nats", f"{state} model", ORANGE, "solid", "square"),
        ("control_nats", "never-knew model, on words that it knows", GREY, "dot", "x"),
    ):
        if found[column].notna().any():
            share = found["share"] if column == "nats" else None
            more = "<br>depth of this layer %{customdata:.2f}" if share is not None else ""
            figure.add_scatter(
                x=found["layer"], y=found[column], name=name, mode="lines+markers", customdata=share,
                line={"color": colour, "dash": dash}, marker={"symbol": symbol, "size": 8},
                hovertemplate=f"layer %{{x}}: %{{y:.2f}} nats ({name}){more}<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(title="layer whose state is replaced", tickformat="d")
    figure.update_yaxes(title="lost on the words (nats/token)", rangemode="tozero")
    return styled(figure, height=320)


def lens_curves(found: Mapping[str, pd.DataFrame], states: Sequence[str]) -> go.Figure:
    """What the head reads in each layer of each state, in two panels: rank of the right word, and told from the others.

    Args:
        found: by state, by layer (evaluation/readout.py, `lens_by_layer`): `layer`, `nats`, `rank`, `told`.
        states: all states of the run, whose order gives the colours.
    """
    figure = panels(["Place of the right word (1 is the first)", "Told from the concept's other words (%)"])
    for number, (state, table) in enumerate(found.items()):
        _add(figure, 1, number, state, states, table["layer"], table["rank"], "place %{y:.4~g}")
        _add(figure, 2, number, state, states, table["layer"], 100 * table["told"], "told in %{y:.0f} %")
    figure.update_xaxes(title="layer", tickformat="d")
    figure.update_yaxes(type="log", dtick=1, autorange="reversed", row=1, col=1)
    figure.update_yaxes(range=[0, 100], row=1, col=2)
    below = {"y": -0.25, "x": 0.5, "xanchor": "center"}
    return styled(figure, height=340).update_layout(legend=below, margin={"b": 90})


def probe_curves(found: Mapping[str, pd.DataFrame], states: Sequence[str]) -> go.Figure:
    """How often a linear map of each layer tells the right one of the concept's words, and on labels without meaning.

    Args:
        found: by state, by layer (evaluation/readout.py, `probe_by_layer`): `layer`, `accuracy`, `control`.
        states: all states of the run, whose order gives the colours.
    """
    figure = go.Figure()
    for number, (state, table) in enumerate(found.items()):
        _add(figure, None, number, state, states, table["layer"], 100 * table["accuracy"], "told in %{y:.0f} %")
    if found:
        control = pd.concat(found.values()).groupby("layer")["control"].mean()
        figure.add_scatter(
            x=control.index, y=100 * control, name="labels dealt out at random", mode="lines",
            line={"color": GREY, "dash": "dot"}, hovertemplate="layer %{x}: %{y:.0f} % by luck<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="layer", tickformat="d")
    figure.update_yaxes(title="right (%)", range=[0, 100])
    return styled(figure, height=320)


def _add(
    figure: go.Figure, column: int | None, number: int, state: str, states: Sequence[str], x: pd.Series, y: pd.Series,
    said: str,
) -> None:  # fmt: skip
    line = go.Scatter(
        x=x, y=y, name=state, legendgroup=state, showlegend=column != 2, mode="lines+markers",
        line={"color": COLOURS[state_colour(state, states)], "dash": DASHES[number % len(DASHES)]},
        marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8},
        hovertemplate=f"{state}, layer %{{x}}: {said}<extra></extra>",
    )  # fmt: skip
    figure.add_trace(line, **({"row": 1, "col": column} if column else {}))
