"""The figure of a sweep: the curves as measured, where the person stands, and colours that show on any ground."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unlearning_core.evaluation.sweep import Point, to_frame
from unlearning_core.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED
from unlearning_core.figures.sweep import sweep_curves

RATIOS = (0.0, 0.01, 0.1)


def points() -> pd.DataFrame:
    rows = [Point("top", 0, r, round(100 * r), 10 * r, 0.1, r, 0.01) for r in RATIOS]
    rows += [Point("random", draw, r, 1, draw * r, 0.1, -draw * r, 0.01) for draw in range(3) for r in RATIOS]
    return to_frame(rows)


def traces(figure: object, name: str) -> list:
    return [trace for trace in figure.data if trace.name == name]


def test_each_panel_shows_the_measured_curves_with_95_percent_intervals() -> None:
    figure = sweep_curves(points(), ratio=0.05)
    forget, retain = traces(figure, "from the top")
    assert forget.x.tolist() == pytest.approx([1, 10])
    assert forget.y.tolist() == pytest.approx([0.1, 1.0])
    assert retain.y.tolist() == pytest.approx([0.01, 0.1])
    assert forget.error_y.array.tolist() == pytest.approx([0.196, 0.196])
    assert not traces(figure, "from the bottom")


def test_the_band_holds_all_random_draws_about_their_mean() -> None:
    figure = sweep_curves(points(), ratio=0.05)
    mean, band = traces(figure, "at random")[0], traces(figure, "all random draws")[0]
    assert mean.y.tolist() == pytest.approx([0.01, 0.1])
    assert band.x.tolist() == pytest.approx([1, 10, 10, 1])
    assert band.y.tolist() == pytest.approx([0, 0, 0.2, 0.02])


def test_the_cut_and_the_suggestion_are_marked_in_both_panels_within_the_axis() -> None:
    figure = sweep_curves(points(), ratio=0.6, suggested=0.02)
    places = [shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1]
    assert places == [2, 2, 60, 60]
    assert {trace.name for trace in figure.data} >= {"suggested", "your cut"}
    assert 10 ** figure.layout.xaxis.range[1] >= 60


def test_a_cut_of_nothing_has_no_mark_on_a_logarithmic_axis() -> None:
    figure = sweep_curves(points(), ratio=0.0)
    assert not traces(figure, "your cut")
    assert np.isfinite(figure.layout.xaxis.range).all()


def test_a_sweep_that_has_only_begun_can_be_drawn() -> None:
    assert traces(sweep_curves(points().head(1), ratio=0.01), "from the top")[0].x.size == 0


def test_other_rankings_are_drawn_from_the_top_each_in_a_look_of_its_own() -> None:
    others = {
        name: to_frame([Point("top", 0, r, 1, k * r, 0.1, r, 0.01) for r in RATIOS]) for k, name in ((2, "a"), (3, "b"))
    }
    figure = sweep_curves(points(), ratio=0.05, others=others)
    for k, name in ((2, "a"), (3, "b")):
        forget, retain = traces(figure, name)
        assert forget.y.tolist() == pytest.approx([k * 0.01, k * 0.1])
        assert retain.y.tolist() == pytest.approx([0.01, 0.1])
        assert (forget.showlegend, retain.showlegend) == (True, False)
    drawn = [traces(figure, name)[0] for name in ("from the top", "at random", "a", "b")]
    for look in ([line.line.dash for line in drawn], [line.marker.symbol for line in drawn]):
        assert len(set(look)) == len(drawn)


def test_what_the_neighbours_pay_is_a_line_beside_the_rest_and_only_where_there_are_any() -> None:
    assert not traces(sweep_curves(points(), ratio=0.05), "neighbours, from the top")
    near = to_frame([Point("top", 0, r, 1, 10 * r, 0.1, r, 0.01, 4 * r, 0.02) for r in RATIOS])
    figure = sweep_curves(near, ratio=0.05)
    (line,) = traces(figure, "neighbours, from the top")
    assert line.y.tolist() == pytest.approx([0.04, 0.4])
    (_, retain) = traces(figure, "from the top")
    assert line.yaxis == retain.yaxis
    assert (line.line.dash, line.marker.symbol) != (retain.line.dash, retain.marker.symbol)
    assert figure.layout.yaxis2.range[1] >= 0.4


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_and_error_bars_stand_out_from_the_page(theme: str) -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text())
    ground = luminance(settings["theme"][theme]["backgroundColor"])
    for colour in (BLUE, ORANGE, GREEN, GREY, RED, PURPLE):
        high, low = max(ground, luminance(colour)), min(ground, luminance(colour))
        # 3:1 is what WCAG 1.4.11 asks of graphics; orange on white falls short, so its line is the thick one.
        assert (high + 0.05) / (low + 0.05) >= (2 if colour == ORANGE else 3), colour
