"""Concept: words and sentences in, labelled sentences out."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.concept.corrections import KINDS, relabel, show_left_out, show_sentences
from pages.components.concept.label_counts import counts, further_counts, label_files, show_filter, words_table
from pages.components.concept.sentence_sources import choose_source
from pages.components.concept.words import choose_amounts, choose_neighbours, choose_words
from pages.components.frame import show
from pages.components.navigation import CONCEPT, MODEL, is_done, link_to_next, run_beyond
from pages.components.progress import show_errors
from pages.components.rows import download_buttons
from pages.components.run_summary import concept_words
from unlearning_core.concepts.neighbours import given_words, neighbour_words
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import NeverKnewSection
from unlearning_core.errors import InputError
from unlearning_core.runs.prompts import OF_THE_OLD_CONCEPT
from unlearning_core.runs.run import Run


def main() -> None:
    """Draw the page."""
    st.title("Concept")
    st.markdown("The concept is a list of words. Sentences with and without them show which neurons carry it.")
    run = run_beyond(MODEL)
    if run is None:
        return
    labelled = is_done(run, CONCEPT)
    left, right = st.columns([2, 3], gap="large")
    with left:
        words, matching = choose_words(run)
        neighbours = choose_neighbours(run)
        start = st.container()
    # What was found stands beside the words; until then the choice of the sentences does.
    with st.expander("Where the sentences come from") if labelled else right:
        source = choose_source(run, words or (), matching)
    amounts = choose_amounts(run)
    ready = words is not None and neighbours is not None
    with start:
        if st.button("Label the sentences", type="primary", icon=":material/sell:", disabled=not ready):
            assert words is not None
            assert neighbours is not None
            label(run, words, matching, source | neighbours, amounts)
    if labelled:
        with show_errors():
            show_labelled(run, right)
    if any(getattr(run.config.neural_probing, key) for key in KINDS.values()):
        with st.expander("Left out by hand", expanded=not labelled), show_errors():
            show_left_out(run, run.concept_facts() if labelled else None)
    if labelled:
        link_to_next(CONCEPT)


def label(
    run: Run,
    words: tuple[str, ...],
    matching: dict[str, Any],
    source: dict[str, Any],
    amounts: dict[str, dict[str, float]],
) -> None:
    """Save the settings and label."""
    if not words:
        raise InputError("The list of concept words is empty. Write at least one word, for example: chair.")
    if not source["sentences"] and not (source["tokens_input_path"] and source["labels_input_path"]):
        raise InputError("No sentences are chosen. Give a file, folder or dataset, or let the model write them.")
    if near := given_words(source["neighbours"]):
        # Raises where a word is to be forgotten and to stay, before anything is saved.
        neighbour_words(near, Concept(words, **matching))
    probing: dict[str, Any] = matching | source | amounts["neural_probing"]
    known = concept_words(run)
    if words != known:
        probing |= {"concept_definition": list(words), "activations_label": words[0]}
    sections: dict[str, Any] = {"neural_probing": probing, "evaluation": amounts["evaluation"]}
    if not set(words) & set(known):
        # A model that never knew one concept is no measure for another, nor are prompts and questions about it.
        sections |= {"never_knew": NeverKnewSection().model_dump(), **OF_THE_OLD_CONCEPT}
    relabel(run, "The sentences are labelled.", **sections)


def show_labelled(run: Run, beside: DeltaGenerator) -> None:
    """In `beside` the numbers that matter and the sentences; below, folded, numbers, words, text and files."""
    facts = run.concept_facts() or {}
    # Read before anything is drawn: a button below may label anew, and that may fail.
    contents = label_files(run)
    with beside:
        st.subheader("The labelled sentences", anchor="labelled-sentences")
        counts(facts)
        with show_errors():
            show_sentences(run, facts)
    with st.expander("More numbers"):
        further_counts(facts)
    with st.expander("Words and their forms"):
        words_table(facts, "every concept word")
        st.caption(
            "In all sentences of the source. A form that should not count: leave its sentences out under Search, or "
            "switch inflected forms off."
        )
        if facts.get("neighbours", {}).get("words"):
            st.markdown("**Neighbours**")
            words_table(facts["neighbours"], "every word of the neighbours")
    with st.expander("Text for retraining"), show_errors():
        show_filter(run)
    with st.expander("Labelled sentences as files"):
        st.caption("Tokens and labels as NeuroX reads them; the inverse file holds the sentences without the concept.")
        download_buttons(contents, "Download {}", "text/plain")


show(main)
