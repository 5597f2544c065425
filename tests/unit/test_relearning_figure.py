"""The spec of the race's figures: which lines, at which rate, with which levels."""

import pandas as pd
import pytest

from unlearning_core.figures.relearning import relearning_race, relearning_rates
from unlearning_core.figures.style import BLUE, GREY, ORANGE


def race(losses: dict[tuple[float, str], list[float]]) -> pd.DataFrame:
    rows = [
        {"learning_rate": rate, "mask": mask, "step": 4 * number, "samples": 32 * number, "concept_nats": nats,
         "concept_stderr": 0.5, "retain_nats": 1.0, "base_nats": 2.0, "forgotten_nats": 12.0}
        for (rate, mask), one in losses.items() for number, nats in enumerate(one)
    ]  # fmt: skip
    return pd.DataFrame(rows)


RACES = {
    "base": race({(1e-4, "none"): [2.0], (1e-3, "none"): [2.0]}),
    "pruned": race({
        (1e-4, "kept"): [8.0, 7.5, 7.2], (1e-4, "released"): [8.0, 7.4, 7.1],
        (1e-3, "kept"): [8.0, 7.2, 6.0], (1e-3, "released"): [8.0, 5.0],
    }),
    "never_knew": race({(1e-4, "none"): [12.0, 11.5, 11.0], (1e-3, "none"): [12.0, 9.0, 8.0]}),
}  # fmt: skip


def test_a_line_a_state_at_its_worst_rate() -> None:
    figure = relearning_race(RACES)
    assert [trace.name for trace in figure.data] == ["base", "pruned, mask released", "never-knew"]
    pruned, twin = figure.data[1], figure.data[2]
    assert list(pruned.x) == [0, 4]
    assert list(pruned.y) == [8.0, 5.0]
    assert list(pruned.error_y.array) == pytest.approx([0.98, 0.98])
    assert "learning rate 0.001" in pruned.hovertemplate
    assert list(twin.y) == [12.0, 9.0, 8.0]
    assert [trace.line.color for trace in figure.data] == [BLUE, ORANGE, GREY]
    assert len({trace.line.dash for trace in figure.data}) == 3
    assert len({trace.marker.symbol for trace in figure.data}) == 3


def test_the_levels_are_the_same_for_all() -> None:
    figure = relearning_race(RACES)
    assert sorted(shape.y0 for shape in figure.layout.shapes) == [2.0, 3.0, 7.0, 12.0]
    assert {note.text: note.y for note in figure.layout.annotations} == {
        "never known": 12.0, "50 % back": 7.0, "90 % back": 3.0, "base": 2.0,
    }  # fmt: skip


def test_another_rate_can_be_chosen() -> None:
    figure = relearning_race(RACES, learning_rate=1e-4)
    assert [trace.name for trace in figure.data] == ["base", "pruned, mask released", "never-knew"]
    assert list(figure.data[1].y) == [8.0, 7.4, 7.1]


def test_small_multiples_have_a_panel_a_rate_and_one_legend() -> None:
    figure = relearning_rates(RACES)
    titles = [note.text for note in figure.layout.annotations]
    assert titles[:2] == ["rate 0.0001", "rate 0.001"]
    assert titles.count("50 % back") == 1
    assert len(figure.data) == 6
    assert {trace.xaxis for trace in figure.data} == {"x", "x2"}
    assert [trace.showlegend for trace in figure.data] == [True] * 3 + [False] * 3
    assert len(figure.layout.shapes) == 8
