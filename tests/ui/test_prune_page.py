"""Prune: the cut that is looked at survives, is undone, saved, loaded, judged against chance and taken along."""

import io
import zipfile
from pathlib import Path

import pytest
import torch
from streamlit.runtime.download_data_util import convert_data_to_bytes_and_infer_mime
from streamlit.testing.v1 import AppTest
from transformers import AutoModelForCausalLM

from tests.ui.conftest import ROOT
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled, only_error, show_tab
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import survivors
from unlearning_core.evaluation.curves import curve
from unlearning_core.evaluation.search import Target
from unlearning_core.evaluation.sweep import to_frame
from unlearning_core.models.packing import packed, packed_bytes
from unlearning_core.runs.search import RunSearch
from unlearning_core.runs.sweep import RunSweep

SLIDER = "Neurons cut, % of those ranked"
TYPED, PROMPTS = "Or type the share, %", "One prompt a line"


def slider(app: AppTest) -> float:
    return labelled(app.slider, SLIDER).value


def neurons(app: AppTest) -> str:
    return labelled(app.metric, "Neurons cut").value


def messages(app: AppTest) -> list[str]:
    """What the page says in boxes, as plain text."""
    return [message.value.replace("\\", "") for message in [*app.success, *app.warning]]


def test_the_cut_is_in_the_url_and_a_new_visit_with_it_finds_it(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = open_page("prune", run)
    labelled(app.slider, SLIDER).set_value(8.0).run()
    show_tab(app, "Layers")
    labelled(app.toggle, "Same share in every layer").set_value(True).run()
    fine(labelled(app.multiselect, "Protect layers").set_value([0, 2]).run())
    assert neurons(app) == str(round(0.08 * 48))
    again = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    again.query_params.update({name: app.query_params[name] for name in app.query_params})
    again.switch_page("pages/prune.py").run()
    fine(again)
    assert slider(again) == 8.0
    show_tab(again, "Layers")
    assert labelled(again.toggle, "Same share in every layer").value
    assert labelled(again.multiselect, "Protect layers").value == [0, 2]
    assert run.config.neural_probing.prune_ratio == 0.05


@pytest.mark.parametrize("wrong", [{"ratio": "many"}, {"ratio": "7"}, {"protect": "9"}, {"protect": "x"}])
def test_a_url_that_makes_no_sense_is_not_believed(open_page: OpenPage, new_run: NewRun, wrong: dict[str, str]) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params.update({"run": new_run("rank").id} | wrong)
    app.switch_page("pages/prune.py").run()
    fine(app)
    assert slider(app) == 5.0


def test_undo_and_redo_walk_through_the_cuts(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("prune", new_run("rank"))
    assert button(app, "Undo").disabled
    labelled(app.slider, SLIDER).set_value(8.0).run()
    show_tab(app, "Layers")
    labelled(app.multiselect, "Protect layers").set_value([1]).run()
    button(app, "Undo").click().run()
    assert labelled(app.multiselect, "Protect layers").value == []
    assert slider(app) == 8.0
    button(app, "Undo").click().run()
    assert slider(app) == 5.0
    button(app, "Redo").click().run()
    assert slider(app) == 8.0
    labelled(app.slider, SLIDER).set_value(3.0).run()
    assert button(app, "Redo").disabled
    fine(app)


def test_once_the_cut_on_screen_is_kept_the_way_on_stands_out_until_the_slider_is_moved(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("measure pruned")
    app = fine(open_page("prune", run))

    def outstanding() -> list[str]:
        return [one.label for one in app.button if one.proto.type == "primary"]

    assert outstanding() == ["Go on to Retrain"]
    assert button(app, "Keep this cut").proto.type == "secondary"
    assert "Retrain" not in next(text.value for text in app.sidebar.markdown if "Done" in text.value)
    labelled(app.slider, SLIDER).set_value(8.0).run()
    assert outstanding() == ["Keep this cut"]
    button(app, "Undo").click().run()
    assert outstanding() == ["Go on to Retrain"]
    labelled(app.slider, SLIDER).set_value(8.0).run()
    fine(button(app, "Keep this cut").click().run())
    assert run.config.neural_probing.prune_ratio == 0.08
    assert outstanding() == ["Go on to Retrain"]


def test_a_narrower_range_takes_the_cut_along(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("prune", new_run("rank"))
    fine(labelled(app.get("button_group"), "Range").set_value("up to 1 %").run())
    assert slider(app) == 1.0
    button(app, "Undo").click().run()
    assert slider(app) == 5.0


def test_a_recipe_is_saved_and_loaded_again(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = open_page("prune", run)
    labelled(app.slider, SLIDER).set_value(9.0).run()
    show_tab(app, "Layers")
    labelled(app.multiselect, "Protect layers").set_value([0]).run()
    show_tab(app, "Recipes")
    labelled(app.text_input, "Name of this cut").set_value("seats, first").run()
    button(app, "Save the recipe").click().run()
    assert "written" not in str(app.error)
    assert "letters, digits" in app.error[0].value.replace("\\", "")
    labelled(app.text_input, "Name of this cut").set_value("seats first").run()
    fine(button(app, "Save the recipe").click().run())
    recipe = Recipe.load(run.folder / "recipes" / "seats first")
    assert recipe.mask.cut == round(0.09 * 96)
    labelled(app.slider, SLIDER).set_value(1.0).run()
    fine(button(app, "Load the recipe").click().run())
    assert slider(app) == 9.0
    show_tab(app, "Layers")
    assert labelled(app.multiselect, "Protect layers").value == [0]


def test_curves_give_a_verdict_and_a_ratio_to_go_to(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    found = RunSweep.of(run, CutSettings(0.05))
    summary = found.compute()
    app = fine(show_tab(open_page("prune", run), "Curves"))
    top = curve(to_frame(found.points()), "top")
    messages = [message.value for message in [*app.warning, *app.success]]
    assert any(f"concept loss by {top.at('forget', 0.05):+z.2f} nats" in text for text in messages)
    suggested = summary["suggested_ratio"]
    go = [one for one in app.button if one.label.startswith("Go to the suggested")]
    assert (suggested is not None) == bool(go)
    if go:
        go[0].click().run()
        assert suggested - 0.001 <= slider(app) / 100 <= suggested
    fine(app)


def test_curves_that_were_stopped_can_be_gone_on_with(open_page: OpenPage, new_run: NewRun) -> None:
    app = fine(show_tab(open_page("prune", new_run("rank")), "Curves"))
    assert any(one.label.startswith("Go on with the curves") for one in app.button)


def test_the_pruned_model_is_taken_along_as_a_zip_that_transformers_loads(
    open_page: OpenPage, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run("measure pruned")
    app = open_page("prune", run)
    folder = run.model("pruned")
    size = packed_bytes(folder)
    assert isinstance(packed(folder), io.BufferedReader)
    labels = [download.label for download in app.get("download_button")]
    assert f"Download the pruned model ({size / 1e6:,.1f} MB)" in labels
    with packed(folder) as file:
        # What Streamlit does with the outcome of a callable; it refuses most kinds of open files.
        content, _ = convert_data_to_bytes_and_infer_mime(file, RuntimeError("not a kind that can be downloaded"))
    assert not [path for path in folder.parent.iterdir() if path != folder]
    assert size < len(content) < size + 1000 * len(list(folder.iterdir()))
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned", local_files_only=True)
    saved = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in loaded.state_dict().items())
    assert survivors(loaded, run.recipe().mask) == []


def test_the_smallest_cut_that_works_is_found_and_said(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = show_tab(open_page("prune", run), "Smallest cut")
    labelled(app.number_input, "Forget at least, nats").set_value(0.02).run()
    labelled(app.number_input, "Lose on other text at most, nats").set_value(1.0).run()
    fine(button(app, "Find the smallest cut").click().run())
    found = RunSearch(run, CutSettings(0.05)).compute(Target(0.02, 1.0), most=1)
    assert found.smallest is not None
    assert neurons(app) == str(found.smallest.neurons)
    assert found.sentence in messages(app)
    fine(button(app, "Undo").click().run())
    assert slider(app) == 5.0
    assert found.sentence not in messages(app)


def test_a_target_out_of_reach_is_answered_with_how_close_it_came(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank", search={"forget": 15.0, "retain": 1.0})
    app = show_tab(open_page("prune", run), "Smallest cut")
    fine(button(app, "Find the smallest cut").click().run())
    assert any(
        "forgets 15 nats for at most 1 on other text: within that budget the most is" in text for text in messages(app)
    )


def test_with_every_layer_protected_the_numbers_stay_and_nothing_is_kept(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = show_tab(open_page("prune", run), "Layers")
    fine(labelled(app.multiselect, "Protect layers").set_value([0, 1, 2]).run())
    assert neurons(app) == "0"
    assert labelled(app.metric, "Concept words").value == "as likely as before"
    assert any("All 3 layers are protected" in text for text in messages(app))
    button(app, "Keep this cut").click().run()
    assert "All 3 layers are protected" in only_error(app)
    assert run.config.neural_probing.protected_layers == []


def test_the_share_can_be_typed_beyond_the_range_of_the_slider(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("prune", new_run("rank"))
    fine(labelled(app.number_input, TYPED).set_value(32.5).run())
    assert slider(app) == 32.5
    assert neurons(app) == str(round(0.325 * 144))
    fine(labelled(app.slider, SLIDER).set_value(40.0).run())
    assert labelled(app.number_input, TYPED).value == 40.0


def test_prompts_typed_here_live_in_the_run_and_are_measured_once_the_cut_is_kept(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("rank")
    app = open_page("prune", run)
    fine(labelled(app.text_area, PROMPTS).set_value("The boat\n\nA house on").run())
    again = fine(open_page("prune", run))
    assert labelled(again.text_area, PROMPTS).value == "The boat\nA house on"
    assert "**A house on**" in [text.value for text in again.markdown]
    assert run.config.test_prompts == ["The chair", "She put the"], "what is measured already stays valid"
    fine(button(again, "Keep this cut").click().run())
    assert run.config.test_prompts == ["The boat", "A house on"]
    assert {text["prompt"] for text in run.written("pruned") or []} == {"The boat", "A house on"}


def test_prompts_are_taken_from_the_sentences(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank")
    app = fine(button(open_page("prune", run), "Take them from the sentences").click().run())
    lines = labelled(app.text_area, PROMPTS).value.splitlines()
    held_out = [item.text for item in run.sentences("held_out").items]
    assert len(lines) > 1
    assert all(any(text.startswith(line) for text in held_out) for line in lines)


def test_a_step_of_the_slider_holds_though_the_field_beside_it_is_sent_as_it_was_before(
    open_page: OpenPage, new_run: NewRun
) -> None:
    """Two quick steps: what the browser sends with the second knows nothing of what the first has changed."""
    run = new_run("rank")
    app = show_tab(open_page("prune", run), "Layers")
    early = app._tree.get_widget_states()
    fine(labelled(app.slider, SLIDER).set_value(8.0).run())
    step = next(state for state in early.widgets if state.id == labelled(app.slider, SLIDER).proto.id)
    step.double_array_value.data[:] = [8.1]
    fine(app._run(early))
    assert (slider(app), labelled(app.number_input, TYPED).value) == (8.1, 8.1)
    assert neurons(app) == str(round(0.081 * 144))
    assert not [one for one in app.multiselect if one.label == "Layers with a share of their own"]
    fine(labelled(app.number_input, TYPED).set_value(5.0).run())
    assert slider(app) == 5.0, "who types what was there before means it"
    fine(button(app, "Undo").click().run())
    assert slider(app) == 8.1
