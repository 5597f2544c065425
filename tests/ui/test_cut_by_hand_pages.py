"""Neurons picked by hand, on their card and on Prune, and shares of layers: what is on screen is what is kept."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.conftest import ROOT
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled, only_error, show_tab
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.runs.recipes import save_named
from unlearning_core.runs.run import Run

SLIDER, LIST = "Neurons cut, % of those ranked", "Cut these too, one a line"
TYPED = "Or type the share, %"
OWN = "Layers with a share of their own"
LAYERS, WIDTH = 3, 48


def neurons(app: AppTest) -> int:
    return int(labelled(app.metric, "Neurons cut").value)


def taken(run: Run, ratio: float, own: dict[int, float]) -> np.ndarray:
    """Bool [layers, width] of what the shares take, by the places of the scores: protected neurons come last."""
    ranking = run.ranking().sort_values(["layer", "index"])
    score = np.where(ranking["protected"], -np.inf, ranking["score"]).reshape(LAYERS, WIDTH)
    cut = score >= np.sort(score.ravel())[::-1][round(ratio * score.size) - 1]
    for layer, share in own.items():
        count = round(share * WIDTH)
        cut[layer] = np.argsort(np.argsort(-score[layer])) < count
    return cut


def share_of(app: AppTest, layer: int) -> object:
    return next(field for field in app.number_input if field.label in (f"Layer {layer}, %", f"Layer {layer}, % · own"))


def test_a_neuron_is_picked_on_its_card_cut_on_prune_and_taken_off_again(
    open_page: OpenPage, at_neuron: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank")
    last = run.ranking().sort_values("rank").iloc[-1]
    app = fine(at_neuron(run, f"{last['layer']}.{last['index']}"))
    fine(button(app, "Cut it too").click().run())
    assert run.config.neural_probing.picked_neurons == [("mlp", last["layer"], last["index"])]
    prune = fine(open_page("prune", run))
    assert labelled(prune.text_area, LIST).value == f"{last['layer']}.{last['index']}"
    assert neurons(prune) == round(0.05 * 144) + 1
    fine(labelled(prune.slider, SLIDER).set_value(0.0).run())
    assert neurons(prune) == 1
    fine(button(app, "Take it off the list").click().run())
    assert run.config.neural_probing.picked_neurons == []


def test_a_neuron_is_either_picked_or_never_cut(at_neuron: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = fine(at_neuron(run, "2.11"))
    button(app, "Cut it too").click().run()
    fine(button(app, "Never cut it").click().run())
    probing = run.config.neural_probing
    assert (probing.picked_neurons, probing.excluded_neurons) == ([], [("mlp", 2, 11)])
    assert button(app, "Cut it too").disabled


def test_the_list_on_prune_is_read_live_and_kept_with_the_run(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = open_page("prune", run)
    labelled(app.slider, SLIDER).set_value(0.0).run()
    fine(labelled(app.text_area, LIST).set_value("2.11, 0.3\nhead 1.0\n1.4-6").run())
    named = [("mlp", 2, 11), ("mlp", 0, 3), ("head", 1, 0), ("mlp", 1, 4), ("mlp", 1, 5), ("mlp", 1, 6)]
    assert run.config.neural_probing.picked_neurons == named
    assert neurons(app) == 6
    again = fine(open_page("prune", run))
    assert labelled(again.text_area, LIST).value == "2.11\n0.3\nhead 1.0\n1.4\n1.5\n1.6"
    fine(button(app, "Keep this cut").click().run())
    assert {tuple(row) for row in run.recipe().mask.neurons().to_numpy()} == set(named)
    assert any("6 of them picked by hand" in text.value for text in app.markdown)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("2.11\nseven", "'seven' is no neuron. Write layer.neuron"),
        ("9.1", "'9.1': There is no neuron 1 in layer 9 of the site 'mlp': it has 3 layers of 48"),
        ("1.48", "'1.48': There is no neuron 48 in layer 1"),
        ("1.60-70", "'1.60-70' names no neuron: layer 1 has 48"),
        ("gate 1.2", "'gate 1.2' names the site 'gate'; this model has"),
        ("0.7", "“picked neurons” names mlp layer 0 neuron 7, and “excluded neurons” says that no cut touches it"),
    ],
)
def test_a_list_that_is_wrong_says_what_and_changes_nothing(
    open_page: OpenPage, new_run: NewRun, typed: str, told: str
) -> None:
    run = new_run("rank", neural_probing={"picked_neurons": [["mlp", 2, 11]], "excluded_neurons": [["mlp", 0, 7]]})
    app = open_page("prune", run)
    labelled(app.text_area, LIST).set_value(typed).run()
    assert told in only_error(app)
    assert labelled(app.text_area, LIST).value == typed
    assert run.config.neural_probing.picked_neurons == [("mlp", 2, 11)]
    fine(labelled(app.text_area, LIST).set_value("2.12").run())
    assert run.config.neural_probing.picked_neurons == [("mlp", 2, 12)]


def test_each_layer_begins_with_what_the_slider_takes_there_and_keeps_what_it_is_given(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank")
    app = show_tab(open_page("prune", run), "Layers")
    for ratio in (0.05, 0.2):
        fine(labelled(app.number_input, TYPED).set_value(100 * ratio).run())
        expected = taken(run, ratio, {}).sum(1)
        assert [share_of(app, layer).value for layer in range(3)] == pytest.approx(100 * expected / WIDTH, abs=1e-5)
    fine(share_of(app, 1).set_value(50.0).run())
    expected = taken(run, 0.2, {1: 0.5})
    assert neurons(app) == expected.sum()
    assert any("Layer 1 has a share of its own" in caption.value for caption in app.caption)
    fine(labelled(app.slider, SLIDER).set_value(5.0).run())
    assert neurons(app) == taken(run, 0.05, {1: 0.5}).sum()
    assert share_of(app, 1).value == 50.0
    button(app, "Undo").click().run()
    assert neurons(app) == expected.sum()
    url = {name: app.query_params[name] for name in app.query_params}
    fine(button(app, "Keep this cut").click().run())
    np.testing.assert_array_equal(~run.recipe().mask.kept["mlp"], expected)
    assert run.config.neural_probing.layer_ratios == {1: 0.5}
    assert any("1 layer has a share of its own" in text.value for text in app.markdown)
    again = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    again.query_params.update(url)
    again.switch_page("pages/prune.py").run()
    assert neurons(fine(again)) == expected.sum()
    show_tab(again, "Layers")
    fine(button(again, "Let all follow the slider").click().run())
    assert neurons(again) == taken(run, 0.2, {}).sum()


def test_with_a_share_in_every_layer_the_slider_is_out_of_force_and_a_layer_can_be_given_back(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank", neural_probing={"layer_ratios": {"0": 0.0, "1": 0.25, "2": 0.125}})
    app = show_tab(open_page("prune", run), "Layers")
    assert labelled(app.slider, SLIDER).disabled
    assert neurons(app) == 12 + 6
    assert any("No layer follows the slider" in caption.value for caption in app.caption)
    fine(show_tab(app, "Curves"))
    assert any("no share of the whole" in info.value for info in app.info)
    fine(show_tab(app, "Layers"))
    fine(labelled(app.multiselect, OWN).set_value([0, 1]).run())
    assert not labelled(app.slider, SLIDER).disabled
    assert neurons(app) == taken(run, 0.05, {0: 0.0, 1: 0.25}).sum()


def test_a_layer_that_is_protected_has_no_share_of_its_own(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank", neural_probing={"layer_ratios": {"1": 0.25}})
    app = show_tab(open_page("prune", run), "Layers")
    fine(labelled(app.multiselect, "Protect layers").set_value([1]).run())
    assert share_of(app, 1).disabled
    assert neurons(app) == round(0.05 * 96)


def test_protecting_the_layer_of_a_picked_neuron_is_told_in_words_of_the_page(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank", neural_probing={"picked_neurons": [["mlp", 1, 7]]})
    app = show_tab(open_page("prune", run), "Layers")
    fine(labelled(app.multiselect, "Protect layers").set_value([1]).run())
    (warning,) = app.warning
    said = warning.value.replace("\\", "")
    assert "“picked neurons” names mlp layer 1 neuron 7, and “protected layers” says that nothing is cut" in said
    assert neurons(app) == 0


@pytest.mark.parametrize("shares", ["9:0.1", "1:7", "1", "one:0.1"])
def test_shares_in_a_url_that_make_no_sense_are_not_believed(open_page: OpenPage, new_run: NewRun, shares: str) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params.update({"run": new_run("rank").id, "shares": shares})
    app.switch_page("pages/prune.py").run()
    fine(app)
    assert "shares" not in app.query_params or app.query_params["shares"] in ("", [""])


def test_a_recipe_brings_back_what_was_chosen_by_hand(open_page: OpenPage, new_run: NewRun) -> None:
    probing = {"picked_neurons": [["mlp", 2, 11]], "layer_ratios": {"1": 0.25}}
    run = new_run("prune", neural_probing=probing)
    save_named(run, "mine", run.recipe())
    app = open_page("prune", run)
    labelled(app.text_area, LIST).set_value("").run()
    button(show_tab(app, "Layers"), "Let all follow the slider").click().run()
    assert neurons(app) == taken(run, 0.05, {}).sum()
    fine(button(show_tab(app, "Recipes"), "Load the recipe").click().run())
    expected = taken(run, 0.05, {1: 0.25})
    expected[2, 11] = True
    assert neurons(app) == expected.sum()
    assert run.config.neural_probing.picked_neurons == [Neuron("mlp", 2, 11).key]
