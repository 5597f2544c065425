"""Downloads of Compare: the report, the numbers and texts, the settings, the recipe."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.components.download_buttons import download_buttons
from unlearning_core.reports.csv import generations_csv, metrics_csv
from unlearning_core.reports.run_report import run_report
from unlearning_core.runs.run import Run


def downloads(run: Run, metrics: Mapping[str, Any], texts: Mapping[str, list[dict[str, Any]]]) -> None:
    """A button for each file.

    Args:
        metrics: as in metrics.json, of the states that are measured.
        texts: as in generations.json, of the states that are shown.
    """
    st.download_button(
        "Report for everyone (one HTML file)", run_report(run, metrics, texts), f"{run.id}.html", "text/html",
        type="primary", on_click="ignore", icon=":material/description:",
    )  # fmt: skip
    st.caption("What was forgotten, what it cost, and what the models write, in one page that needs nothing else.")
    files: dict[str, str | bytes] = {
        "metrics.json": json.dumps(metrics, indent=2),
        "metrics.csv": metrics_csv(metrics),
        "generations.json": json.dumps(texts, indent=2, ensure_ascii=False),
        "generations.csv": generations_csv(texts),
        "config.json": run.config_bytes(),
    }
    download_buttons(files | run.recipe_files())
    st.caption(
        "config.json runs the same without a screen: python -m unlearning_core run config.json. The recipe "
        "(recipe.json with mask.safetensors) says which neurons were cut."
    )
    models = ", ".join(f"{state}: {run.model(state)}" for state in run.states() if state != "base")
    st.caption(f"The models, for AutoModelForCausalLM.from_pretrained. {models}")
