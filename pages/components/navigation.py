"""The pages of the path, which of them are done, and what a page says when an earlier one is missing."""

from typing import NamedTuple

import streamlit as st

from pages.components.current_run import close_run, current_run
from unlearning_core.methods.registry import CANDIDATE, METHODS, methods_of, states_of
from unlearning_core.runs import pipeline
from unlearning_core.runs.proof_standing import is_current
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.proof import VERDICT


class Page(NamedTuple):
    """A page, the stage that it ends with (the model is there once a run is), and what a page after it says without."""

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
PROOF = Page("pages/proof.py", "Proof", ":material/gavel:", VERDICT, "Check it first")
PATH_PAGES = (MODEL, CONCEPT, NEURONS, PRUNE, RETRAIN, COMPARE, PROOF)
"""In the order in which a person walks through them."""

SUMMARY = Page("pages/summary.py", "Summary", ":material/flag:")
"""The last page of the guided demo."""

DEMO_PAGES = (*PATH_PAGES[: PATH_PAGES.index(PROOF)], SUMMARY)
"""In the order of the demo."""

START = Page("pages/start.py", "Start", ":material/home:")
AUDIT = Page("pages/audit.py", "Audit", ":material/fact_check:")
RUNS = Page("pages/runs.py", "Runs", ":material/folder_open:")
PAGES = (START, *PATH_PAGES, SUMMARY, AUDIT, RUNS)
"""In the order of the navigation."""


def as_it_is(run: Run) -> tuple[str, bytes, bytes]:
    """What tells Streamlit's caches a run from itself with other settings or further results."""
    return str(run.folder), run.config_bytes(), run.manifest.content()


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs={Run: as_it_is})
def finished_stages(run: Run) -> frozenset[str]:
    """Stages whose result is there and belongs to the settings as they are now; among them that of the verdict."""
    found = pipeline.finished_stages(run)
    return found | {VERDICT} if run.verdict() is not None and is_current(run) else found


def is_done(run: Run | None, page: Page) -> bool:
    """Whether what the page is for has been done."""
    if run is None:
        return False
    return page.stage is None or last_stage(run, page) in finished_stages(run)


def last_stage(run: Run, page: Page) -> str:
    """The stage with which a page of the path ends in that run."""
    # Retrain ends with the last of the run's methods, whichever follow the cut.
    if page is RETRAIN and (last := states_of(run.config)[-1]) not in ("base", METHODS["prune"].state):
        return f"measure {last}"
    return str(page.stage)


def icon_of(run: Run | None, page: Page) -> str:
    """The page's icon: a tick for a page of the path that is done."""
    return ":material/check_circle:" if page in PATH_PAGES and has_tick(run, page) else page.icon


def has_tick(run: Run | None, page: Page) -> bool:
    """Whether what a person does on the page is done: on Compare one looks, and does nothing."""
    return page is not COMPARE and is_done(run, page)


def run_beyond(page: Page) -> Run | None:
    """The open run if `page` is done in it; if not, says what is needed and links there."""
    run = current_run()
    if is_done(run, page):
        return run
    first = MODEL if run is None else page
    st.info(f"{first.when_missing}: this page builds on it.", icon=":material/arrow_back:")
    st.page_link(first.file, label=f"Go to {first.title}", icon=first.icon)
    return None


def left_at(run: Run) -> Page:
    """The page on which a person goes on with that run; with an audit where its outcome is shown."""
    if [method.name for method, _ in methods_of(run.config)] == [CANDIDATE]:
        return PROOF
    return next((page for page in PATH_PAGES if not is_done(run, page)), PROOF)


def is_at_end(run: Run) -> bool:
    """Whether the last state of its model is made and measured."""
    return f"measure {states_of(run.config)[-1]}" in finished_stages(run)


def edited_run() -> Run | None:
    """The open run if a model that was made of its base is measured in it; if not, says what is needed."""
    run = current_run()
    if run is not None and any(f"measure {state}" in finished_stages(run) for state in states_of(run.config)[1:]):
        return run
    return run_beyond(PRUNE)


def link_to_next(page: Page) -> None:
    """A link to the page after `page`."""
    following = PATH_PAGES[PATH_PAGES.index(page) + 1]
    st.page_link(following.file, label=f"Next: {following.title}", icon=":material/arrow_forward:")


def button_to_next(page: Page) -> None:
    """The page's one button that stands out: it goes to the page after `page`."""
    following = PATH_PAGES[PATH_PAGES.index(page) + 1]
    if st.button(f"Go on to {following.title}", key="on", type="primary", icon=":material/arrow_forward:"):
        st.switch_page(following.file)


OWN = {"model": "own"}
"""What the address of the page Model holds where a person came for a model of their own."""


def use_own_model() -> None:
    """Close the run and go to the page Model, preset to a model of one's own."""
    close_run()
    st.switch_page(MODEL.file, query_params=OWN)


def came_for_own_model() -> bool:
    """Whether the page Model was opened by `use_own_model`, or by a link that says the same."""
    return all(st.query_params.get(name) == value for name, value in OWN.items())
