"""Runs: one is opened, named, exported and deleted, the right one; two are compared."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.pieces import NewRun, OpenPage, button, chart, fine, labelled, only_error
from unlearning_core.files import write_json
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.naming import given_name, rename
from unlearning_core.runs.run import Run

TITLE = "tiny-llama, seats"


def picked(app: AppTest) -> list[str]:
    return list(labelled(app.multiselect, "One or two runs").value)


def choose(app: AppTest, *runs: Run) -> AppTest:
    return fine(labelled(app.multiselect, "One or two runs").set_value([run.id for run in runs]).run())


def words(app: AppTest) -> str:
    """All text of the page as it is read."""
    return "\n".join(text.value for text in app.markdown).replace("\\", "")


def pressed_delete(app: AppTest) -> AppTest:
    """The page after the red button."""
    return next(one for one in app.button if "Yes, delete" in one.label).click().run()


def measured(run: Run, metrics: dict[str, dict[str, float]]) -> None:
    run.manifest.set_stage("report", state="finished")
    write_json(run.folder / "metrics.json", metrics)


def test_without_runs_the_page_says_so(open_page: OpenPage) -> None:
    app = fine(open_page("runs"))
    assert any("no runs" in message.value for message in app.info)


def test_one_run_is_listed_linked_and_exported(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run()
    measured(run, {"base": {}, "pruned": {"forget_delta": 0.5, "apart_delta": 0.25, "uds": 0.125}})
    app = fine(open_page("runs", run))
    table = app.dataframe[0].value
    assert list(table.columns) == ["name", "made", "verdict", "forget_delta", "apart_delta"]
    assert table[["name", "forget_delta", "apart_delta"]].values.tolist() == [[TITLE, 0.5, 0.25]]
    assert "Export config.json" in [download.label for download in app.get("download_button")]
    links = [link.proto for link in app.get("page_link")]
    assert len([link for link in links if run.id in link.query_string]) == 7
    view = next(one for one in app.button_group if one.label == "Columns")
    settings = fine(view.set_value("Settings").run()).dataframe[0].value
    assert settings[["model", "concept", "ratio"]].values.tolist() == [["tiny-llama", "seats", 0.05]]
    assert app.dataframe[0].value["name"].tolist() == [TITLE]
    proof = fine(next(one for one in app.button_group if one.label == "Columns").set_value("Proof").run())
    assert proof.dataframe[0].value["uds"].tolist() == [0.125]


def test_the_numbers_are_those_of_the_state_that_is_chosen(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run()
    measured(run, {"base": {}, "pruned": {"forget_delta": 0.5}, "retrained": {"forget_delta": 0.25}})
    app = fine(open_page("runs", run))
    assert app.dataframe[0].value["forget_delta"].tolist() == [0.25]
    fine(labelled(app.selectbox, "Numbers for which state").set_value("pruned").run())
    assert app.dataframe[0].value["forget_delta"].tolist() == [0.5]


def test_the_run_that_is_deleted_is_the_one_that_the_question_names(
    open_page: OpenPage, new_run: NewRun, runs: Path
) -> None:
    kept, other = new_run(), new_run()
    rename(other, "second try")
    app = fine(open_page("runs", kept))
    assert picked(app) == [kept.id]
    choose(app, other)
    assert "Delete the run **second try** for good?  \n" in words(app)
    assert words(app).count(other.id) == 2  # in the question and over the files; the sidebar is no part of the page
    red = next(one for one in app.button if "Yes, delete" in one.label)
    assert red.label.startswith(":red[")
    assert "second try" in red.label
    pressed_delete(app)
    assert list_runs(runs) == [kept]
    assert fine(app).query_params["run"] == kept.id
    (said,) = app.toast
    assert f"The run “second try” ({other.id}) is deleted." in said.value.replace("\\", "")
    assert picked(app) == []
    choose(app, kept)
    pressed_delete(app)
    assert list_runs(runs) == []
    assert "run" not in fine(app).query_params


def test_a_run_started_from_a_config_is_the_one_that_is_picked_and_deleted(
    open_page: OpenPage, new_run: NewRun, runs: Path
) -> None:
    old = new_run()
    app = fine(open_page("runs", old))
    assert picked(app) == [old.id]
    settings = old.config_bytes()
    labelled(app.file_uploader, "config.json").set_value(("config.json", settings, "application/json")).run()
    fine(button(app, "Start a run with these settings").click().run())
    (new,) = (run for run in list_runs(runs) if run != old)
    assert picked(app) == [new.id]
    assert new.id in words(app)
    assert old.id not in words(app)
    pressed_delete(app)
    assert list_runs(runs) == [old]
    assert "run" not in fine(app).query_params


def test_a_run_that_is_worked_on_cannot_be_deleted(open_page: OpenPage, new_run: NewRun, runs: Path) -> None:
    run = new_run()
    with run.manifest.working("retraining it"):
        app = fine(open_page("runs", run))
        pressed_delete(app)
    assert "being worked on" in only_error(app)
    assert list_runs(runs) == [run]


def test_a_run_gets_a_name_that_every_list_shows_and_keeps_its_id(
    open_page: OpenPage, new_run: NewRun, runs: Path
) -> None:
    run, other = new_run(), new_run()
    app = fine(open_page("runs", run))
    labelled(app.text_input, "Name").set_value("first *try*")
    fine(button(app, "Save the name").click().run())
    assert given_name(run) == "first *try*"
    assert set(app.dataframe[0].value["name"]) == {"first *try*", TITLE}
    assert {one.id for one in list_runs(runs)} == {run.id, other.id}
    sidebar = "\n".join(text.value for text in app.sidebar.markdown).replace("\\", "")
    assert "first *try*" in sidebar
    assert run.id in sidebar
    start = "\n".join(text.value for text in fine(open_page("start", run)).markdown).replace("\\", "")
    assert "first *try*: new" in start
    choose(app, other)
    labelled(app.text_input, "Name").set_value("first *try*")
    button(app, "Save the name").click().run()
    assert f"{run.id} is called 'first *try*' already" in only_error(app)
    assert given_name(other) == ""


def test_a_damaged_run_is_named_by_its_id_and_can_be_deleted(open_page: OpenPage, new_run: NewRun, runs: Path) -> None:
    run = new_run()
    (run.folder / "config.json").write_text("{", encoding="utf-8")
    app = fine(open_page("runs"))
    choose(app, run)
    assert any("cannot be read" in warning.value for warning in app.warning)
    assert f"Delete the run **{run.id}** for good?" in words(app)
    pressed_delete(app)
    assert list_runs(runs) == []


def test_two_runs_are_compared_in_a_chart_in_differences_and_in_settings(open_page: OpenPage, new_run: NewRun) -> None:
    one, other = new_run(), new_run(neural_probing={"prune_ratio": 0.1})
    for run, value in ((one, 2.0), (other, 5.0)):
        measured(run, {"base": {"concept_nll": value, "concept_nll_stderr": 0.5}})
    app = choose(open_page("runs"), one, other)
    _, numbers, settings = (table.value for table in app.dataframe)
    assert numbers.values.tolist() == [
        # sqrt(.5^2 + .5^2) * 1.96 = 1.386
        ["Concept loss (nats/token)", "base", "2.000 ± 0.980", "5.000 ± 0.980", "+3.000 ± 1.386", "second"]
    ]
    bars = chart(app, 0)["data"]
    assert [bar["y"] for bar in bars] == [[2.0], [5.0]]
    assert [bar["error_y"]["array"][0] for bar in bars] == pytest.approx([0.98, 0.98])
    assert settings.values.tolist() == [["neural_probing.prune_ratio", "0.05", "0.1"]]


def test_the_models_of_a_run_can_be_downloaded_where_they_are_made_and_here(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run("measure retrained")
    for page, states in (("retrain", ["retrained"]), ("runs", ["pruned", "retrained"])):
        offered = [one.label for one in fine(open_page(page, run)).get("download_button") if "model" in one.label]
        assert [label.partition(" (")[0] for label in offered] == [f"Download the {state} model" for state in states]
