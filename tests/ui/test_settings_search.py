"""Prune and Runs: the settings are searched in the background, and each trial can be put on the page or opened."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.pieces import NewRun, OpenPage, button, chart, fine, labelled, show_tab
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT, read_object
from unlearning_core.jobs.liveness import PROCESS_FILE
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning import job
from unlearning_core.runs.tuning.found import kept_rows

SLIDER, ROWS = "Neurons cut, % of those ranked", "Token rows reset, %"


WORDS = ["chair", "sofa", "bench", "stool", "couch", "armchair", "seat", "pew", "throne"]


@pytest.fixture
def searched(new_run: NewRun, open_page: OpenPage, tmp_path: Path) -> tuple[Run, AppTest]:
    """A run whose settings were searched for a time that is over after three cuts, and the page."""
    lines = (ROOT / "data" / "smallworld" / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text("\n".join(lines[:200]), encoding="utf-8")
    probing = {"concept_definition": WORDS, "sentences": str(tmp_path / "few.jsonl")}
    run = new_run(
        "rank", base_model={"base_model_path": str(ROOT / "models" / "smallworld")}, retraining={"enabled": False},
        neural_probing=probing | {"token_rows": {"strength": 1.0, "broad_text": False}},
        evaluation={"max_sentences": 12},
    )  # fmt: skip
    app = show_tab(open_page("prune", run), "Search")
    job.start(run, 0.001)
    process = read_object(run.job_folder(job.JOB) / PROCESS_FILE)["pid"]
    if psutil.pid_exists(process):
        psutil.Process(process).wait()
    assert job.state(run).state == "finished", job.state(run).message
    return run, fine(app.run())


def test_what_a_search_found_is_drawn_put_on_the_page_and_opened_from_runs(
    searched: tuple[Run, AppTest], open_page: OpenPage
) -> None:
    run, app = searched
    rows = kept_rows(run)
    assert rows is not None
    assert list(rows["name"]) == ["C0", "C1", "C2"]
    assert any("3 cuts tried, 0 recipes retrained" in caption.value for caption in app.caption)
    names = [trace.get("name") for trace in chart(app, 0)["data"]]
    assert {"front", "today's default"} <= set(names)
    labelled(app.selectbox, "Trial").set_value("C1")
    fine(button(app, "Use these settings").click().run())
    assert labelled(app.slider, SLIDER).value == pytest.approx(100 * rows.loc[1, "share"])
    assert labelled(app.slider, ROWS).value == 100 * rows.loc[1, "strength"]
    table = fine(open_page("runs", run)).dataframe[-1].value
    assert sorted(table["trial"]) == ["C0", "C1", "C2"]
    row = table[table["trial"] == "C2"].iloc[0]
    address = urlsplit(row["open"])
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert (address.path, asked["run"]) == ("/prune", run.id)
    assert float(asked["ratio"]) == row["share"]
    # Of settings that are others but for the recipe the trials are no answer.
    assert not job.is_of_other_settings(run)
    run.save_config(run.config.model_copy(update={"seed": run.config.seed + 1}))
    assert job.is_of_other_settings(run)


def test_the_button_starts_the_search_and_nothing_else_works_on_the_run_meanwhile(
    open_page: OpenPage, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked = new_run("rank"), list[float]()
    monkeypatch.setattr(job, "start", lambda run, seconds, limits: asked.append(seconds))
    app = show_tab(open_page("prune", run), "Search")
    labelled(app.number_input, "Minutes").set_value(7)
    fine(button(app, "Search the settings").click().run())
    assert asked == [420.0]
    monkeypatch.undo()
    with run.manifest.working("trying"), pytest.raises(InputError, match="being worked on: trying"):
        job.start(run, 1.0)
