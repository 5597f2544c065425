"""The Prune page draws the curves of other rankings beside those of the run's own."""

import base64

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.pieces import NewRun, OpenPage, chart, fine, labelled, show_tab
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.evaluation.curves import curve
from unlearning_core.evaluation.sweep import to_frame
from unlearning_core.runs.rankings import OtherRanking
from unlearning_core.runs.sweep import RunSweep

NAME = "Probeless, where the word is predicted"


def numbers(encoded: dict[str, str]) -> np.ndarray:
    """What plotly sends as a typed array."""
    return np.frombuffer(base64.b64decode(encoded["bdata"]), encoded["dtype"])


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


def test_without_another_ranking_the_page_says_where_one_comes_from(open_page: OpenPage, new_run: NewRun) -> None:
    app = fine(show_tab(open_page("prune", new_run("rank")), "Curves"))
    assert "compared with on the Neurons page can be drawn here too" in captions(app)


def test_the_curve_of_another_ranking_is_offered_and_drawn_once_it_is_there(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank")
    RunSweep.of(run, CutSettings(0.05)).compute()
    other = OtherRanking(run, "probeless", "before")
    other.compute()
    app = show_tab(open_page("prune", run), "Curves")
    assert "other rankings" not in captions(app)
    fine(labelled(app.multiselect, "Also draw").set_value([NAME]).run())
    assert any(one.label.startswith(f"Go on with the curve of {NAME}") for one in app.button)
    found = RunSweep.of(run, CutSettings(0.05), other.path)
    summary = found.compute()
    fine(app.run())
    assert not any("the curve of" in one.label for one in app.button)
    assert f"**{NAME}** " in captions(app)
    assert f"{summary['selectivity']:.2f} nats" in captions(app)
    charts = (chart(app, number) for number in range(len(app.get("plotly_chart"))))
    forget, retain = (trace for spec in charts for trace in spec["data"] if trace.get("name") == NAME)
    measured = curve(to_frame(found.points()), "top")
    np.testing.assert_allclose(numbers(forget["y"]), measured.forget[1:])
    np.testing.assert_allclose(numbers(retain["y"]), measured.retain[1:])


@pytest.mark.parametrize("state", ["stopped", "new"])
def test_the_own_curves_are_offered_apart_from_the_others(open_page: OpenPage, new_run: NewRun, state: str) -> None:
    run = new_run("rank")
    other = OtherRanking(run, "probeless", "before")
    other.compute()
    if state == "stopped":
        RunSweep.of(run, CutSettings(0.05)).start()
    app = show_tab(open_page("prune", run), "Curves")
    fine(labelled(app.multiselect, "Also draw").set_value([NAME]).run())
    labels = [one.label for one in app.button if "curve" in one.label]
    assert [label.split(" (")[0] for label in labels] == ["Go on with the curves", f"Go on with the curve of {NAME}"]


def test_the_curve_of_another_ranking_is_drawn_before_there_are_own_ones(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    other = OtherRanking(run, "probeless", "before")
    other.compute()
    RunSweep.of(run, CutSettings(0.05)).start()  # begun, and nothing measured
    RunSweep.of(run, CutSettings(0.05), other.path).compute()
    app = show_tab(open_page("prune", run), "Curves")
    fine(labelled(app.multiselect, "Also draw").set_value([NAME]).run())
    charts = (chart(app, number) for number in range(len(app.get("plotly_chart"))))
    assert sum(trace.get("name") == NAME for spec in charts for trace in spec["data"]) == 2
