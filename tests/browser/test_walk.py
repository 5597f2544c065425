"""All pages from model to comparison, in Chromium: on a tiny model, by the guided demo, on the real starter."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ARTEFACTS, Dashboard
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
from unlearning_core.config.reading import starter_config
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.proof_evidence import race_outcome
from unlearning_core.runs.quiz import quiz_of

WORDS = "chair\nsofa\nbench"


def write_sentences(path: Path) -> Path:
    things = ("table", "window", "door", "river", "garden", "station", "house", "market")
    texts = [f"She put the {word} beside the {thing} today." for word in WORDS.split() for thing in things]
    texts += [f"The {what} near the {thing} was quiet." for what in ("cat", "boat", "old man") for thing in things]
    path.write_text(json.dumps(texts), encoding="utf-8")
    return path


def walk(page: Page, pictures: Path, percent: int) -> None:
    """From labelled sentences to the comparison, with that share of the neurons cut."""
    expect(page.get_by_text("The sentences are labelled.")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    picture(page, pictures, "concept")

    go_to(page, "Neurons")
    press(page, "Rank the neurons")
    expect(page.get_by_text("First neurons", exact=True)).to_be_visible(timeout=LONG)
    settled(page)
    expect(page.locator(".js-plotly-plot .heatmaplayer").first).to_be_attached()
    no_errors(page)
    picture(page, pictures, "neurons")

    go_to(page, "Prune")
    expect(page.get_by_test_id("stMetric").filter(has_text="Concept words")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    page.get_by_text("up to 100 %", exact=True).click()
    slider = page.get_by_role("slider", name=re.compile("Neurons cut"))
    expect(slider).to_have_attribute("max", "100")
    cut = page.get_by_test_id("stMetric").filter(has_text="Neurons cut").get_by_test_id("stMetricValue")
    before = cut.inner_text()
    for _ in range(percent):
        slider.press("ArrowRight")
    expect(cut).not_to_have_text(before, timeout=LONG)
    settled(page)
    picture(page, pictures, "prune")
    press(page, "Keep this cut")
    expect(page.get_by_text("The pruned model is saved and measured.")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    sidebar_says(page, r"Cut\s+[1-9][\d,]* of")

    go_to(page, "Retrain")
    type_into(page, "Max steps", "2")
    press(page, "Start the retraining")
    expect(page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_text("The retraining is finished and measured.")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    picture(page, pictures, "retrain")

    go_to(page, "Compare")
    expect(page.get_by_text("Retrained", exact=True).first).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    picture(page, pictures, "compare")
    page.get_by_role("tab", name="A prompt of your own").click()
    type_into(page, "Prompt", "The old man sat down on the")
    press(page, "Write")
    settled(page)
    no_errors(page)
    picture(page, pictures, "compare-typed")


def load(page: Page, dashboard: Dashboard) -> None:
    press(page, "Load")
    expect(page.get_by_text("The model is loaded.")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Memory for the weights")).to_be_visible()
    settled(page)
    no_errors(page)
    assert "run=" in page.url
    assert len(list(dashboard.runs.iterdir())) == 1


@pytest.mark.timeout(1800)
def test_all_pages_on_a_tiny_model(page: Page, dashboard: Dashboard, tiny_folder: Path, tmp_path: Path) -> None:
    page.goto(f"{dashboard.url}/model")
    settled(page)
    no_errors(page)
    choose(page, "A folder, .gguf file or Hub id")
    type_into(page, "Folder, .gguf file or Hub id", str(tiny_folder))
    load(page, dashboard)

    go_to(page, "Concept")
    type_into(page, "Concept words", WORDS)
    choose(page, "Upload a file")
    upload(page, "Sentences", write_sentences(tmp_path / "sentences.json"))
    press(page, "Label the sentences")
    walk(page, ARTEFACTS / "tiny", percent=6)


@pytest.mark.timeout(1800)
def test_the_guided_demo_on_smallworld(page: Page, dashboard: Dashboard) -> None:
    pictures = ARTEFACTS / "smallworld"
    page.goto(dashboard.url)
    settled(page)
    no_errors(page)
    picture(page, pictures, "start")
    recommended = page.get_by_test_id("stMain").locator('[data-testid="stBaseButton-primary"]')
    assert [one.inner_text().split()[-1] for one in recommended.all()] == ["SmallWorld"]
    press(page, "Show me SmallWorld")
    follow(page, pictures, "Model", "What do you know about seats?", then=lambda: knows(page, 10, 10))
    follow(page, pictures, "Concept", "Find the words in the sentences", then=lambda: jump(page, "Go to the sentences"))
    follow(page, pictures, "Neurons", "Watch every neuron and rank them", then=lambda: click_a_cell(page, pictures))
    arrived(page, "Prune")
    share = keep_what_is_on_screen(page)
    jump(page, "Go to the slider and what it writes")
    picture(page, pictures, "prune")
    knows(page, 2, 9)
    press(page, "Go on to Retrain")
    follow(page, pictures, "Retrain", "Let the model recover", then=lambda: knows(page, 2, 9))
    arrived(page, "Compare")  # the process that let it recover goes on to the end
    expect(page.get_by_text("How close to never having known")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    picture(page, pictures, "compare")
    jump(page, "Go to what they write")
    press(page, "Go on to Summary")
    arrived(page, "Summary")
    press(page, "Try to bring it back")
    expect(page.get_by_text("half of the concept is back after")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    jump(page, "Go to the race")
    picture(page, pictures, "summary")
    (run,) = list_runs(dashboard.runs)
    assert run.config.neural_probing.prune_ratio == pytest.approx(share / 100)
    quiz = quiz_of(run)
    assert quiz is not None
    # What it shows at the end: the model that never knew answers none of the ten, the edited one at most two.
    assert quiz.right("never_knew", "concept") == 0
    assert quiz.right("retrained", "concept") <= 2
    race = race_outcome(run, "retrained")
    assert race is not None
    # As measured it needs 73 % of the steps of the model that never knew, a little less than the 75 % that are asked.
    assert race.share is not None
    assert race.share > 0.5
    said = "The attack failed" if race.held else "The attack gets further than it should"
    expect(page.get_by_text(said)).to_be_visible()
    press(page, "Leave")
    expect(page.get_by_text("Guided demo")).to_have_count(0)


def knows(page: Page, most: int, least_near: int) -> None:
    """The quiz card says so many of ten about the concept, at most, and so many about what is near it, at least."""
    cards = page.get_by_test_id("stMetric")
    about, near = (
        cards.filter(has_text=f"It knows about {what}").get_by_test_id("stMetricValue")
        for what in ("seats", "neighbours")
    )
    expect(about).to_be_visible(timeout=LONG)
    right, asked = map(int, re.findall(r"\d+", about.inner_text()))
    stayed, neighbours = map(int, re.findall(r"\d+", near.inner_text()))
    assert (asked, neighbours) == (10, 10)
    assert right == most if most == 10 else right <= most
    assert stayed >= least_near


def jump(page: Page, link: str) -> None:
    """The link in the guide's box brings what it names onto the screen."""
    chosen = page.get_by_test_id("stMain").get_by_role("link", name=link)
    anchor = str(chosen.get_attribute("href")).partition("#")[2]
    chosen.click()
    expect(page.locator(f"[id='{anchor}']")).to_be_in_viewport()


def keep_what_is_on_screen(page: Page) -> int:
    """Another cut by the slider, kept by the demo's button; returns its share in percent."""
    drag_the_slider(page)
    press(page, "Undo")
    slider = page.get_by_role("slider", name=re.compile("Neurons cut"))
    expect(slider).to_have_value("10")
    settled(page)
    shown = page.get_by_test_id("stMetric").filter(has_text="Neurons cut").get_by_test_id("stMetricValue")
    expect(shown).to_have_text("461")
    slider.press("ArrowRight")
    expect(shown).to_have_text(f"{round(4608 * 0.11):,}", timeout=LONG)
    settled(page)
    press(page, "Keep the cut on screen and ask again")
    expect(page.get_by_test_id("stMain").get_by_role("button", name="Go on to Retrain")).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    expect(
        page.get_by_role("heading", name=re.compile(rf"The cut that is kept: {shown.inner_text()} of"))
    ).to_be_visible()
    return 11


def arrived(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible(timeout=LONG)
    settled(page)


def follow(page: Page, pictures: Path, title: str, button: str | None, then: Callable[[], None] = lambda: None) -> None:
    """One station of the guided demo: its button, what there is to see, and on to the next page."""
    on = page.get_by_test_id("stMain").get_by_role("button", name=re.compile("^Go on to "))
    arrived(page, title)
    if button is not None:
        press(page, button)
    expect(on).to_be_visible(timeout=LONG)  # it may train or ask for minutes
    settled(page)
    no_errors(page)
    then()
    picture(page, pictures, title.lower())
    on.click()


def click_a_cell(page: Page, pictures: Path) -> None:
    """A click on the heatmap opens the card of a neuron, and the link names it."""
    plot = page.locator(".js-plotly-plot").filter(has=page.locator(".heatmaplayer image")).first
    plot.locator(".nsewdrag").hover()
    expect(plot.locator(".hoverlayer .hovertext")).to_be_visible()  # until then a click would name no cell
    page.mouse.down()
    page.mouse.up()
    card = page.get_by_role("heading", name=re.compile(r"Layer \d+, neuron \d+"))
    expect(card).to_be_visible(timeout=LONG)
    settled(page)
    no_errors(page)
    layer, neuron = re.findall(r"\d+", card.inner_text())[:2]
    assert f"neuron={layer}.{neuron}" in page.url
    for says in ("Most active", "If only this neuron is cut"):
        expect(page.get_by_text(says).first).to_be_visible()
    picture(page, pictures, "neuron")


def drag_the_slider(page: Page) -> None:
    """Another ratio, another text of the pruned model; the base model's stays."""
    cut = page.get_by_test_id("stMetric").filter(has_text="Neurons cut").get_by_test_id("stMetricValue")
    before, texts = cut.inner_text(), written(page)
    page.get_by_text("up to 100 %", exact=True).click()
    slider = page.get_by_role("slider", name=re.compile("Neurons cut"))
    expect(slider).to_have_attribute("max", "100")
    track = slider.bounding_box()
    assert track is not None
    x, y = track["x"] + track["width"] / 2, track["y"] + track["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 200, y, steps=8)
    page.mouse.up()
    expect(cut).not_to_have_text(before, timeout=LONG)
    settled(page)
    no_errors(page)
    assert written(page) != texts


def written(page: Page) -> str:
    """All that stands under the heading over the texts."""
    return str(page.evaluate(
        """() => [...document.querySelectorAll('[data-testid="stMarkdown"]')].map(e => e.textContent).join('\\n')"""
    )).partition("Pruned")[2]  # fmt: skip


def small_experiment(path: Path) -> Path:
    """Settings of the real starter under which the walk takes little more than loading and saving."""
    config = starter_config("smollm2").model_dump()
    config["neural_probing"] |= {"max_concept_sentences": 24, "max_retain_sentences": 24}
    config["neural_probing"]["ranker_parameters"] |= {"sentences": 8, "rounds": 1}
    config["neural_probing"]["token_rows"] |= {"broad_text": False}  # 25,000 sentences are read for it
    config["evaluation"]["max_sentences"] = 6
    # Measuring a cut asks the starter's questions too.
    config["proof"] |= {"max_questions": 8, "question_samples": 0, "answer_tokens": 4}
    config["generation"] |= {"samples": 1, "max_new_tokens": 10}
    config["retraining"] |= {"max_train_texts": 16, "max_steps": 3, "batch_size": 2, "concept_texts": 1}
    # Of the text that comes with the starter 64 would be read at the start and the end, whatever is trained on.
    for part in ("train", "val"):
        texts = path.with_name(f"{part}.json")
        texts.write_text(json.dumps([f"The old man counted {number} boats." for number in range(8)]), encoding="utf-8")
        config["retraining"][f"{part}_dataset_path"] = str(texts)
    config["retraining"]["other_sense_texts"] = None  # its fit reads a thousand texts, whatever the steps
    config["test_prompts"] = config["test_prompts"][1:3]
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


@pytest.mark.timeout(1800)
def test_all_pages_on_the_real_starter(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    page.goto(f"{dashboard.url}/model")
    settled(page)
    no_errors(page)
    choose(page, "SmolLM2-135M-Instruct")
    picture(page, ARTEFACTS / "smollm2", "first")
    load(page, dashboard)
    picture(page, ARTEFACTS / "smollm2", "model")
    open_section(page, "Reopen a run")
    upload(page, "config.json", small_experiment(tmp_path / "config.json"))
    press(page, "Start a run with these settings")
    expect(page.get_by_text("its settings are on the pages")).to_be_visible()

    go_to(page, "Concept")
    choose(page, "The sentences that come with it")
    press(page, "Label the sentences")
    walk(page, ARTEFACTS / "smollm2", percent=1)
