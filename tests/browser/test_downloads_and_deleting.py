"""In real Chromium: both models of a run are downloaded and loaded; the run that is deleted is the right one."""

import re
import zipfile
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.browser.conftest import Dashboard
from tests.browser.test_behaviour import open_at, prepared
from tests.browser.walking import LONG, no_errors, open_section, press, settled, upload
from unlearning_core.edits.weights import survivors
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.naming import given_name
from unlearning_core.runs.run import Run

pytestmark = pytest.mark.timeout(1800)


def downloaded(page: Page, state: str, run: Run, folder: Path) -> Path:
    """Press the button, unpack what the browser got; the folder with the model."""
    with page.expect_download(timeout=LONG) as download:
        button = page.get_by_test_id("stMain").get_by_role("button", name=f"Download the {state} model")
        button.click()
    assert download.value.suggested_filename == f"{run.id}-{state}.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder / state


def test_both_models_are_downloaded_unpacked_and_loaded(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    run = prepared(dashboard, tmp_path / "case", "measure retrained")
    for title, state in (("Prune", "pruned"), ("Retrain", "retrained"), ("Runs", "retrained")):
        open_at(page, dashboard, title, run)
        folder = downloaded(page, state, run, tmp_path / title)
        no_errors(page)
        loaded = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        assert survivors(loaded, run.recipe().mask) == []  # what was cut is cut in what was downloaded
        saved = AutoModelForCausalLM.from_pretrained(run.model(state), local_files_only=True)
        prompt = AutoTokenizer.from_pretrained(folder, local_files_only=True)("Anna sat on", return_tensors="pt")
        with torch.no_grad():
            assert torch.equal(loaded(**prompt).logits, saved(**prompt).logits)
    # The two are two: retraining has changed what was downloaded first.
    first, second = (
        AutoModelForCausalLM.from_pretrained(tmp_path / title / state, local_files_only=True).state_dict()
        for title, state in (("Prune", "pruned"), ("Retrain", "retrained"))
    )
    assert any(not torch.equal(value, second[name]) for name, value in first.items())


def test_the_run_that_was_just_started_is_named_and_deleted_and_the_old_one_stays(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    old = prepared(dashboard, tmp_path / "case", "label")
    open_at(page, dashboard, "Runs", old)
    scroller = page.get_by_test_id("stDataFrame").first.locator(".dvn-scroller")
    for view in ("Outcome", "Proof", "Settings", "Progress"):
        page.get_by_role("radio", name=view).click()
        settled(page)
        expect(page.get_by_role("radio", name=view)).to_be_checked()
        too_wide = scroller.evaluate("element => element.scrollWidth - element.clientWidth")
        assert too_wide <= 0, f"the columns of {view} are {too_wide} pixels too wide"
    settings = tmp_path / "config.json"
    settings.write_bytes(old.config_bytes())
    open_section(page, "Start a run from a config.json")
    upload(page, "config.json", settings)
    press(page, "Start a run with these settings")
    expect(page.get_by_text("its settings are on the pages")).to_be_visible(timeout=LONG)
    settled(page)
    (new,) = (run for run in list_runs(dashboard.runs) if run != old)

    main = page.get_by_test_id("stMain")
    main.get_by_role("button", name="Rename").click()
    name = page.get_by_label("Name", exact=True)
    name.fill("second try")
    name.press("Enter")
    expect(page.get_by_test_id("stSidebar")).to_contain_text("second try")
    settled(page)
    assert given_name(new) == "second try"
    assert given_name(old) == ""

    main.get_by_role("button", name="Delete").click()
    question = page.get_by_test_id("stPopoverBody").filter(has_text="for good")
    expect(question).to_contain_text("Delete the run second try for good?")
    expect(question).to_contain_text(new.id)
    yes = question.get_by_role("button", name="Yes, delete second try")
    colour = yes.locator("strong").evaluate("element => getComputedStyle(element).color")
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    assert red > 1.5 * max(green, blue), f"the words of the button are {colour}"
    yes.click()
    expect(page.get_by_text(f"The run “second try” ({new.id}) is deleted.")).to_be_visible(timeout=LONG)
    no_errors(page)
    assert list_runs(dashboard.runs) == [old]
    open_at(page, dashboard, "Runs", old)
    expect(main.get_by_text(old.id).first).to_be_visible()
