"""What is to be forgotten and what is to stay, on the Concept page: words, neighbours, how many sentences are used."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.place import choose_place
from pages.components.progress import show_errors
from pages.components.run_summary import concept_words
from unlearning_core.concepts.lemmas import language_code, language_names, uninflected
from unlearning_core.concepts.neighbours import given_words
from unlearning_core.concepts.words import as_list, parse_words, read_list
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run

WORD_FILES = ["txt", "md", "csv", "tsv", "json", "jsonl", "ndjson"]


MATCHING = "From a file, inflected forms, language"
"""What the section below the words is called."""


def choose_words(run: Run) -> tuple[tuple[str, ...] | None, dict[str, Any]]:
    """The words as they stand in the box, or None where they are none, and how they are matched.

    The latter are `inflections` and `language` of a `Concept`.
    """
    box, problem, section = st.container(), st.container(), st.expander(MATCHING)
    with section:
        upload = st.file_uploader("Words from a file", type=WORD_FILES, max_upload_size=visitor.upload_mb(10))
        matching = _choose_matching(run)
    given, source = concept_words(run), ""
    if upload is not None:
        # A file that is refused leaves the words in the box as they are.
        with problem, show_errors():
            given, said = words_of(upload)
            source = upload.file_id
            st.caption(escaped(said))
    text = box.text_area(
        "Concept words", as_list(given), height=240, key=f"words {run.id} {source}",
        help="One a line, or with commas between them. A line may be a phrase of several words.",
    )  # fmt: skip
    with problem:
        return parsed(text, "Concept words"), matching


def _choose_matching(run: Run) -> dict[str, Any]:
    """Inflections and language of the words, as keys of a `Concept`."""
    inflections = st.toggle(
        "Inflected forms too", run.config.neural_probing.inflections, key=f"inflections {run.id}",
        help="With it, sit also finds sat and sitting, and seat also finds seats.", wrap=True,
    )  # fmt: skip
    names = language_names()
    try:
        code = language_code(run.config.neural_probing.language)
    except InputError as error:
        st.warning(told(str(error)))
        code = "en"
    language = st.selectbox(
        "Language", list(names | {code: code}), list(names | {code: code}).index(code), key=f"language {run.id}",
        format_func=lambda name: f"{names.get(name, name)} ({name})", disabled=not inflections,
        help="Of the inflected forms. Words are found in every script, whatever is chosen here.",
    )  # fmt: skip
    if inflections and (sentence := uninflected(language)):
        st.caption(escaped(sentence))
    return {"inflections": inflections, "language": language}


def words_of(upload: Any) -> tuple[tuple[str, ...], str]:
    """The words in an uploaded file, and what it was understood as; raises InputError that calls it by its name."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / visitor.upload_name(upload)
        path.write_bytes(upload.getvalue())
        try:
            return read_list(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), path.name)) from error


def parsed(text: str | None, name: str) -> tuple[str, ...] | None:
    """The words in a box; None, and the reason shown, where a line is no word."""
    with show_errors():
        return parse_words(text or "", name=name)
    return None


def choose_neighbours(run: Run) -> dict[str, Any] | None:
    """The words that must stay and the text about them, as keys of neural_probing; None where a line is no word."""
    probing = run.config.neural_probing
    known: tuple[str, ...] = ()
    gone = False
    try:
        known = given_words(probing.neighbours)
    except InputError as error:
        gone = True
        st.warning(f"{told(str(error))} Without it, the words below are the neighbours.")
    box, section = st.container(), st.expander("Text about neighbours, and their weight")
    text = box.text_area(
        "Neighbours: words that must stay", as_list(known), height=100, key=f"neighbours {run.id}",
        placeholder="table\nbed",
        help="Words near the concept that the model has to keep, one a line. Sentences with them are half of the text "
        "that is ranked against, where there are enough others, and what is lost on them is shown on its own. "
        "Curves and the search for the smallest cut count them as other text, and show their part.",
    )  # fmt: skip
    with section:
        source = choose_place(
            run, "Text about neighbours", probing.neighbour_corpus, f"neighbour text {run.id}",
            help="A file, folder or dataset. Its sentences without the concept are added to the others. Without "
            "words of the neighbours all that it says counts as a neighbour.",
            placeholder="optional",
        )  # fmt: skip
    with box:
        words = parsed(text, "Neighbours")
    if words is None:
        return None
    percent = round(100 * probing.neighbour_share)
    if words or source:
        percent = section.slider(
            "Their weight in the ranking", 0, max(90, percent), percent, step=10, format="%d %%",
            key=f"neighbour share {run.id}",
            help="How much of what a cut costs is what it costs the neighbours. At 0 they count like other text; "
            "the higher, the more they are spared, and the less of the concept goes.",
        )  # fmt: skip
    return {
        "neighbour_share": percent / 100,
        # A file of words stays the file while its words stand in the box as they are.
        "neighbours": probing.neighbours if words == known and not gone else list(words) or None,
        "neighbour_corpus": source,
    }


def choose_amounts(run: Run) -> dict[str, dict[str, float]]:
    """How many sentences are used, and what share is kept for measuring."""
    probing = run.config.neural_probing
    with st.expander("How many sentences"):
        one, two, three, four = st.columns(4)
        concept = one.number_input(
            "With the concept, at most", 2, None, probing.max_concept_sentences, key=f"with {run.id}"
        )
        retain = two.number_input("Without it, at most", 0, None, probing.max_retain_sentences, key=f"out {run.id}")
        share = three.number_input(
            "Share held out", 0.01, 0.9, probing.held_out, 0.05, key=f"share {run.id}",
            help="These sentences are never ranked on; they only measure.",
        )  # fmt: skip
        measured = four.number_input(
            "Held-out sentences measured, each kind", 2, None, run.config.evaluation.max_sentences, key=f"eval {run.id}"
        )
    return {
        "neural_probing": {"max_concept_sentences": concept, "max_retain_sentences": retain, "held_out": share},
        "evaluation": {"max_sentences": measured},
    }
