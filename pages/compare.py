"""Compare: every state of the model and the one that never knew side by side, in numbers and in what they write."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.compare.chat import chat
from pages.components.compare.differences import show_texts
from pages.components.compare.headline import show_verdict
from pages.components.compare.metrics_table import metrics_so_far, show_metrics, show_never_knew
from pages.components.compare.state_texts import write_live, written_by_never_knew
from pages.components.field_names import told
from pages.components.frame import show
from pages.components.navigation import RETRAIN, edited_run, finished_stages, is_done
from pages.components.progress import show_errors
from pages.components.rows import download_buttons
from pages.components.states import PRUNED, texts_by_prompt
from unlearning_core.errors import WorkbenchError
from unlearning_core.methods.registry import NEVER_KNEW, state_title
from unlearning_core.reports.csv import generations_csv, metrics_csv
from unlearning_core.reports.run_report import run_report
from unlearning_core.runs.run import Run

# Parameters up to which a model that never knew writes without being asked to.
QUICK = 50_000_000


def main() -> None:
    """Draw the page."""
    st.title("Compare")
    st.markdown("How much of the concept is gone, what did it cost, does it come back?")
    run = edited_run()
    if run is None:
        return
    done = finished_stages(run)
    states = [state for state in run.states() if f"measure {state}" in done]
    if not is_done(run, RETRAIN):
        compared = " and ".join(state_title(state).lower() for state in states)
        st.info(f"The model is not retrained yet: {compared} are compared.", icon=":material/info:")
        st.page_link(RETRAIN.file, label="Go to Retrain", icon=RETRAIN.icon)
    with show_errors():
        metrics = metrics_so_far(run, states)
        # The answer in words, then what it is about, then the numbers.
        with st.container(border=True):
            show_verdict(run, metrics)
    texts = what_they_write(run, states)
    st.subheader("In numbers")
    with show_errors():
        show_metrics(metrics)
        show_never_knew(metrics)
    st.subheader("Export")
    with show_errors():
        downloads(run, metrics, texts)


def what_they_write(run: Run, states: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The measured texts, a prompt of one's own, a chat; returns the texts by state, as `generations.json` has them."""
    st.subheader("What they write")
    prompts, typed, chat_tab = st.tabs(["The test prompts", "A prompt of your own", "Chat with two models"])
    texts: dict[str, list[dict[str, Any]]] = {state: run.written(state) or [] for state in states}
    with prompts, show_errors():
        texts |= never_knew_texts(run)
        show_texts(run, list(texts), texts_by_prompt(texts))
    writers = states if run.config.never_knew.model is None else [*states, NEVER_KNEW]
    with typed, show_errors():
        write_live(run, writers)
    with chat_tab, show_errors():
        chat(run, writers)
    return texts


def never_knew_texts(run: Run) -> dict[str, list[dict[str, Any]]]:
    """The texts of the model that never knew, where the run names one and the visitor wants to see them."""
    if run.config.never_knew.model is None:
        return {}
    small = (run.note("model") or {}).get("parameters", 0) <= QUICK
    if not st.toggle(
        "Beside the model that never knew", small, key=f"never knew {run.id}", wrap=True,
        help="A model trained on the same text without the concept: what perfect forgetting would write.",
    ):  # fmt: skip
        return {}
    try:
        return {NEVER_KNEW: written_by_never_knew(run)}
    except WorkbenchError as error:
        st.warning(told(str(error)))
        return {}


def downloads(run: Run, metrics: Mapping[str, Any], texts: Mapping[str, list[dict[str, Any]]]) -> None:
    """A button for each file; metrics of the states that are measured, texts of those that are shown."""
    st.download_button(
        "Report for everyone (one HTML file)", lambda: run_report(run, metrics, texts).encode(), f"{run.id}.html",
        "text/html", type="primary", on_click="ignore", icon=":material/description:",
    )  # fmt: skip
    st.caption("What was forgotten, what it cost, and what the models write, in one page that needs nothing else.")
    files: dict[str, str | bytes] = {
        "metrics.json": json.dumps(metrics, indent=2),
        "metrics.csv": metrics_csv(metrics),
        "generations.json": json.dumps(texts, indent=2, ensure_ascii=False),
        "generations.csv": generations_csv(texts),
        "config.json": run.config_bytes(),
    }
    cut = run.has_model(PRUNED)
    with st.expander("Numbers, texts, settings and recipe as files"):
        download_buttons(files | (run.recipe_files() if cut else {}))
        st.caption(
            "config.json runs the same without a screen: python -m unlearning_core run config.json."
            + (" The recipe (recipe.json with its safetensors files) says what was cut and reset." if cut else "")
        )
        if visitor.may_name_places():
            models = ", ".join(f"{state}: {run.model(state)}" for state in run.states() if state != "base")
            st.caption(f"The models, for AutoModelForCausalLM.from_pretrained. {models}")


show(main)
