"""A run in a few words: in one line of a list, and in the sidebar."""

import re

import streamlit as st

from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.navigation import PATH_PAGES, has_tick
from unlearning_core.errors import InputError
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.manifest import DAMAGED
from unlearning_core.runs.naming import given_name, model_name, shown_name
from unlearning_core.runs.run import Run


def described(run: Run) -> str:
    """A run in a line: when, what it is called, how far."""
    try:
        status, judged = run.status(), run.verdict()
        _ = run.config
    except (InputError, ValueError):
        return f"{shown_name(run)} (damaged)"
    stages = [name for name, known in status["stages"].items() if known.get("state") == "finished"]
    reached = f"up to {stages[-1]!r}" if stages else "nothing done yet"
    time = re.sub(r"^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d).*", r"\1-\2-\3 \4:\5", run.id)
    line = f"{time}  {shown_name(run)}: {status['state']}, {reached}"
    return line if judged is None else f"{line}, verdict: {judged['verdict']}"


def sidebar(run: Run | None) -> None:
    """Model, concept, cut and run, which pages are done, and whether the run is damaged."""
    if run is None:
        st.caption("No run is open. Load a model to start one, or reopen one on the Runs page.")
        return
    status = run.status()
    if damage := status["message"] if status["state"] == DAMAGED else run.damage():
        st.warning(told(damage), icon=":material/broken_image:")
    words = concept_words(run)
    cut = status["stages"].get("prune", {}).get("summary") or {}
    lines = {
        "Model": model_name(run.config.base_model.base_model_path),
        "Concept": ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "") if words else "-",
        "Cut": f"{cut['cut']:,} of {cut['of']:,} neurons" if "cut" in cut else "none kept yet",
        "Name": given_name(run),
        "Run": run.id,
    }
    done = [page.title for page in PATH_PAGES if has_tick(run, page)]
    st.markdown("  \n".join(f":gray[{name}] {escaped(value)}" for name, value in lines.items() if value))
    st.markdown(f":gray[Done] :green[:material/check_circle:] {', '.join(done)}")


def concept_words(run: Run) -> tuple[str, ...]:
    """The run's concept words; none when their file is gone."""
    try:
        return RunContext(run).concept.words
    except InputError:
        return ()
