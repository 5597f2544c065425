"""The steps a person walks through, which of them are done, and what a page says when an earlier one is missing."""

from dataclasses import dataclass

import streamlit as st

from unlearning_core.errors import WorkbenchError
from unlearning_core.runs.run import Run


@dataclass(frozen=True)
class Step:
    """A page of the path.

    Attributes:
        page: its file.
        title: what the navigation calls it.
        icon: of the navigation.
        stage: the stage of the pipeline that it ends with; None for the model, which is there once a run is.
        brief: what has to be done there, for the page that needs it.
    """

    page: str
    title: str
    icon: str
    stage: str | None
    brief: str


STEPS = (
    Step("pages/model.py", "Model", ":material/memory:", None, "Choose a model first"),
    Step("pages/concept.py", "Concept", ":material/sell:", "label", "Say first which words are the concept"),
    Step("pages/neurons.py", "Neurons", ":material/hub:", "rank", "Rank the neurons first"),
    Step("pages/prune.py", "Prune", ":material/content_cut:", "measure pruned", "Choose and keep a cut first"),
    Step("pages/retrain.py", "Retrain", ":material/model_training:", "measure retrained", "Retrain the model first"),
    Step("pages/compare.py", "Compare", ":material/compare_arrows:", "report", "Finish the run first"),
)

START = Step("pages/start.py", "Start", ":material/home:", None, "")
RUNS = Step("pages/runs.py", "Runs", ":material/folder_open:", None, "")
PAGES = (START, *STEPS, RUNS)
"""In the order of the navigation."""


def finished_stages(run: Run) -> frozenset[str]:
    """Stages whose outcome is there and belongs to the settings as they are now."""
    times = tuple(
        path.stat().st_mtime_ns if (path := run.folder / name).is_file() else 0
        for name in ("config.json", "status.json")
    )
    return _finished(str(run.folder), times)


@st.cache_data(show_spinner=False, max_entries=64)
def _finished(folder: str, times: tuple[int, ...]) -> frozenset[str]:
    from pathlib import Path

    from unlearning_core.runs.context import RunContext
    from unlearning_core.runs.pipeline import fingerprint, is_finished
    from unlearning_core.runs.stages import STAGES

    run = Run(Path(folder))
    done: set[str] = set()
    context = RunContext(run)
    for stage in STAGES:
        try:
            if set(stage.needs) <= done | _left_out(context) and is_finished(run, stage, fingerprint(stage, context)):
                done.add(stage.name)
        except (WorkbenchError, OSError):  # its source is gone: not up to date
            continue
    return frozenset(done)


def _left_out(context: object) -> set[str]:
    from unlearning_core.runs.stages import STAGES

    return {stage.name for stage in STAGES if not stage.applies(context)}  # type: ignore[arg-type]


def is_done(run: Run | None, step: Step) -> bool:
    """Whether the step's outcome is there."""
    if run is None:
        return False
    return step.stage is None or step.stage in finished_stages(run)


def done_titles(run: Run | None) -> list[str]:
    """The titles of the steps that are done."""
    return [step.title for step in STEPS if is_done(run, step)]


def needs(run: Run | None, page: str) -> bool:
    """Whether the step of `page` is done; if not, says what is needed and links there."""
    step = next(step for step in STEPS if step.page == page)
    if is_done(run, step):
        return True
    first = STEPS[0] if run is None else step
    st.info(f"{first.brief}: this page builds on it.", icon=":material/arrow_back:")
    st.page_link(first.page, label=f"Go to {first.title}", icon=first.icon)
    return False


def next_step(page: str) -> None:
    """A link to the page after `page`."""
    places = [step.page for step in STEPS]
    step = STEPS[places.index(page) + 1]
    st.page_link(step.page, label=f"Next: {step.title}", icon=":material/arrow_forward:")
