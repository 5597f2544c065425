"""A public server, page by page: strangers see their own runs, name no path of it, and take their share only."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.visitor import upload_name
from tests.ui.conftest import ROOT, WORDS, sentences
from tests.ui.pieces import button, fine, labelled, only_error
from unlearning_core.config.reading import build_config
from unlearning_core.files import write_json
from unlearning_core.jobs.liveness import record
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run
from unlearning_core.visitors.keeping import folder_of

ANNA, BEN = "a" * 43, "b" * 43
PAGES = ("start", "model", "concept", "neurons", "prune", "retrain", "compare", "proof", "audit", "runs")

OpenAs = Callable[..., AppTest]


@pytest.fixture
def public(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the runs of a server for strangers."""
    monkeypatch.setenv("UNLEARNING_PUBLIC", "1")
    monkeypatch.setenv("UNLEARNING_PUBLIC_FREE_DISK_MB", "0")
    return runs


@pytest.fixture
def open_as(public: Path) -> OpenAs:
    """The app at a page, for a visitor who is known by that token, with a run in the address."""

    def open_at(token: str, page: str = "start", run: str | None = None) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        app.session_state["visitor"] = token
        if run is not None:
            app.query_params["run"] = run
        app.run()
        return app if page == "start" else app.switch_page(f"pages/{page}.py").run()

    return open_at


def folder(public: Path, token: str) -> Path:
    return folder_of(public, f"anonymous {token}")


@pytest.fixture
def run_of(public: Path, tiny_folder: Path) -> Callable[..., Run]:
    """Makes a run of a visitor on a model and text that lie in the visitor's folder, up to date through a stage."""

    def make(token: str, until: str | None = None) -> Run:
        own = folder(public, token)
        model, text = own / ".uploads" / "tiny", own / ".uploads" / "text.json"
        if not model.is_dir():
            shutil.copytree(tiny_folder, model)
            text.write_text(json.dumps(sentences()), encoding="utf-8")
        values: dict[str, Any] = {
            "base_model": {"base_model_path": str(model)},
            "neural_probing": {
                "concept_definition": WORDS, "sentences": str(text), "prune_ratio": 0.05, "ranker": "activation_ratio",
            },
            "retraining": {"max_steps": 2, "batch_size": 4, "max_length": 64},
            "generation": {"max_new_tokens": 4, "samples": 1},
            "test_prompts": ["The chair"],
            "output_dir": str(own),
        }  # fmt: skip
        run = create_run(build_config(values), own)
        if until is not None:
            execute(run, until=until)
        return run

    return make


def everything(app: AppTest) -> str:
    """All that the page says."""
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.success, app.title, app.metric, app.table,
             app.dataframe, app.text_area, app.text_input)  # fmt: skip
    choices = [option for box in (*app.selectbox, *app.multiselect) for option in box.options]
    return "\n".join([*(str(one.value) for kind in kinds for one in kind), *choices]).replace("\\", "")


def test_a_visitor_sees_no_run_of_another_anywhere(open_as: OpenAs, run_of: Callable[..., Run]) -> None:
    run = run_of(ANNA)
    assert run.id in everything(fine(open_as(ANNA, "runs", run.id)))
    for page in PAGES:
        app = open_as(BEN, page)
        assert not app.exception, page
        assert run.id not in everything(app), page
    assert all(run.id not in str(box.options) for box in open_as(BEN, "model").selectbox)


def test_a_link_to_what_is_not_theirs_leads_nowhere_and_tells_no_path(
    open_as: OpenAs, run_of: Callable[..., Run], public: Path
) -> None:
    run = run_of(ANNA)
    own = run.folder.parent.name
    for way in (run.id, f"../{own}/{run.id}", "../../../etc", "..", ".", "/etc", f"{run.id}/..", "x\0", "visitors", ""):
        app = open_as(BEN, "start", way)
        assert not app.exception, way
        assert all(str(public) not in error.value and "no run" in error.value for error in app.error), way
        assert len(app.error) == (way != ""), way
        assert "run" not in app.query_params or way == "", way


@pytest.mark.parametrize("key", ["run to delete", "run to rename"])
def test_nobody_deletes_or_renames_anothers_run(key: str, open_as: OpenAs, run_of: Callable[..., Run]) -> None:
    run = run_of(ANNA)
    app = open_as(BEN, "runs")
    app.session_state[key] = run.id if "delete" in key else (run.id, "mine now")
    assert "There is no run" in only_error(app.run())
    assert list_runs(run.folder.parent) == [run]
    assert not run.note("name")


PLACES = {
    "sentences": {"neural_probing": {"sentences": "/proc/self/environ"}},
    "words": {"neural_probing": {"concept_definition": "/etc/passwd", "sentences": "data/seats/sentences.jsonl"}},
    "model": {"base_model": {"base_model_path": "/etc"}},
    "hub model": {"base_model": {"base_model_path": "openai-community/gpt2"}},
    "questions": {"proof": {"questions": "../../etc/passwd"}},
    "audit": {"methods": [{"name": "candidate", "parameters": {"model": "/etc"}}]},
    "not there": {"retraining": {"dataset": "/nowhere/at/all"}},
    "home": {"never_knew": {"forget_texts": "~root/.bashrc"}},
}


@pytest.mark.parametrize("page", ["model", "runs"])
def test_settings_that_name_a_place_of_the_server_are_refused(page: str, open_as: OpenAs, public: Path) -> None:
    app = open_as(ANNA, page)
    for name, place in PLACES.items():
        values = {"neural_probing": {"sentences": "data/seats/sentences.jsonl"}} | place
        upload = ("config.json", json.dumps(values).encode(), "application/json")
        labelled(app.file_uploader, "config.json").set_value(upload).run()
        assert "names something that this public server does not read" in only_error(app), name
        assert all(one.label != "Start a run with these settings" for one in app.button), name
    assert not folder(public, ANNA).exists()


def test_settings_that_name_shipped_texts_start_a_run_of_their_own(open_as: OpenAs, public: Path) -> None:
    app = open_as(ANNA, "model")
    settings = (ROOT / "data" / "starters" / "smallworld.json").read_bytes()
    labelled(app.file_uploader, "config.json").set_value(("config.json", settings, "application/json")).run()
    fine(button(app, "Start a run with these settings").click().run())
    (run,) = list_runs(folder(public, ANNA))
    assert run.config.base_model.base_model_path == "smallworld"
    assert list_runs(public) == []


def test_no_page_has_a_field_for_a_path(open_as: OpenAs, run_of: Callable[..., Run]) -> None:
    run = run_of(ANNA, "measure pruned")
    for page in PAGES:
        app = fine(open_as(ANNA, page, run.id))
        fields = [one.label for one in app.text_input]
        assert not [
            label for label in fields if any(word in label.lower() for word in ("file", "folder", "text", "path"))
        ]
        choices = [option for radio in app.radio for option in radio.options]
        assert not {"A folder, .gguf file or Hub id", "A file, folder or dataset name"} & set(choices), page
        assert str(run.folder.parent) not in everything(app), page
    app = open_as(ANNA, "retrain", run.id)
    labelled(app.radio, "What it reads").set_value("Another text or dataset").run()
    assert "File, folder or dataset name" in [one.label for one in app.file_uploader]


def test_an_uploaded_file_stays_in_the_run_whatever_its_browser_calls_it(
    open_as: OpenAs, run_of: Callable[..., Run], public: Path
) -> None:
    run = run_of(ANNA)
    app = open_as(ANNA, "concept", run.id)
    labelled(app.radio, "Sentences").set_value("Upload a file").run()
    content = b"She sat on the chair.\nThe cat slept.\n"
    for name in ("../../../../evil.json", "/etc/cron.d/evil.txt"):
        labelled(app.file_uploader, "Sentences").set_value((name, content, "text/plain")).run()
        assert not app.exception
    kept = [path for path in public.parent.rglob("*") if path.is_file() and path.read_bytes() == content]
    assert {path.name for path in kept} == {"evil.json", "evil.txt"}
    assert {path.parent for path in kept} == {run.kept_inputs_folder}


@pytest.mark.parametrize(
    ("said", "called"),
    [
        ("chairs.txt", "chairs.txt"), ("Stühle (2).csv", "Stühle (2).csv"), ("../../x.txt", "x.txt"),
        ("..\\..\\x.txt", "x.txt"), ("..", "upload"), (".", "upload"), ("", "upload"), ("a/", "upload"),
        ("a\0b.txt", "ab.txt"), ("x" * 400 + ".txt", "x" * 100 + ".txt"),
    ],
)  # fmt: skip
def test_what_an_upload_is_called_is_one_name(said: str, called: str) -> None:
    assert upload_name(SimpleNamespace(name=said)) == called


def test_a_second_job_of_one_visitor_is_refused_and_another_visitors_is_not(
    open_as: OpenAs, run_of: Callable[..., Run]
) -> None:
    busy, idle, others = run_of(ANNA), run_of(ANNA, "measure pruned"), run_of(BEN)
    job = busy.job_folder("background")
    job.mkdir(parents=True)
    record(job, os.getpid())
    write_json(job / "status.json", {"state": "running"})
    app = open_as(ANNA, "proof", idle.id)
    button(app, "Check it").click().run()
    assert f"You have 1 running or waiting already (run {busy.id})" in only_error(app)
    assert not idle.job_folder("proof").exists()
    assert others.folder.parent != busy.folder.parent


def test_a_visitor_whose_share_is_full_is_told_how_to_make_room(
    open_as: OpenAs, run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(ANNA)
    (run.folder / "big.bin").write_bytes(b"x" * 1_200_000)
    monkeypatch.setenv("UNLEARNING_PUBLIC_DISK_MB", "1")
    app = open_as(ANNA, "concept", run.id)
    button(app, "Label the sentences").click().run()
    assert "each visitor has 1 MB on this server" in only_error(app)
    app = open_as(ANNA, "start")
    app.session_state["delete all of mine"] = True
    fine(app.run())
    assert not run.folder.exists()


def test_a_server_whose_rules_cannot_be_read_shows_nothing_else(
    open_as: OpenAs, run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(ANNA)
    monkeypatch.setenv("UNLEARNING_PUBLIC", "yes")
    app = open_as(ANNA, "start", run.id)
    assert "UNLEARNING_PUBLIC is 'yes'" in only_error(app)
    assert not app.button
    assert not app.markdown


def test_where_a_login_is_set_up_nothing_is_shown_before_it(open_as: OpenAs, run_of: Callable[..., Run]) -> None:
    run = run_of(ANNA)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
    app.secrets["auth"] = {"redirect_uri": "http://localhost:8501/oauth2callback", "cookie_secret": "x" * 40}
    app.user = {"is_logged_in": False}
    app.session_state["visitor"] = ANNA
    app.query_params["run"] = run.id
    fine(app.run())
    assert [one.label for one in app.button] == ["Log in"]
    assert run.id not in everything(app)


def test_who_is_logged_in_has_the_runs_of_that_login_in_any_browser(open_as: OpenAs, public: Path) -> None:
    def logged_in(token: str, **person: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        app.user = {"is_logged_in": True} | person
        app.session_state["visitor"] = token
        return app.run()

    anna = {"iss": "https://login.example", "sub": "17", "name": "Anna"}
    own = folder_of(public, "person https://login.example 17")
    run = create_run(build_config({"neural_probing": {"sentences": "data/seats/sentences.jsonl"}}), own)
    for token in (ANNA, BEN):
        app = fine(logged_in(token, **anna))
        assert any("Logged in as Anna" in one.value for one in app.sidebar.caption)
        assert f"open {run.id}" in [one.key for one in app.button]
    stranger = fine(logged_in(ANNA, iss="https://login.example", sub="18"))
    assert f"open {run.id}" not in [one.key for one in stranger.button]
    assert "neither who you are" in everything(logged_in(ANNA, email="anna@example.org"))


def test_on_ones_own_machine_nothing_is_asked_and_paths_are_named(runs: Path, tiny_folder: Path) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600).run()
    fine(app.switch_page("pages/model.py").run())
    assert "A folder, .gguf file or Hub id" in labelled(app.radio, "Where is the model?").options
    assert not [one for one in app.sidebar.caption if "public" in one.value]
