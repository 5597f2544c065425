"""The Neurons page in real Chromium: a cell is hit exactly, also enlarged; files are downloaded; it fits the screen."""

import random
import re
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Dashboard
from tests.browser.test_behaviour import open_at, prepared
from tests.browser.walking import LONG, at_rest, no_errors, settled
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.run import Run

pytestmark = pytest.mark.timeout(1800)


def pictures(page: Page) -> list[Locator]:
    """The picture of all layers, and the enlarged one."""
    found = page.locator(".js-plotly-plot").filter(has=page.locator(".heatmaplayer"))
    return [found.nth(0), found.nth(1)]


def cells(picture: Locator) -> dict[str, float]:
    """Where the cells are on the page."""
    box = picture.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    return dict(box)


def hovered(page: Page, picture: Locator, x: float, y: float) -> str:
    """The hover text of the cell there; a picture that is drawn anew under the pointer forgets it until that moves."""
    hover = picture.locator(".hoverlayer")
    for _ in range(300):
        page.mouse.move(x - 2, y)
        page.mouse.move(x, y)
        with suppress(AssertionError):
            expect(hover).to_contain_text(re.compile(r"layer \d+, neuron \d+"), timeout=2000)
            return hover.text_content() or ""
    raise AssertionError(f"nothing is said of the cell at {x}, {y}")


def clicked(page: Page, picture: Locator, across: float, down: float, run: Run) -> str:
    """Click there, in shares of the cells; the neuron that the hover text named, whose card is open, and its rank."""
    at_rest(page)
    box = cells(picture)
    x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
    said = hovered(page, picture, x, y)
    found = re.search(r"layer (\d+), neuron (\d+)rank ([\d,]+) of ([\d,]+)", said)
    assert found, said
    ranking = run.ranking()
    own = ranking[(ranking["layer"] == int(found[1])) & (ranking["index"] == int(found[2]))].iloc[0]
    assert (found[3].replace(",", ""), found[4].replace(",", "")) == (str(own["rank"] + 1), str(len(ranking)))
    assert f"{RANKERS[run.config.neural_probing.ranker].quantity.name}" in said
    page.mouse.click(x, y)
    heading = page.get_by_role("heading", name=f"Layer {found[1]}, neuron {found[2]}", exact=True)
    expect(heading).to_be_visible(timeout=LONG)
    settled(page)
    assert page.url.endswith(f"neuron={found[1]}.{found[2]}")
    return f"{found[1]}.{found[2]}"


def test_a_click_opens_the_card_of_exactly_the_neuron_under_the_pointer(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run = prepared(dashboard, tmp_path / "case", "rank")
    open_at(page, dashboard, "Neurons", run)
    drawn, seen = random.Random(0), set()
    for which in (0, 1, 1, 0, 1, 1):
        seen.add(clicked(page, pictures(page)[which], drawn.uniform(0.02, 0.98), drawn.uniform(0.02, 0.98), run))
    assert len(seen) > 3

    enlarged = pictures(page)[1]
    at_rest(page)
    box = cells(enlarged)
    before = enlarged.locator(".xtick").count()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.9 * box["height"], steps=8)
    page.mouse.up()
    expect(enlarged.locator(".xtick")).not_to_have_count(before)
    zoomed = enlarged.locator(".xtick").all_inner_texts()
    assert len({clicked(page, enlarged, share, 0.5, run) for share in (0.2, 0.8)}) == 2
    assert enlarged.locator(".xtick").all_inner_texts() == zoomed  # a click leaves it zoomed
    no_errors(page)


def test_picture_and_card_are_side_by_side_on_less_than_two_screens_and_nothing_is_cut_off_on_a_phone(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run = prepared(dashboard, tmp_path / "case", "rank")
    page.set_viewport_size({"width": 1280, "height": 800})
    open_at(page, dashboard, "Neurons", run)
    page.get_by_role("button", name="Look at the first of the ranking").click()
    card = page.get_by_role("heading", name=re.compile(r"Layer \d+, neuron \d+"))
    expect(card).to_be_visible(timeout=LONG)
    settled(page)
    at, box = cells(pictures(page)[0]), card.bounding_box()
    assert box is not None
    assert box["x"] > at["x"] + at["width"]
    assert abs(box["y"] - at["y"]) < 200
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollHeight") <= 1600
    page.set_viewport_size({"width": 400, "height": 800})
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    for picture in pictures(page):
        box = picture.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400
    no_errors(page)


def test_ranking_and_heatmap_are_downloaded_and_say_what_the_page_says(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run = prepared(dashboard, tmp_path / "case", "rank")
    open_at(page, dashboard, "Neurons", run)
    page.get_by_role("tab", name="Export", exact=True).click()
    settled(page)
    files = {}
    for title, name in (("Ranking (CSV)", "ranking.csv"), ("Ranking (Parquet)", "ranking.parquet"),
                        ("Heatmap (CSV)", "heatmap.csv")):  # fmt: skip
        with page.expect_download(timeout=LONG) as download:
            page.get_by_role("button", name=title).click()
        assert download.value.suggested_filename == f"{run.id}-{name}"
        files[name] = tmp_path / name
        download.value.save_as(files[name])
    ranking = run.ranking().sort_values("rank")
    read = pd.read_csv(files["ranking.csv"])
    assert read["rank"].tolist() == [rank + 1 for rank in ranking["rank"]]
    assert read[["layer", "neuron"]].to_numpy().tolist() == ranking[["layer", "index"]].to_numpy().tolist()
    number = RANKERS[run.config.neural_probing.ranker].quantity.key
    assert read[number].tolist() == pytest.approx(ranking["score"].tolist())
    pd.testing.assert_frame_equal(pd.read_parquet(files["ranking.parquet"])[list(read)], read, check_dtype=False)
    assert len(pd.read_csv(files["heatmap.csv"])) == ranking["layer"].nunique()
    no_errors(page)
