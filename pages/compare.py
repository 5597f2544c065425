"""Compare: base, pruned, retrained and never-knew side by side, in numbers and in what they write."""

from typing import Any

import streamlit as st

from pages.components.compare.chat import chat
from pages.components.compare.downloads import downloads
from pages.components.compare.metrics_table import metrics_so_far, show_metrics, show_never_knew
from pages.components.compare.state_texts import NEVER_KNEW, show_generations, write_live, written_without_knowing
from pages.components.current_run import current_run
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.navigation import finished_stages, needs
from pages.components.progress import show_errors
from unlearning_core.errors import WorkbenchError
from unlearning_core.reports.verdict import findings, verdict
from unlearning_core.runs.context import STEPS
from unlearning_core.runs.run import Run

# Parameters up to which a model that never knew writes without being asked to.
QUICK = 50_000_000


def main() -> None:
    """Draw the page."""
    st.title("Compare")
    st.markdown("How much of the concept is gone, what did it cost, does it come back?")
    run = current_run()
    if not needs(run, "pages/prune.py") or run is None:
        return
    stages = there(run)
    if "retrained" not in stages:
        st.info("The model is not retrained yet: base and pruned are compared.", icon=":material/info:")
        st.page_link("pages/retrain.py", label="Go to Retrain", icon=":material/model_training:")
    with show_errors():
        metrics = metrics_so_far(run, stages)
        say_verdict(metrics)
        show_metrics(metrics)
        show_never_knew(metrics)
    st.subheader("What they write")
    prompts, typed, talk = st.tabs(["The test prompts", "A prompt of your own", "Talk to two models"])
    texts: dict[str, list[dict[str, Any]]] = {stage: run.read_json(f"measurements/{stage}.json") for stage in stages}
    with prompts, show_errors():
        texts |= never_knew_texts(run)
        show_generations(run, texts)
    writers = stages if run.config.never_knew.model is None else [*stages, NEVER_KNEW]
    with typed, show_errors():
        write_live(run, writers)
    with talk, show_errors():
        chat(run, writers)
    st.subheader("Take it along")
    with show_errors():
        downloads(run, metrics, texts)


def say_verdict(metrics: dict[str, Any]) -> None:
    """The answer in words, before the numbers."""
    with st.container(border=True):
        st.markdown(f"**{escaped(verdict(metrics))}**")
        st.markdown("\n".join(f"- {escaped(sentence)}" for sentence in findings(metrics)))


def there(run: Run) -> list[str]:
    """Stages of the model that are measured with the settings as they are now."""
    done = finished_stages(run)
    return [step for step in STEPS if f"measure {step}" in done]


def never_knew_texts(run: Run) -> dict[str, list[dict[str, Any]]]:
    """The texts of the model that never knew, where the run names one and the visitor wants to see them."""
    if run.config.never_knew.model is None:
        return {}
    small = (run.read_json("model.json") or {}).get("parameters", 0) <= QUICK
    if not st.toggle(
        "Beside the model that never knew", small, key=f"never knew {run.id}", wrap=True,
        help="A model trained on the same text without the concept: what perfect forgetting would write.",
    ):  # fmt: skip
        return {}
    try:
        return {NEVER_KNEW: written_without_knowing(run)}
    except WorkbenchError as error:
        st.warning(escaped(str(error)))
        return {}


show(main)
