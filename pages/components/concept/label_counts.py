"""What labelling has found, on the Concept page: how many sentences of each kind, which words, and files of them."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components.concept.neighbours import neighbour_count, warn_of_neighbours
from pages.components.metric_row import metric_row
from unlearning_core.concepts import tokens_labels
from unlearning_core.runs.run import Run

FEW = 20
"""Sentences of a kind below which a ranking changes with every sentence."""


def counts(facts: dict[str, Any]) -> None:
    """How many sentences of each kind there are, and how they are split."""
    concept, rest = facts["with_concept"], facts["sentences"] - facts["with_concept"]
    row = metric_row(("With the concept", f"{concept:,}"), ("Without it", f"{rest:,}"))
    neighbour_count(row, facts)
    left_out = [("Left out by hand", f"{facts['left_out']:,}")] if facts.get("left_out") else []
    metric_row(
        ("Balance", f"{concept / (concept + rest):.0%}", "Share that holds the concept."),
        ("Duplicates dropped", f"{facts['duplicates']:,}"),
        *left_out,
        ("To rank on", "{} + {}".format(*facts["train"]), "with + without it"),
        ("To measure on", "{} + {}".format(*facts["held_out"]), "with + without it"),
        row=row,
    )
    few = min(facts["train"])
    if few < FEW:
        kind = "with" if few == facts["train"][0] else "without"
        st.warning(f"Only {few} sentences {kind} the concept are there to rank on: expect an unsteady ranking.")
    warn_of_neighbours(facts, FEW)


def words_table(facts: dict[str, Any], whose: str) -> None:
    """How often each word occurs, and in which forms."""
    found, forms = sorted(facts["words"].items(), key=lambda pair: -pair[1]), facts.get("forms", {})
    st.dataframe(
        {
            "word": [word for word, _ in found],
            "times": [count for _, count in found],
            "forms that match": [counted_forms(forms.get(word, {}).items()) for word, _ in found],
        },
        hide_index=True,
        height="content" if len(found) < 20 else 700,
        alt=f"Occurrences and forms of {whose}",
    )


def counted_forms(forms: Iterable[tuple[str, int]]) -> str:
    """Forms of a word, each with how often it occurs."""
    return ", ".join(f"{form} {count}" for form, count in forms)


def label_files(run: Run) -> dict[str, bytes]:
    """The labelled sentences by file name, in the format of `python -m unlearning_core label`."""
    items = [item for part in ("train", "held_out") for item in run.sentences(part).items]
    label = run.config.neural_probing.activations_label or "concept"
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in label)
    with tempfile.TemporaryDirectory() as folder:
        written = tokens_labels.write(Path(folder) / name, items, run.config.neural_probing.target_label)
        return {path.name: path.read_bytes() for path in (written.tokens, written.labels, written.inverse)}
