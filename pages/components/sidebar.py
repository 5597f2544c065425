"""The sidebar: model, concept, cut and run, and which steps are done."""

import streamlit as st

from pages.components.marked_text import escaped
from pages.components.navigation import done_titles
from unlearning_core.runs.run import Run


def sidebar(run: Run | None) -> None:
    """Say where the visitor is."""
    if run is None:
        st.caption("No run is open. Load a model to start one, or reopen one on the Runs page.")
        return
    config, status = run.config, run.status()
    stages = status["stages"]
    words = concept_words(run)
    cut = stages.get("prune", {}).get("summary") or {}
    lines = {
        "Model": model_name(config.base_model.base_model_path),
        "Concept": ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "") if words else "-",
        "Cut": f"{cut['cut']:,} of {cut['of']:,} neurons" if "cut" in cut else "none kept yet",
        "Run": run.id,
    }
    st.markdown("  \n".join(f":gray[{name}] {escaped(value)}" for name, value in lines.items()))
    st.markdown(f":gray[Done] :green[:material/check_circle:] {', '.join(done_titles(run))}")


def model_name(source: str) -> str:
    """The last part of a path, or the name as it is."""
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def concept_words(run: Run) -> tuple[str, ...]:
    """The run's concept words; none when their file is gone."""
    from unlearning_core.errors import InputError
    from unlearning_core.runs.context import RunContext

    try:
        return RunContext(run).concept.words
    except InputError:
        return ()
