"""What a person does on the pages, by the labels they read."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

LONG = 600_000
"""Milliseconds that a step on a real model may take on a busy machine."""


def settled(page: Page) -> None:
    """Wait until the page has been drawn and no script runs."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=LONG)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def at_rest(page: Page) -> None:
    """Wait until the page is settled and the browser has changed nothing on it for a while: a picture that is being
    drawn anew loses what the pointer does to it."""
    settled(page)
    page.get_by_test_id("stMain").evaluate(
        """main => new Promise(resolve => {
            const done = () => { observer.disconnect(); resolve() };
            let timer = setTimeout(done, 500);
            const observer = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 500) });
            observer.observe(main, {subtree: true, childList: true, attributes: true, characterData: true});
        })"""
    )


def go_to(page: Page, title: str) -> None:
    """Change the page in the navigation."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
    settled(page)


def press(page: Page, label: str) -> None:
    """Press a button of the page; Streamlit's own toolbar has a Stop too."""
    page.get_by_test_id("stMain").get_by_role("button", name=label, exact=True).click()


def type_into(page: Page, label: str, text: str) -> None:
    """Fill a text or number box and leave it."""
    box = page.get_by_label(label, exact=True).first
    box.fill(text)
    box.press("Tab")
    settled(page)


def choose(page: Page, option: str) -> None:
    """Choose one of several radio buttons."""
    page.get_by_test_id("stRadio").get_by_text(option, exact=True).click()
    settled(page)


def upload(page: Page, label: str, file: Path) -> None:
    """Give a file to the uploader with that label."""
    uploader = page.get_by_test_id("stFileUploader").filter(has=page.get_by_text(label, exact=True))
    uploader.locator("input[type=file]").set_input_files(file)
    expect(uploader.get_by_test_id("stFileChipName")).to_have_text(file.name)
    settled(page)


def open_section(page: Page, label: str) -> None:
    """Open an expander."""
    page.get_by_test_id("stExpander").locator("summary").filter(has_text=label).click()


def no_errors(page: Page) -> None:
    """Neither an error box nor a traceback is on the page."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    boxes: Locator = page.get_by_test_id("stAlertContentError")
    assert [box.inner_text() for box in boxes.all()] == []


def sidebar_says(page: Page, pattern: str) -> None:
    """The sidebar holds text of that pattern."""
    expect(page.get_by_test_id("stSidebar")).to_contain_text(re.compile(pattern))


def picture(page: Page, folder: Path, name: str) -> None:
    """Keep a screenshot of the whole page."""
    folder.mkdir(parents=True, exist_ok=True)
    main = page.get_by_test_id("stMain")
    height = main.evaluate("element => Math.max(...[...element.querySelectorAll('*')].map(e => e.scrollHeight))")
    size = page.viewport_size or {"width": 1280, "height": 900}
    page.set_viewport_size({"width": size["width"], "height": min(max(900, int(height) + 60), 4000)})
    settled(page)
    page.screenshot(path=folder / f"{name}.png")
    page.set_viewport_size(size)
