"""What the concept is, on the Concept page: its words, and how many sentences are used."""

import streamlit as st

from pages.components.run_summary import concept_words
from unlearning_core.concepts.words import parse_words
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run


def choose_words(run: Run) -> tuple[tuple[str, ...], bool]:
    """The words as they stand in the box, and whether their inflections count."""
    probing = run.config.neural_probing
    upload = st.file_uploader("Words from a file", type=["txt", "csv", "tsv"], max_upload_size=10)
    given = "\n".join(concept_words(run))
    if upload is not None:
        table = upload.name.lower().endswith((".csv", ".tsv"))
        given = "\n".join(parse_words(_utf8(upload.getvalue(), upload.name), name=upload.name, table=table))
    text = st.text_area(
        "Concept words", given, height=240, key=f"words {run.id} {upload.file_id if upload else ''}",
        help="One a line, or with commas between them. A line may be a phrase of several words.",
    )  # fmt: skip
    inflections = st.toggle(
        "Inflected forms too", probing.inflections, key=f"inflections {run.id}",
        help="With it, sit also finds sat and sitting, and seat also finds seats.", wrap=True,
    )  # fmt: skip
    return parse_words(text or ""), inflections


def _utf8(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and try again.") from error


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
