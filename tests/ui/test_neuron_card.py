"""The Neurons page with a neuron chosen: its card, the search, pins and neurons that are never cut."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.components.model_cache import base_model
from pages.components.neurons.neuron_choice import pinned_neurons, toggle_pin
from tests.tiny_models import save_tiny
from tests.ui.pieces import NewRun, OpenPage, button, chart, fine, labelled, show_tab
from unlearning_core.edits.mask import Mask
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.run import Run


def neuron_of(app: AppTest) -> str:
    """The neuron that the link names."""
    named = app.query_params["neuron"]
    return named[0] if isinstance(named, list) else named


def keyed(elements: Any, key: str) -> Any:
    """The element with that key."""
    return next(element for element in elements if element.key == key)


def traces(app: AppTest) -> list[dict[str, Any]]:
    """Those of all charts on the page."""
    return [trace for number in range(len(app.get("plotly_chart"))) for trace in chart(app, number)["data"]]


def numbers(values: Any) -> np.ndarray:
    """An array of a chart, which plotly writes as base64 or as a list."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array([np.nan if value is None else value for value in values], float)


def texts(app: AppTest) -> str:
    return "\n".join(element.value for kind in (app.markdown, app.caption, app.subheader) for element in kind)


def test_a_card_shows_ranks_tokens_passages_and_what_the_cut_alone_does(at_neuron: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = at_neuron(run, "1.7")
    fine(app)
    ranking = run.ranking()
    own = ranking[(ranking["layer"] == 1) & (ranking["index"] == 7)].iloc[0]
    assert labelled(app.metric, "Rank of 144").value == f"{own['rank'] + 1}"
    assert labelled(app.metric, "Activity ratio").value == f"{own['score']:.3g} x"
    shown = texts(app)
    assert "Layer 1, neuron 7" in shown
    assert f"Top {100 * (own['rank'] + 1) / 144:.2g} %" in shown
    assert shown.count(":gray[:small[") == 10
    assert "-background[" in shown
    items = run.sentences("held_out").items
    with base_model(run) as loaded:
        mask = Mask.from_neurons({"mlp": loaded.map.shapes["mlp"]}, [("mlp", 1, 7)])
        change = nll_delta(measure(loaded, items), measure(loaded, items, mask=mask), "concept")
    assert "**If only this neuron is cut**" in shown
    assert labelled(app.metric, "Concept words").value == f"{change.value:+z.4f}"
    assert f"± {1.96 * change.stderr:.4f} nats a token" in shown
    ranks = fine(show_tab(app, "By every method", of="card")).table[0].value
    assert ranks.index[0] == "Activation ratio (this ranking)"
    others = [ranker.title for ranker in RANKERS.values() if not ranker.needs_rows and not ranker.needs_model]
    assert list(ranks.index[1:]) == others[1:]
    assert ranks["Rank"].iloc[0].startswith(f"{own['rank'] + 1} (top ")
    assert ranks["By"].iloc[0] == f"activity ratio {own['score']:.3g} x"
    assert "-badge[" in texts(fine(show_tab(app, "Tokens", of="card")))


def test_a_text_of_ones_own_is_coloured_token_by_token_by_the_base_model(at_neuron: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = show_tab(at_neuron(run, "1.7"), "Own text", of="card")
    text = "She put the chair beside the window."
    fine(labelled(app.text_area, "Text").set_value(text).run())
    (bars,) = (trace for trace in traces(app) if trace.get("name") == "activation")
    with base_model(run) as loaded:
        ids = loaded.tokenizer(text, return_tensors="pt").input_ids
        seen = []
        (module,) = loaded.map.readers("mlp", 1)
        handle = module.register_forward_pre_hook(lambda module, args: seen.append(args[0][0, :, 7]))
        loaded.model(input_ids=ids)
        handle.remove()
    shown = numbers(bars["y"])
    np.testing.assert_allclose(shown[1:], seen[0].detach().numpy()[1:], rtol=1e-4, atol=1e-6)
    assert np.isnan(shown[0])
    assert [name for name in bars["hovertext"] if name.startswith("★")]
    assert "**chair**" in texts(app)


def test_the_neurons_before_and_after_in_the_ranking_and_one_by_number_are_looked_at(
    at_neuron: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank")
    ranking = run.ranking()
    order = [f"{layer}.{index}" for layer, index in ranking[["layer", "index"]].to_numpy()]
    app = at_neuron(run, order[1])
    fine(keyed(app.button, "neighbour chevron_right").click().run())
    assert neuron_of(app) == order[2]
    fine(keyed(app.button, "neighbour chevron_left").click().run())
    assert neuron_of(app) == order[1]
    fine(labelled(app.text_input, "A neuron by number").set_value("#1").run())
    assert neuron_of(app) == order[0]
    assert keyed(app.button, "neighbour chevron_left").disabled
    fine(labelled(app.text_input, "A neuron by number").set_value("2.11").run())
    assert neuron_of(app) == "2.11"
    for wrong, said in (("2.48", "no neuron 2.48"), ("chair", "names no neuron"), ("#145", "#1 to #144")):
        labelled(app.text_input, "A neuron by number").set_value(wrong).run()
        assert any(said in warning.value.replace("\\", "") for warning in app.warning)
        assert neuron_of(app) == "2.11"


def test_a_neuron_of_an_expert_is_named_by_it_on_the_card_and_in_the_table(
    at_neuron: OpenPage, new_run: NewRun, tmp_path: Path
) -> None:
    folder = save_tiny("qwen2_moe", tmp_path / "mixture")
    app = at_neuron(new_run("rank", base_model={"base_model_path": str(folder)}), "1.29")
    fine(app)
    assert "Layer 1, expert 2, neuron 5" in texts(app)
    labelled(app.text_input, "Index").set_value("2:5, shared:0-1").run()
    fine(app)
    shown = next(table.value for table in app.dataframe if "pinned" in table.value)
    names = zip(shown["expert"], shown["neuron"], shown["index"], strict=True)
    assert {(str(expert), *place) for expert, *place in names} == {("2", 5, 29), ("shared", 0, 48), ("shared", 1, 49)}


@pytest.mark.parametrize("neuron", ["9.7", "1.48", "chair", "-1.2"])
def test_a_link_to_no_neuron_shows_no_card(at_neuron: OpenPage, new_run: NewRun, neuron: str) -> None:
    app = at_neuron(new_run("rank"), neuron)
    fine(app)
    assert "neuron" not in app.query_params
    assert any("Click a cell" in caption.value for caption in app.caption)


def test_the_table_is_searched_by_layer_index_and_protection(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("neurons", new_run("rank"))
    labelled(app.multiselect, "Layers").set_value([1]).run()
    labelled(app.text_input, "Index").set_value("3-5, 40").run()
    assert sorted(app.dataframe[0].value["index"]) == [3, 4, 5, 40]
    assert set(app.dataframe[0].value["layer"]) == {1}
    labelled(app.text_input, "Index").set_value("chair").run()
    assert any("no number" in warning.value for warning in app.warning)
    assert not app.exception


def test_pins_stay_in_the_run_in_their_order(new_run: NewRun) -> None:
    run, neurons = new_run(), [Neuron("mlp", 2, 7), Neuron("mlp", 0, 3), Neuron("mlp", 1, 1)]
    for neuron in neurons:
        toggle_pin(run, neuron)
    assert pinned_neurons(Run(run.folder)) == neurons
    toggle_pin(run, neurons[1])
    assert pinned_neurons(Run(run.folder)) == [neurons[0], neurons[2]]


def test_pins_and_exclusions_stay_with_the_run_and_are_found_in_the_table(at_neuron: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = at_neuron(run, "2.11")
    button(app, "Pin").click().run()
    assert pinned_neurons(run) == [Neuron("mlp", 2, 11)]
    fine(button(app, "Never cut it").click().run())
    assert run.config.neural_probing.excluded_neurons == [("mlp", 2, 11)]
    for show in ("pinned", "never cut"):
        labelled(app.selectbox, "Show").set_value(show).run()
        rows = app.dataframe[0].value
        assert rows[["layer", "index"]].to_numpy().tolist() == [[2, 11]]
        assert np.all(rows[show])
    button(app, "Unpin").click().run()
    button(app, "May be cut again").click().run()
    assert pinned_neurons(run) == []
    assert run.config.neural_probing.excluded_neurons == []
