"""The recipes that a search tried for a run, a row each, with a link to what it is."""

import json
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from pages.components.navigation import COMPARE, PRUNE
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning.found import kept_rows

_MARKS = {"taken": "knee", "default": "today's default", "front": "front"}
"""What a trial is; of several the first."""


def trials_of(run: Run) -> None:
    """All that were tried, folded; nothing where none was."""
    rows = kept_rows(run)
    if rows is None or rows.empty:
        return
    with st.expander(f"Recipes that were tried for this run: {len(rows)}"):
        trials_table(run, rows)


def trials_table(run: Run, rows: pd.DataFrame) -> None:
    """The rows (`found.rows_of`), the front first, what forgets most first."""
    front = rows["mark"].str.contains("front")
    shown = rows.assign(on_front=front).sort_values(["on_front", "forgotten"], ascending=False)
    table = pd.DataFrame(
        {
            "trial": shown["name"],
            "is": [_MARKS[words.split()[0]] if words else "" for words in shown["mark"]],
            "forgotten": shown["forgotten"],
            "cost": shown["cost"],
            "share": shown["share"],
            "layer": shown["per_layer"],
            "whole": [", ".join(map(str, json.loads(layers))) for layers in shown["protected"]],
            "rows": shown["strength"],
            "noise": shown["noise"].where(shown["kind"] == "retrained"),
            "steps": shown["steps"].where(shown["kind"] == "retrained"),
            "relearning": shown["relearning"],
            "open": [_address(run, row) for row in shown.to_dict("records")],
        }
    )
    st.dataframe(
        table, hide_index=True, column_config=_columns(), placeholder="–", height="content" if len(table) < 9 else 330
    )
    st.caption(
        "R: retrained, a run of its own that can be opened; C: a cut before any retraining, opened on Prune. Forgotten "
        "is the mean of the gap closed and the questions not answered; cost is on text without the concept."
    )


def _address(run: Run, row: dict[str, object]) -> str:
    """Where a trial is opened: its own run, or Prune with its settings."""
    if row["run"]:
        return f"/{COMPARE.title.lower()}?{urlencode({'run': row['run']})}"
    settings = {
        "run": run.id, "ratio": row["share"], "per_layer": int(bool(row["per_layer"])), "rows": row["strength"],
        "protect": "-".join(map(str, json.loads(str(row["protected"])))),
    }  # fmt: skip
    return f"/{PRUNE.title.lower()}?{urlencode(settings)}"


def _columns() -> dict[str, Any]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "trial": text("Trial", width=50, pinned=True),
        "is": text("Is", width=104),
        "forgotten": number("Forgotten", format="percent", width=80),
        "cost": number("Cost, nats", format="%.3f", width=84),
        "share": number("Neurons", format="percent", width=76),
        "layer": st.column_config.CheckboxColumn("Each layer", width=76, help="Every layer gives the same share."),
        "whole": text("Whole", width=60, help="Layers in which nothing is cut."),
        "rows": number("Rows", format="percent", width=64, help="How far the token rows are reset."),
        "noise": number("Noise", format="percent", width=60, help="Mixed in before the retraining."),
        "steps": number("Steps", width=56, help="Of the retraining."),
        "relearning": number(
            "Relearning", format="%.2f", width=84,
            help="Steps to learn the concept again, as a share of those it is held against. Empty: not raced.",
        ),
        "open": st.column_config.LinkColumn("Open", display_text="open", width=56),
    }  # fmt: skip
