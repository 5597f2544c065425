"""What survives a refresh, a restart and a second visitor; what stops; what a bad file gives."""

import io
import tomllib
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ARTEFACTS, ROOT, Dashboard, well_behaved
from tests.browser.walking import (
    LONG,
    choose,
    go_to,
    no_errors,
    open_section,
    picture,
    press,
    settled,
    sidebar_says,
    type_into,
    upload,
)
from tests.tiny_experiment import write_experiment
from unlearning_core.config.reading import load_config
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run

pytestmark = pytest.mark.timeout(1800)

FOREIGN = [
    "Anna ![picture](http://example.com/a.png) sat",
    '<img src="http://example.com/b.png"> <script src="http://example.com/c.js"></script> [link](http://example.com)',
]
"""Prompts that would load something from elsewhere, were they more than text."""

PAGES = ("Start", "Model", "Concept", "Neurons", "Prune", "Retrain", "Compare", "Proof", "Audit", "Runs")


def prepared(dashboard: Dashboard, folder: Path, until: str, **changes: dict) -> Run:
    """A run that is done through a stage, in the dashboard's folder."""
    folder.mkdir()
    run = create_run(load_config(write_experiment(folder, **changes)), dashboard.runs)
    execute(run, until=until)
    return run


def open_at(page: Page, dashboard: Dashboard, title: str, run: Run) -> None:
    path, heading = ("", "Unlearning Workbench") if title == "Start" else (title.lower(), title)
    page.goto(f"{dashboard.url}/{path}?run={run.id}")
    expect(page.get_by_role("heading", name=heading, exact=True, level=1)).to_be_visible(timeout=LONG)
    settled(page)


def ground(theme: str) -> str:
    """The colour of the page in a theme, as a browser writes it."""
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    colour = settings["theme"][theme]["backgroundColor"]
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_a_link_opens_every_page_on_its_run_in_both_themes_and_widths(
    browser: Browser, page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run = prepared(dashboard, tmp_path / "case", "report", test_prompts=FOREIGN)
    for width in (1280, 800):
        context = browser.new_context(viewport={"width": width, "height": 900})
        tab = context.new_page()
        with well_behaved(tab):
            for title in PAGES:
                open_at(tab, dashboard, title, run)
                for theme in ("light", "dark"):
                    tab.emulate_media(color_scheme=theme)
                    expect(tab.get_by_test_id("stApp")).to_have_css("background-color", ground(theme))
                    no_errors(tab)
                    overflow = tab.evaluate(
                        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    )
                    assert (
                        tab.locator('[href*="example.com"], [src*="example.com"]').evaluate_all(
                            "found => found.map(one => one.parentElement.parentElement.outerHTML)"
                        )
                        == []
                    )
                    assert overflow <= 0, f"{title} is {overflow} pixels too wide at {width}"
                    picture(tab, ARTEFACTS / f"{theme}-{width}", title.lower())
            context.close()


def test_a_link_opens_the_field_of_ones_own_model_and_one_press_says_what_is_wrong_or_loads(
    page: Page, dashboard: Dashboard, tiny_folder: Path, tmp_path: Path
) -> None:
    page.goto(f"{dashboard.url}/model?model=own")
    settled(page)
    type_into(page, "Folder, .gguf file or Hub id", str(tmp_path))
    press(page, "Load")
    expect(page.get_by_test_id("stAlertContentError")).to_contain_text("config", timeout=LONG)
    settled(page)
    type_into(page, "Folder, .gguf file or Hub id", str(tiny_folder))
    press(page, "Load")
    expect(page.get_by_role("button", name="Go on to Concept")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    assert "model=own" not in page.url
    primary = page.get_by_test_id("stMain").locator('[data-testid="stBaseButton-primary"]')
    assert [one.inner_text().split("\n")[-1] for one in primary.all()] == ["Go on to Concept"]
    # Where the keyboard is can be seen in the sidebar.
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Start").focus()
    page.keyboard.press("Tab")
    link = page.get_by_test_id("stSidebarNav").get_by_role("link", name="Model")
    expect(link).to_be_focused()
    expect(link).to_have_css("outline-style", "solid")


def test_after_a_restart_a_refresh_of_a_later_page_has_its_frame_and_its_run(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run = prepared(dashboard, tmp_path / "case", "rank")
    dashboard.restart()
    open_at(page, dashboard, "Neurons", run)
    no_errors(page)
    sidebar_says(page, run.id)
    expect(page.get_by_test_id("stSidebarNav").get_by_role("link")).to_have_count(len(PAGES))
    expect(page.get_by_text("First neurons", exact=True)).to_be_visible()
    go_to(page, "Concept")
    assert f"run={run.id}" in page.url


def test_a_retraining_is_stopped_and_goes_on_to_its_end(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    run = prepared(dashboard, tmp_path / "case", "measure pruned")
    open_at(page, dashboard, "Retrain", run)
    type_into(page, "Epochs", "60")
    press(page, "Start the retraining")
    expect(page.get_by_text("tokens a second")).to_be_visible(timeout=LONG)
    press(page, "Stop")
    expect(page.get_by_test_id("stAlert").get_by_text("Stopped.")).to_be_visible(timeout=LONG)
    assert run.status()["state"] == "stopped"
    assert not (run.folder / "models" / "retrained").exists()
    press(page, "Go on with the retraining")
    expect(page.get_by_text("The retraining is finished and measured.")).to_be_visible(timeout=LONG)
    no_errors(page)
    assert run.status()["stages"]["retrain"]["summary"]["resumed_from"]


def test_work_on_a_page_is_stopped_and_says_so(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    run = prepared(dashboard, tmp_path / "case", "label")
    open_at(page, dashboard, "Concept", run)
    open_section(page, "Where the sentences come from")
    choose(page, "Let the model write them")
    press(page, "Let the model write sentences")
    expect(page.get_by_text("writing sentences")).to_be_visible(timeout=LONG)
    press(page, "Stop")
    expect(page.get_by_test_id("stAlert").get_by_text("Stopped.")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("button", name="Let the model write sentences", exact=True)).to_be_visible()
    no_errors(page)


def test_two_visitors_preview_different_cuts_of_one_model(
    browser: Browser, page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run = prepared(dashboard, tmp_path / "case", "rank")
    other = browser.new_context().new_page()
    for tab in (page, other):
        open_at(tab, dashboard, "Prune", run)
        expect(tab.get_by_text("A quick estimate on")).to_be_visible()
    settled(other)
    slider = other.get_by_role("slider", name="Neurons cut, % of those ranked")
    slider.press("Home")
    mine, theirs = (
        tab.get_by_test_id("stMetric").filter(has_text="Neurons cut").get_by_test_id("stMetricValue")
        for tab in (page, other)
    )
    kept = mine.inner_text()
    expect(theirs).not_to_have_text(kept)
    expect(mine).to_have_text(kept)
    page.reload()
    expect(mine).to_have_text(kept, timeout=LONG)
    other.context.close()


@pytest.mark.parametrize(
    ("names", "said"), [(["../config.json"], "zip"), (["notes.txt"], "config.json"), (None, "zip")]
)
def test_a_bad_zip_gives_one_sentence(
    page: Page, dashboard: Dashboard, tmp_path: Path, names: list[str] | None, said: str
) -> None:
    content = io.BytesIO()
    if names is None:
        content.write(b"this is no zip")
    else:
        with zipfile.ZipFile(content, "w") as archive:
            for name in names:
                archive.writestr(name, "{}")
    bad = tmp_path / "bad.zip"
    bad.write_bytes(content.getvalue())
    page.goto(f"{dashboard.url}/model")
    choose(page, "Upload a zip")
    upload(page, "Zip of a model folder", bad)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text(said)
    expect(page.get_by_test_id("stException")).to_have_count(0)
