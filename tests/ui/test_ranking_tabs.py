"""The tabs below a ranking: a sentence token by layer, all rankings against one another, how scores are spread."""

import numpy as np
import pytest
from scipy import stats

from pages.components.model_cache import base_model
from pages.components.neurons.neuron_card import TABS as CARD
from pages.components.neurons.ranking_view import TABS
from tests.ui.pieces import NewRun, OpenPage, chart, fine, labelled, show_tab
from tests.ui.test_neuron_card import numbers, texts, traces
from unlearning_core.activations.collect import Activations
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.neurons.token_layers import token_layers
from unlearning_core.runs.rankings import OtherRanking
from unlearning_core.runs.run import Run


def moved(run: Run, text: str, start: int, end: int, first: int) -> np.ndarray:
    """What the picture of a sentence with one concept word has to show."""
    statistics = Activations.load(run.ranking_folder(), run.config.neural_probing).statistics
    with base_model(run) as loaded:
        return token_layers(loaded, LabelledText(text, ((start, end),)), run.ranking(), first, statistics).moved


def test_a_sentence_of_the_concept_and_one_of_ones_own_are_shown_token_by_layer(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank")
    app = fine(show_tab(open_page("neurons", run), "In a sentence", of="explored"))
    item = run.sentences("held_out").with_concept[0]
    (cells,) = (trace for trace in traces(app) if trace.get("name") == "moved")
    shown = numbers(cells["z"]).reshape(3, -1)
    ((start, end),) = item.spans
    np.testing.assert_allclose(shown, moved(run, item.text, start, end, 14), rtol=1e-4, atol=1e-4)  # 10 % of 144
    own = "A chair is here."
    labelled(app.text_input, "Or your own").set_value(own).run()
    fine(labelled(app.select_slider, "Neurons read").set_value(30.0).run())
    (cells,) = (trace for trace in traces(app) if trace.get("name") == "moved")
    np.testing.assert_allclose(numbers(cells["z"]).reshape(3, -1), moved(run, own, 2, 7, 43), rtol=1e-4, atol=1e-4)
    assert ":orange-background[**chair**]" in texts(app)
    assert "the first 43 neurons" in texts(app)


def test_all_rankings_that_are_there_are_held_against_one_another(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    other = OtherRanking(run, "probeless", "at")
    other.compute()
    app = fine(show_tab(open_page("neurons", run), "All rankings", of="explored"))

    def grid() -> tuple[list[str], np.ndarray]:
        number = next(
            number for number in range(len(app.get("plotly_chart")))
            if any(trace.get("name") == "agreement" for trace in chart(app, number)["data"])
        )  # fmt: skip
        shown = chart(app, number)
        names = shown["layout"]["yaxis"]["ticktext"]
        return names, numbers(shown["data"][0]["z"]).reshape(len(names), -1)

    names, values = grid()
    assert [name.rsplit("  ", 1)[0] for name in names[:3]] == [
        "Activation ratio", "Probeless, at the word itself", "Wanda difference",
    ]  # fmt: skip
    both = run.ranking().merge(other.read(), on=["layer", "index"])
    assert np.isclose(values[0, 1], stats.spearmanr(both["rank_x"], both["rank_y"]).statistic, atol=1e-6)
    labelled(app.get("button_group"), "What is compared").set_value("The first neurons").run()
    fine(labelled(app.select_slider, "How many").set_value(10.0).run())
    _, values = grid()
    assert np.isclose(values[0, 1], ((both["rank_x"] < 14) & (both["rank_y"] < 14)).sum() / 14)
    assert "by chance 9.7 %" in texts(app)  # 14 of 144


def test_scores_are_called_what_the_method_gives(open_page: OpenPage, new_run: NewRun) -> None:
    app = fine(show_tab(open_page("neurons", new_run("rank")), "Spread", of="explored"))
    axes = [chart(app, number)["layout"]["xaxis"] for number in range(len(app.get("plotly_chart")))]
    assert "activity ratio (x)" in [axis.get("title", {}).get("text") for axis in axes]
    assert "How many times as active" in texts(app)


@pytest.mark.parametrize("site", ["head", "residual"])
def test_every_tab_of_the_page_and_of_a_card_is_drawn_for_other_kinds_of_neuron(
    open_page: OpenPage, new_run: NewRun, site: str
) -> None:
    app = open_page("neurons", new_run("rank", neural_probing={"site": site}))
    app.query_params["neuron"] = "1.3"
    app.run()
    for name in CARD:
        fine(show_tab(app, name, of="card"))
    fine(labelled(app.text_input, "A neuron by number").set_value("#2").run())
    for name in TABS:
        fine(show_tab(app, name, of="explored"))
    assert {"heatmap", "scattergl"} <= {trace["type"] for trace in traces(app)}
