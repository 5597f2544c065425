"""Concept: words and sentences in, labelled sentences out."""

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components.concept.filter_report import counted_forms, show_filter
from pages.components.concept.labelled_sentences import show_left_out, show_sentences
from pages.components.concept.labelling import KINDS, relabel
from pages.components.concept.neighbours import check_neighbours, choose_neighbours, neighbour_count, warn_of_neighbours
from pages.components.concept.sentence_sources import choose_source
from pages.components.current_run import current_run
from pages.components.downloads import download_buttons
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.metric_row import metric_row
from pages.components.navigation import CONCEPT, MODEL, is_done, link_to_next, needs
from pages.components.progress import show_errors
from pages.components.run_summary import concept_words
from unlearning_core.concepts import tokens_labels
from unlearning_core.concepts.words import parse_words
from unlearning_core.config import NeverKnewSection
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run

# Sentences of a kind below which a ranking changes with every sentence. A string would be shown on the page.
FEW = 20


def main() -> None:
    """Draw the page."""
    st.title("Concept")
    st.markdown("The concept is a list of words. Sentences with and without them show which neurons carry it.")
    run = current_run()
    if not needs(run, MODEL) or run is None:
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        words, inflections = choose_words(run)
        neighbours = choose_neighbours(run)
    with right:
        source = choose_source(run, words, inflections)
    amounts = choose_amounts(run)
    if st.button("Label the sentences", type="primary", icon=":material/sell:"):
        label(run, words, inflections, source | neighbours, amounts)
    labelled = is_done(run, CONCEPT)
    if labelled:
        with show_errors():
            st.divider()
            show_labelled(run)
    probing = run.config.neural_probing
    if any(getattr(probing, key) for key in KINDS.values()):
        with st.expander("Left out by hand", expanded=not labelled), show_errors():
            show_left_out(run, run.concept_facts() if labelled else None)
    if labelled:
        link_to_next(CONCEPT)


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


def label(
    run: Run,
    words: tuple[str, ...],
    inflections: bool,
    source: dict[str, Any],
    amounts: dict[str, dict[str, float]],
) -> None:
    """Save the settings and label."""
    if not words:
        raise InputError("The list of concept words is empty. Write at least one word, for example: chair.")
    if not source["sentences"] and not (source["tokens_input_path"] and source["labels_input_path"]):
        raise InputError("No sentences are chosen. Give a file, folder or dataset, or let the model write them.")
    check_neighbours(source, words, inflections, run.config.neural_probing.language)
    probing: dict[str, Any] = {"inflections": inflections} | source | amounts["neural_probing"]
    known = concept_words(run)
    if words != known:
        probing |= {"concept_definition": list(words), "activations_label": words[0]}
    # A model that never knew one concept is no measure for another.
    never_knew = {} if set(words) & set(known) else NeverKnewSection().model_dump()
    sections = {"neural_probing": probing, "evaluation": amounts["evaluation"], "never_knew": never_knew}
    relabel(run, "The sentences are labelled.", **sections)


def show_labelled(run: Run) -> None:
    """Counts, then the sentences, the words, the text for retraining and the files."""
    facts = run.concept_facts() or {}
    counts(facts)
    if facts["missing_words"]:
        st.warning("These words never occur: " + escaped(", ".join(facts["missing_words"])))
    sentences, words, text, files = st.tabs(["Sentences", "Words", "Text for retraining", "Download"])
    with sentences, show_errors():
        show_sentences(run, facts)
    with words:
        words_table(facts, "every concept word")
        st.caption(
            "In all sentences of the source. A form that should not count: leave its sentences out under Sentences, or "
            "switch inflected forms off."
        )
        if facts.get("neighbours", {}).get("words"):
            st.markdown("**Neighbours**")
            words_table(facts["neighbours"], "every word of the neighbours")
    with text, show_errors():
        show_filter(run)
    with files:
        st.caption("Tokens and labels as NeuroX reads them; the inverse file holds the sentences without the concept.")
        download_buttons(label_files(run), "Download {}", "text/plain")


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


def label_files(run: Run) -> dict[str, bytes]:
    """The labelled sentences by file name, in the format of `python -m unlearning_core label`."""
    items = [item for part in ("train", "held_out") for item in run.sentences(part).items]
    label = run.config.neural_probing.activations_label or "concept"
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in label)
    with tempfile.TemporaryDirectory() as folder:
        written = tokens_labels.write(Path(folder) / name, items, run.config.neural_probing.target_label)
        return {path.name: path.read_bytes() for path in (written.tokens, written.labels, written.inverse)}


show(main)
