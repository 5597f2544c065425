"""A tab of Chromium on the dashboard that says how long things took, by the browser's own clock."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError, WorkFailed

SETTLED = 0.3
"""Seconds in which no script may have run before a page counts as drawn; never part of a figure."""

_UNSEEN = 3.0
"""Seconds without a drawing after which a script that was not seen to run has run: it may begin and end between two
drawings of the browser. Never part of a figure either."""

_PATIENCE = 180_000
_MIDDLE = 5.0
"""Middle of the wider range of the ratio's slider, in percent."""
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

# Notes when each run of the page's script ended, when anything was last drawn, and when words or numbers of the preview
# last changed: any text but captions and the verdict, which belongs to the curves.
_WATCH = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    const now = performance.now();
    window.bench = {ended: 0, asked: now, at: now, drawn: now, previewed: now};
    const preview = '[data-testid="stMetricValue"], [data-testid="stMarkdown"]';
    const other = '[data-testid="stCaptionContainer"], [data-testid="stAlert"]';
    new MutationObserver(changes => {
        window.bench.drawn = performance.now();
        for (const change of changes) {
            const node = change.target.nodeType === 1 ? change.target : change.target.parentElement;
            const inside = node && (node.closest(preview) || [...change.addedNodes].some(
                added => added.nodeType === 1 && (added.matches(preview) || added.querySelector(preview))));
            if (inside && !node.closest(other)) window.bench.previewed = performance.now();
        }
    }).observe(app, {subtree: true, childList: true, characterData: true});
    new MutationObserver(() => {
        if (app.dataset.testScriptState === 'notRunning') { window.bench.ended++; window.bench.at = performance.now(); }
    }).observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
}"""

_IDLE = f"""() => {{
    const app = document.querySelector('[data-testid="stApp"]'), bench = window.bench, now = performance.now();
    if (bench && app && !bench.ended && app.dataset.testScriptState === 'notRunning'
        && bench.drawn > bench.asked && now - bench.drawn > {1000 * _UNSEEN:.0f}) {{
        bench.ended = 1;
        bench.at = bench.drawn;
    }}
    return app && app.dataset.testScriptState === 'notRunning'
        && document.querySelector('[data-testid="stMain"] h1')
        && !document.querySelector('[data-testid="stSkeleton"]')
        && (!bench || (bench.ended > 0 && now - bench.at > {1000 * SETTLED:.0f}));
}}"""

_ASK = "() => { window.bench.ended = 0; return window.bench.asked = performance.now(); }"

_HEATMAP = """() => document.querySelector('.js-plotly-plot .heatmaplayer image') ? performance.now() : false"""

# The card of a neuron: its name, and what the tab that is open says.
_CARD = """() => {
    const card = document.querySelector('#neuron-card');
    return card ? [card.textContent, document.querySelector('[role="tabpanel"]').textContent] : ['', ''];
}"""

_OTHER_CARD = (
    f"""before => ({_CARD})().every((text, i) => text !== '' && text !== before[i]) ? performance.now() : false"""
)

# What the cut model wrote after each prompt: the right one of the two columns in each row of the open tab.
_WRITTEN = """() => {
    const main = document.querySelector('[data-testid="stMain"]');
    return [...main.querySelectorAll('[role="tabpanel"] [data-testid="stHorizontalBlock"]')]
        .map(row => [...row.querySelectorAll(':scope > [data-testid="stColumn"]')]).filter(row => row.length === 2)
        .map(row => row[1].textContent);
}"""

# A small cut may leave every word as it was: then the end of the script is when they are known to be the new ones.
_CHANGED = f"""before => ({_WRITTEN})().some((text, i) => text !== '' && text !== before[i]) ? performance.now()
    : ({_IDLE})() ? window.bench.at : false"""


class Tab:
    """One tab."""

    def __init__(self, page: Any) -> None:
        self._page = page
        page.set_default_timeout(_PATIENCE)

    def open(self, url: str) -> None:
        """Go to an address and wait until the page is drawn."""
        self._page.goto(url)
        self._page.wait_for_function(_IDLE, polling="raf")
        self._page.wait_for_timeout(1000 * SETTLED)
        self._page.wait_for_function(_IDLE, polling="raf")
        self._page.evaluate(_WATCH)

    def close(self) -> None:
        """Close it with its session."""
        self._page.context.close()

    def go_to(self, title: str) -> float:
        """Open a page by the navigation; returns the seconds it took."""
        started = self._now()
        self._link(title).click()
        self._idle()
        return float(self._page.evaluate("window.bench.at") - started) / 1000

    def until_heatmap(self, title: str) -> float:
        """Open a page by the navigation; returns the seconds until its heatmap was drawn."""
        started = self._now()
        self._link(title).click()
        drawn = self._page.wait_for_function(_HEATMAP, polling="raf").json_value()
        self._idle()
        return float(drawn - started) / 1000

    def open_card(self, across: float, down: float) -> tuple[float, float]:
        """Click on a neuron of the enlarged layer, at these shares of its picture.

        Returns:
            Seconds until its card shows when the neuron is active, and until everything is there.
        """
        picture = self._page.locator(".js-plotly-plot").filter(has=self._page.locator(".heatmaplayer")).nth(1)
        cells = picture.locator(".nsewdrag").first.bounding_box()
        at = cells["x"] + across * cells["width"], cells["y"] + down * cells["height"]
        self._page.mouse.move(*at)
        picture.locator(".hoverlayer .hovertext").wait_for()  # until then a click would name no cell
        before, started = self._page.evaluate(_CARD), self._now()
        self._page.mouse.click(*at)
        card = self._page.wait_for_function(_OTHER_CARD, arg=before, polling="raf").json_value()
        self._idle()
        ended = self._page.evaluate("window.bench.at")
        return float(card - started) / 1000, float(ended - started) / 1000

    def wider_range(self) -> None:
        """Let the slider move in larger steps, so that each key changes the cut."""
        self._page.get_by_test_id("stMain").get_by_text("up to 10 %", exact=True).first.click()
        self._page.wait_for_timeout(2000 * SETTLED)
        self._idle()

    def show(self, tab: str) -> None:
        """Open one of the tabs of the page by its name."""
        self._page.get_by_test_id("stMain").get_by_role("tab", name=tab, exact=True).click()
        self._page.wait_for_timeout(1000 * SETTLED)
        self._idle()

    def start_curves(self) -> None:
        """Open the tab of the curves and wait until they are being computed, without waiting for their end.

        Raises:
            WorkFailed: they were not begun, or there already.
        """
        from playwright.sync_api import TimeoutError as TookTooLong

        main = self._page.get_by_test_id("stMain")
        main.get_by_role("tab", name="Curves", exact=True).click()
        computing = main.get_by_text("computing the curves")
        # A slow machine asks first.
        asked = main.get_by_role("button", name="Compute the curves")
        try:
            computing.or_(asked).wait_for(timeout=60_000)
            if asked.count():
                asked.click()
            computing.wait_for(timeout=60_000)
        except TookTooLong as error:
            raise WorkFailed("The curves of the run were not begun within a minute.") from error

    def stop_curves(self) -> None:
        """End their computation."""
        main = self._page.get_by_test_id("stMain")
        main.get_by_role("tab", name="Curves", exact=True).click()
        main.get_by_role("button", name="Stop").click()
        main.get_by_text("The curves are not complete").wait_for()

    def sweep_slider(self, moves: int) -> None:
        """So many keys on the ratio's slider from its lower end on, up and down again, each followed to its end."""
        slider = self._page.get_by_test_id("stMain").get_by_role("slider").first
        slider.focus()
        slider.press("Home")
        self._idle()
        for move in range(moves):
            self._now()
            slider.press("ArrowRight" if move % 160 < 80 else "ArrowLeft")
            self._idle()

    def move_slider(self) -> tuple[float, float, float]:
        """One key on the ratio's slider, away from its nearer end.

        Returns:
            Seconds until the first new words, all words and numbers, and everything was there.
        """
        return self.seconds_since(self.press_slider())

    def press_slider(self) -> tuple[float, list[str]]:
        """That key alone, without waiting for anything; returns what `seconds_since` is given."""
        slider = self._page.get_by_test_id("stMain").get_by_role("slider").first
        percent = float((slider.get_attribute("aria-valuetext") or "0 %").split()[0])
        before = self._page.evaluate(_WRITTEN)
        slider.focus()
        started = self._now()
        slider.press("ArrowLeft" if percent > _MIDDLE else "ArrowRight")
        return started, before

    def seconds_since(self, pressed: tuple[float, list[str]]) -> tuple[float, float, float]:
        """Wait for what a key set off; returns what `move_slider` does."""
        started, before = pressed
        words = self._page.wait_for_function(_CHANGED, arg=before, polling="raf").json_value()
        self._idle()
        previewed, ended = self._page.evaluate("[window.bench.previewed, window.bench.at]")
        return float(words - started) / 1000, float(previewed - started) / 1000, float(ended - started) / 1000

    def _link(self, title: str) -> Any:
        return self._page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True)

    def _now(self) -> float:
        return float(self._page.evaluate(_ASK))

    def _idle(self) -> None:
        from playwright.sync_api import TimeoutError as TookTooLong

        try:
            self._page.wait_for_function(_IDLE, polling="raf")
        except TookTooLong as error:
            raise WorkFailed(
                f"The page at {self._page.url} was not drawn within {_PATIENCE // 1000} s. Try again when the machine "
                "has nothing else to do."
            ) from error


@contextmanager
def open_browser() -> Iterator[Callable[[], Tab]]:
    """Yields what opens a tab with a session of its own, 1280 x 900.

    Raises:
        InputError: Playwright or Chromium is not installed; says how to install it.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise InputError("Playwright is not installed. Run: pip install -r requirements-dev.txt") from error
    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        path = next((found for name in names if (found := shutil.which(name))), playwright.chromium.executable_path)
        if not Path(path).is_file():
            raise InputError("No Chromium was found. Install one: apt-get update && apt-get install -y chromium")
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield lambda: Tab(browser.new_context(viewport={"width": 1280, "height": 900}).new_page())
        browser.close()
