"""Another ranking beside the run's own, in real Chromium: stopped, where Streamlit lets a press wait, and shown."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Dashboard
from tests.browser.test_behaviour import open_at, prepared
from tests.browser.walking import LONG, no_errors, press, settled, type_into
from unlearning_core.runs.rankings import kept_rankings

pytestmark = pytest.mark.timeout(1800)


def open_tab(page: Page) -> None:
    """Open the tab in which another ranking is chosen."""
    page.get_by_role("tab", name="Another ranking", exact=True).click()
    settled(page)


def other_method(page: Page, title: str) -> None:
    """Choose the method to compare with."""
    settled(page)  # a page that is being drawn closes the list again
    box = page.get_by_role("combobox", name="Other method")
    box.click()
    box.fill(title)
    expect(page.get_by_role("option", name=title, exact=True)).to_have_attribute("data-focused", "true")
    box.press("Enter")
    settled(page)


def test_ranking_by_another_method_is_stopped_and_another_one_is_shown(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run = prepared(dashboard, tmp_path / "case", "rank")
    open_at(page, dashboard, "Neurons", run)
    open_tab(page)
    other_method(page, "Learned gates")
    theirs = page.get_by_test_id("stExpander").filter(has=page.get_by_label("Steps", exact=True))
    theirs.locator("summary").click()
    type_into(page, "Steps", "100000")
    press(page, "Rank by it too")
    expect(page.get_by_text("training gates")).to_be_visible(timeout=LONG)
    press(page, "Stop")
    expect(page.get_by_test_id("stAlert").get_by_text("Stopped.")).to_be_visible(timeout=LONG)
    expect(page.get_by_role("button", name="Rank by it too", exact=True)).to_be_visible()
    assert kept_rankings(run) == []
    other_method(page, "Probeless")
    expect(page.get_by_test_id("stMetric").filter(has_text="Rank correlation")).to_be_visible(timeout=LONG)
    assert [other.ranker for other in kept_rankings(run)] == ["probeless"]
    no_errors(page)
    page.reload()
    settled(page)
    open_tab(page)
    expect(page.get_by_test_id("stMetric").filter(has_text="Rank correlation")).to_be_visible(timeout=LONG)
