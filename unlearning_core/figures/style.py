"""The look that all figures share, and the one table of colours.

Colours are Okabe and Ito's, which stay apart with every common kind of colour blindness; where a colour carries a
meaning, a position, a shape or a word carries it too.
"""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

# Its look of axes and grid; its defaults for fifty kinds of trace would be copied into every figure.
_TEMPLATE = go.layout.Template(layout=pio.templates["plotly_white"].layout)

COLOURS = {
    "blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "violet": "#CC79A7", "red": "#D55E00",
    "gray": "#7F7F7F",
}  # fmt: skip
"""By the name that Streamlit gives to a colour of text."""

BLUE, ORANGE, GREEN, PURPLE, RED, GREY = COLOURS.values()

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
"""Lines and marks that tell curves apart without their colours, in the order of the curves."""

DIVERGING = [[0, "rgba(0,114,178,1)"], [0.5, "rgba(127,127,127,0.1)"], [1, "rgba(213,94,0,1)"]]
"""Blue below, orange above. The middle is all but clear: the ground of a light or dark page shows there."""

SOONER = [[0, "rgba(127,127,127,0.08)"], [0.35, "rgba(230,159,0,0.3)"], [0.65, "rgba(230,159,0,1)"],
          [0.85, "rgba(213,94,0,1)"], [1, "rgba(140,20,50,1)"]]  # fmt: skip
"""From all but clear over orange to dark red: the top of a ranking stands out, on a light and on a dark page."""

VEIL = [[0, "rgba(127,127,127,0)"], [1, "rgba(127,127,127,0.85)"]]
"""Over cells, the denser the more of each is covered; seen on a light and on a dark page."""

SITE_NAMES = {"mlp": "MLP neurons", "head": "attention heads", "residual": "residual dimensions"}


def faint(colour: str, share: float) -> str:
    """The colour (#RRGGBB) with so much of its strength, 0 to 1, on whatever ground it stands."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def state_colour(state: str, states: Sequence[str]) -> str:
    """Name of the colour (a key of `COLOURS`) of a model state.

    Base is blue, the states after it have the colours that follow, in their order; what is not among `states`, such as
    the model that never knew, is gray.
    """
    names = list(COLOURS)[:-1]
    return names[list(states).index(state) % len(names)] if state in states else "gray"


def crosses(x: Any, y: Any, symbol: str, size: float, **more: Any) -> tuple[Any, Any]:
    """Marks that are seen on any cell and any ground: dark ones over wider light ones. Only the first is hovered."""
    dark, light = (
        go.Scattergl(
            x=x, y=y, mode="markers", showlegend=False,
            marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": width, "color": colour}},
        )
        for colour, width in (("#14181F", 1.3), ("#FFFFFF", 2.7))
    )  # fmt: skip
    return light.update(hoverinfo="skip"), dark.update(**more)


def layer_axis(layers: int, pixels: float, each: float = 13) -> dict[str, Any]:
    """An axis of layers that names each of them where `pixels` leave room for it, `each` so many."""
    return {"tickformat": "d", "tick0": 0, "dtick": max(1, math.ceil(each * layers / pixels)), "tickfont": {"size": 11}}


def panels(titles: Sequence[str], gap: float = 0.1, **more: Any) -> go.Figure:
    """Panels side by side, each with its title above it."""
    figure = make_subplots(rows=1, cols=len(titles), subplot_titles=titles, horizontal_spacing=gap, **more)
    return figure.update_annotations(font_size=12)


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
