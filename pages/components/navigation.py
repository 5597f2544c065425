"""The pages of the path, which of them are done, and what a page says when an earlier one is missing."""

import json
from dataclasses import dataclass

import streamlit as st

from unlearning_core.methods.registry import METHODS, states_of
from unlearning_core.runs.run import Run


@dataclass(frozen=True)
class Page:
    """A page of the dashboard.

    Attributes:
        file: its source.
        title: what the navigation calls it.
        icon: of the navigation.
        stage: the stage of the pipeline that it ends with; None for the model, which is there once a run is.
        when_missing: what has to be done there, for the page that builds on it.
    """

    file: str
    title: str
    icon: str
    stage: str | None = None
    when_missing: str = ""


MODEL = Page("pages/model.py", "Model", ":material/memory:", None, "Choose a model first")
CONCEPT = Page("pages/concept.py", "Concept", ":material/sell:", "label", "Say first which words are the concept")
NEURONS = Page("pages/neurons.py", "Neurons", ":material/hub:", "rank", "Rank the neurons first")
PRUNE = Page("pages/prune.py", "Prune", ":material/content_cut:", "measure pruned", "Choose and keep a cut first")
RETRAIN = Page(
    "pages/retrain.py", "Retrain", ":material/model_training:", "measure retrained", "Retrain the model first"
)
COMPARE = Page("pages/compare.py", "Compare", ":material/compare_arrows:", "report", "Finish the run first")
PATH_PAGES = (MODEL, CONCEPT, NEURONS, PRUNE, RETRAIN, COMPARE)
"""In the order in which a person walks through them."""

START = Page("pages/start.py", "Start", ":material/home:")
RUNS = Page("pages/runs.py", "Runs", ":material/folder_open:")
PAGES = (START, *PATH_PAGES, RUNS)
"""In the order of the navigation."""


def finished_stages(run: Run) -> frozenset[str]:
    """Stages whose result is there and belongs to the settings as they are now."""
    return _finished(run, str(run.folder), run.config_bytes(), json.dumps(run.status()))


@st.cache_data(show_spinner=False, max_entries=64)
def _finished(_run: Run, folder: str, config: bytes, status: str) -> frozenset[str]:
    from unlearning_core.runs.pipeline import finished_stages

    return finished_stages(_run)


def is_done(run: Run | None, page: Page) -> bool:
    """Whether what the page is for has been done."""
    if run is None:
        return False
    stage = last_stage(run, page)
    return stage is None or stage in finished_stages(run)


def last_stage(run: Run, page: Page) -> str | None:
    """The stage that the page ends with: Retrain with the last of the run's methods, whichever follow the cut."""
    if page is not RETRAIN:
        return page.stage
    last = states_of(run.config)[-1]
    return page.stage if last in ("base", METHODS["prune"].state) else f"measure {last}"


def icon_of(run: Run | None, page: Page) -> str:
    """The page's icon: a tick for a page of the path that is done."""
    return ":material/check_circle:" if page in PATH_PAGES and is_done(run, page) else page.icon


def needs(run: Run | None, page: Page) -> bool:
    """Whether `page` is done; if not, says what is needed and links there."""
    if is_done(run, page):
        return True
    first = MODEL if run is None else page
    st.info(f"{first.when_missing}: this page builds on it.", icon=":material/arrow_back:")
    st.page_link(first.file, label=f"Go to {first.title}", icon=first.icon)
    return False


def link_to_next(page: Page) -> None:
    """A link to the page after `page`."""
    following = PATH_PAGES[PATH_PAGES.index(page) + 1]
    st.page_link(following.file, label=f"Next: {following.title}", icon=":material/arrow_forward:")
