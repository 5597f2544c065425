"""Start: nothing there yet, the guided demo from its first button to its last, a run opened again, or damaged."""

import json
from pathlib import Path

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from pages.components.demo.guide import is_guided, set_guided
from pages.components.demo.texts import STEPS
from tests.ui.pieces import NewRun, OpenPage, button, fine
from unlearning_core.files import write_json
from unlearning_core.jobs.liveness import process_identity
from unlearning_core.runs import background, proof
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.proof_evidence import race_outcome


def headings(app: AppTest) -> list[str]:
    return [title.value for title in app.title]


def test_start_offers_two_demos_and_the_visitors_own_model(open_page: OpenPage) -> None:
    app = fine(open_page("start"))
    shown = "\n".join(text.value for text in app.markdown)
    assert "Show me on SmallWorld" in shown
    assert "Show me on SmolLM2" in shown
    assert not [title for title in app.subheader if title.value == "Recent runs"]
    button(app, "Use my own model").click().run()
    assert headings(fine(app)) == ["Model"]


def test_a_recent_run_opens_where_it_was_left(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label")
    app = fine(open_page("start"))
    button(app, "Open").click().run()
    assert headings(fine(app)) == ["Neurons"]
    assert app.query_params["run"] == run.id


def test_the_guided_demo_goes_from_page_to_page_by_its_one_button(
    open_page: OpenPage, new_run: NewRun, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The demo's experiment on a tiny model: the same path, in seconds.
    small = {"max_texts": 8, "max_questions": 8, "new_tokens": 4, "relearning_steps": 2, "learning_rates": [1e-3]}
    other = new_run(proof=small | {"control": False, "relearning_batch": 4, "attack_samples": 2, "depth_texts": 4})
    tiny = other.config
    monkeypatch.setattr("pages.components.new_run.starter_config", lambda name: tiny)
    monkeypatch.setattr("unlearning_core.models.sources.starters.BundledStarter.unavailable", lambda self: None)
    app = fine(open_page("start"))
    button(app, "Show me SmallWorld").click().run()
    (run,) = (run for run in list_runs(Path(tiny.output_dir)) if run.id != other.id)
    assert is_guided(run)
    assert app.query_params["run"] == run.id
    for title in STEPS:
        assert headings(fine(app)) == [title]
        guided = {one.key: one for one in app.button}
        if title in ("Retrain", "Summary"):
            guided["guide do"].click().run()
            work, folder = (background, "background") if title == "Retrain" else (proof, proof.JOB)
            assert work.is_running(run)
            psutil.Process(json.loads((run.job_folder(folder) / "process.json").read_text())["pid"]).wait(800)
            app.run()
        elif title not in ("Model", "Compare"):  # no questions are named, and all is measured by then
            assert "guide on" not in guided
            guided["guide do"].click().run()
        fine(app)
        on = next(one for one in app.button if one.key == "guide on")
        if title == "Summary":
            assert "my own model" in on.label
        on.click().run()
    assert headings(fine(app)) == ["Model"]
    assert "run" not in app.query_params
    assert not is_guided(run)
    assert run.status()["state"] == "finished"
    assert race_outcome(run, "retrained") is not None


def test_the_guide_waits_for_what_is_prepared_in_the_background_and_can_be_left(
    open_page: OpenPage, new_run: NewRun
) -> None:
    run = new_run()
    set_guided(run)
    run.job_folder("background").mkdir(parents=True)
    write_json(run.job_folder("background") / "process.json", process_identity(psutil.Process().pid))
    run.manifest.update(state="running", stage="rank")
    run.event("progress", task="reading activations", done=3, total=4, unit="sentences")
    app = fine(open_page("concept", run))
    assert not [one for one in app.button if one.key in ("guide do", "guide on")]
    assert any("ranking neurons" in bar.proto.text for bar in app.get("progress"))
    next(one for one in app.button if one.key == "leave guide").click().run()
    assert not is_guided(run)
    assert not any("Guided demo" in text.value for text in fine(app).markdown)


def test_a_run_without_a_guide_has_no_box(open_page: OpenPage, new_run: NewRun) -> None:
    app = fine(open_page("concept", new_run()))
    assert not any("Guided demo" in text.value for text in app.markdown)


def test_a_damaged_run_says_so_on_every_page(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run()
    assert not open_page("model", run).sidebar.warning
    run.manifest.set_stage("prune", state="finished", summary={"cut": 17, "of": 144})
    write_json(run.folder / "recipe" / "recipe.json", {"cut": 86})
    (warning,) = open_page("model", run).sidebar.warning
    assert "cut 17 neurons, but its recipe names 86" in warning.value.replace("\\", "")
    (run.folder / "status.json").write_text("{", encoding="utf-8")
    (warning,) = open_page("concept", run).sidebar.warning
    assert "is damaged" in warning.value
