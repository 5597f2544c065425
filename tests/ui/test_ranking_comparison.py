"""The Neurons page: another ranking beside the run's own, kept with the run, and able to take its place."""

import pandas as pd
from scipy import stats
from streamlit.testing.v1 import AppTest

from pages.components.neurons.ranking_comparison import about
from tests.ui.pieces import NewRun, OpenPage, button, chart, fine, labelled, show_tab
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.rankings import OtherRanking, kept_rankings
from unlearning_core.runs.run import Run

KEY = ["site", "layer", "index"]


def choose(app: AppTest, ranker: str) -> None:
    fine(labelled(app.selectbox, "Other method").set_value(ranker).run())


def at_another_ranking(open_page: OpenPage, run: Run) -> AppTest:
    """The Neurons page with the tab open in which another ranking is chosen."""
    return show_tab(open_page("neurons", run), "Another ranking", of="explored")


def shown(app: AppTest) -> bool:
    return any(metric.label == "Rank correlation" for metric in app.metric)


def names_of_lines(app: AppTest) -> list[str]:
    return [
        trace.get("name", "") for number in range(len(app.get("plotly_chart"))) for trace in chart(app, number)["data"]
    ]


def test_another_method_is_compared_at_once_and_is_there_on_the_next_visit(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank")
    own = RunContext(run).ranking
    app = at_another_ranking(open_page, run)
    assert not shown(app)
    choose(app, "probeless")
    fine(labelled(app.select_slider, "Look at the first").set_value(20).run())
    other = OtherRanking(run, "probeless", "before").read()
    both = own[own["rank"] < 20].merge(other[other["rank"] < 20], on=KEY)
    beside = own.merge(other, on=KEY)
    expected = stats.spearmanr(beside["rank_x"], beside["rank_y"]).statistic
    assert labelled(app.metric, "In both first 20").value == f"{len(both)} ({5 * len(both)} %)"
    assert labelled(app.metric, "By chance").value == f"{20 * 20 / len(own):.2g} ({100 * 20 / len(own):.0f} %)"
    assert labelled(app.metric, "Rank correlation").value == f"{expected:.2f}"
    assert names_of_lines(app).count("in the first 20") == 2
    for name, rows in (
        (f"In both ({len(both)})", len(both)),
        (f"Only in the other ({20 - len(both)})", 20 - len(both)),
    ):
        found = fine(show_tab(app, name, of="compared")).dataframe
        assert [len(table.value) for table in found if "rank there" in table.value] == ([rows] if rows else [])
    fine(show_tab(app, "What the tops share", of="compared"))
    assert {"shared", "by chance"} <= set(names_of_lines(app))
    pd.testing.assert_frame_equal(RunContext(Run(run.folder)).ranking, own)
    again = fine(at_another_ranking(open_page, run))
    assert labelled(again.selectbox, "Other method").value == "probeless"
    assert labelled(again.metric, "Rank correlation").value == f"{expected:.2f}"


def test_another_place_needs_a_pass_says_how_long_and_is_done_on_demand(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    own = RunContext(run).ranking
    app = at_another_ranking(open_page, run)
    choose(app, "activation_ratio")
    assert any("That is this ranking itself" in info.value for info in app.info)
    fine(labelled(app.radio, "Its activation is read").set_value("at").run())
    assert not shown(app)
    assert any("another pass over the sentences: about 1 s" in text.value for text in app.markdown)
    fine(button(app, "Rank by it too").click().run())
    assert shown(app)
    assert not any("another pass" in text.value for text in app.markdown)
    pd.testing.assert_frame_equal(RunContext(Run(run.folder)).ranking, own)
    assert [other.alignment for other in kept_rankings(run)] == ["at"]
    assert labelled(at_another_ranking(open_page, run).radio, "Its activation is read").value == "at"


def test_a_method_that_runs_the_model_has_no_place_to_choose(open_page: OpenPage, new_run: NewRun) -> None:
    app = at_another_ranking(open_page, new_run("rank"))
    choose(app, "taylor")
    assert labelled(app.radio, "Its activation is read").disabled
    assert any("It runs the model many times: " in text.value for text in app.markdown)
    fine(button(app, "Rank by it too").click().run())
    assert shown(app)


def test_the_other_ranking_can_take_the_place_of_the_runs_own(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = at_another_ranking(open_page, run)
    choose(app, "probeless")
    fine(button(app, "Use the other ranking instead").click().run())
    messages = [message.value.replace("\\", "") for message in app.toast]
    assert any("ranked by another method now: Probeless" in message for message in messages)
    assert run.config.neural_probing.ranker == "probeless"
    assert any("ranked by **Probeless, where the word is predicted**." in text.value for text in app.markdown)
    pd.testing.assert_frame_equal(RunContext(run).ranking, OtherRanking(run, "probeless", "before").read())
    for visit in (app, at_another_ranking(open_page, run)):
        fine(visit)
        assert labelled(visit.selectbox, "Other method").value == "activation_ratio"
        assert shown(visit)


def test_a_count_is_written_out_however_large() -> None:
    assert [about(value) for value in (0.0625, 0.54, 9.96, 12.3, 542.5, 2170.0)] == [
        "0.062", "0.54", "10", "12", "542", "2,170",
    ]  # fmt: skip
