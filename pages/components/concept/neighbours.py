"""Neighbours on the Concept page: what must stay, and how much of it the sentences hold."""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.marked_text import escaped
from unlearning_core.concepts.neighbours import given_words, neighbour_words
from unlearning_core.concepts.words import Concept, parse_words
from unlearning_core.config import find_path
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run


def choose_neighbours(run: Run) -> dict[str, Any]:
    """The words and the text about neighbours, as keys of neural_probing."""
    probing = run.config.neural_probing
    known, gone = _known(run)
    if gone:
        st.warning(f"{escaped(gone)} Without it, the words below are the neighbours.")
    text = st.text_area(
        "Neighbours: words that must stay", "\n".join(known), height=130, key=f"neighbours {run.id}",
        placeholder="table\nbed",
        help="Words near the concept that the model has to keep, one a line. Sentences with them are half of the text "
        "that is ranked against, where there are enough others, and what is lost on them is shown apart from "
        "everything else. Curves and the search for the smallest cut count them with everything else and show their "
        "part.",
    )  # fmt: skip
    source = st.text_input(
        "Text about neighbours", probing.neighbour_corpus or "", key=f"neighbour text {run.id}",
        placeholder="optional",
        help="A file, folder or dataset. Its sentences without the concept are added to the others. Without "
        "words of the neighbours all that it says counts as a neighbour.",
    )  # fmt: skip
    words, name = parse_words(text or ""), (source or "").strip()
    percent = round(100 * probing.neighbour_share)
    if words or name:
        percent = st.slider(
            "Their weight in the ranking", 0, max(90, percent), percent, step=10, format="%d %%",
            key=f"neighbour share {run.id}",
            help="How much of what a cut costs is what it costs the neighbours. At 0 they count like all other words; "
            "the higher, the more they are spared, and the less of the concept goes.",
        )  # fmt: skip
    return {
        "neighbour_share": percent / 100,
        # A file of words stays the file while its words stand in the box as they are.
        "neighbours": probing.neighbours if words == known and not gone else list(words) or None,
        "neighbour_corpus": find_path(name, Path.cwd()) if name else None,
    }


def check_neighbours(neighbours: dict[str, Any], words: tuple[str, ...], inflections: bool, language: str) -> None:
    """Raises InputError when a word is to be forgotten and to stay, before anything is saved."""
    given = given_words(neighbours["neighbours"])
    if given:
        neighbour_words(given, Concept(words, inflections, language))


def _known(run: Run) -> tuple[tuple[str, ...], str]:
    """The words, and what is wrong with the file of them, if something is."""
    try:
        return given_words(run.config.neural_probing.neighbours), ""
    except InputError as error:
        return (), str(error)


def neighbour_count(row: DeltaGenerator, facts: dict[str, Any]) -> None:
    """How many sentences have a neighbour and not the concept, among the other counts; nothing without neighbours."""
    found = facts.get("neighbours")
    if found:
        row.metric(
            "Of these with a neighbour", f"{found['sentences']:,}", width="content",
            help=f"Among those used {found['train']:,} to rank on and {found['held_out']:,} to measure on.",
        )  # fmt: skip


def warn_of_neighbours(facts: dict[str, Any], few: int) -> None:
    """Say which neighbours never occur, and when they are too few to steer the ranking."""
    found = facts.get("neighbours")
    if not found:
        return
    if found["missing_words"]:
        st.warning("These neighbours never occur: " + escaped(", ".join(found["missing_words"])))
    if found["train"] < few:
        st.warning(
            f"Only {found['train']} sentences with a neighbour and without the concept are there to rank on: too "
            "few to spare the neighbours. Give text about them."
        )
