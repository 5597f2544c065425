"""Concept: words and sentences in, labelled sentences out."""

import random
from typing import Any

import streamlit as st

from pages._concept_files import label_files
from pages._frame import show
from pages._marked_text import escaped, highlighted
from pages._run_in_url import changed, current_run
from pages._sentence_sources import choose_source
from pages._shared_models import execute
from pages._sidebar import concept_words
from pages._steps import finished_stages, needs, next_step
from pages._working import carry_out, in_sentences, say
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.words import parse_words
from unlearning_core.config import NeverKnewSection
from unlearning_core.errors import InputError
from unlearning_core.runs import Run
from unlearning_core.work import Work

PAGE = "pages/concept.py"


def main() -> None:
    """Draw the page."""
    st.title("Concept")
    st.markdown("The concept is a list of words. Sentences with and without them show which neurons carry it.")
    run = current_run()
    if not needs(run, "pages/model.py") or run is None:
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        words, inflections = choose_words(run)
    with right:
        source = choose_source(run, words, inflections)
    amounts = choose_amounts(run)
    if st.button("Label the sentences", type="primary", icon=":material/sell:"):
        label(run, words, inflections, source, amounts)
    if "label" in finished_stages(run):
        with in_sentences():
            st.divider()
            show_labelled(run)
            next_step(PAGE)


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
    source: dict[str, str | None],
    amounts: dict[str, dict[str, float]],
) -> None:
    """Save the settings and label."""
    if not words:
        raise InputError("The list of concept words is empty. Write at least one word, for example: chair.")
    if not source["sentences"] and not (source["tokens_input_path"] and source["labels_input_path"]):
        raise InputError("No sentences are chosen. Give a file, folder or dataset, or let the model write them.")
    probing: dict[str, Any] = {"inflections": inflections} | source | amounts["neural_probing"]
    known = concept_words(run)
    if words != known:
        probing |= {"concept_definition": list(words), "activations_label": words[0]}
    # A model that never knew one concept is no measure for another.
    never_knew = {} if set(words) & set(known) else NeverKnewSection().model_dump()
    run.save_config(
        changed(run.config, neural_probing=probing, evaluation=amounts["evaluation"], never_knew=never_knew)
    )
    if carry_out("Labelling sentences", lambda bar: execute(run, "label", bar), only_one=run.id):
        say("The sentences are labelled.")
        st.rerun()


def show_labelled(run: Run) -> None:
    """Counts, words that never occur, examples, downloads."""
    facts = run.read_json("data/concept.json")
    row = st.container(horizontal=True, gap="large")
    row.metric("With the concept", f"{facts['with_concept']:,}", width="content")
    row.metric("Without it", f"{facts['sentences'] - facts['with_concept']:,}", width="content")
    row.metric("Duplicates dropped", f"{facts['duplicates']:,}", width="content")
    row.metric("To rank on", "{} + {}".format(*facts["train"]), help="with + without it", width="content")
    row.metric("To measure on", "{} + {}".format(*facts["held_out"]), help="with + without it", width="content")
    if facts["missing_words"]:
        st.warning("These words never occur: " + escaped(", ".join(facts["missing_words"])))
    work = Work(run)
    parts = {"To rank on": work.sentences("train").items, "To measure on": work.sentences("held_out").items}
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader("Words")
        forms = _forms(work, [item.text for items in parts.values() for item in items])
        counts = sorted(facts["words"].items(), key=lambda pair: -pair[1])
        st.dataframe(
            {
                "word": [word for word, _ in counts],
                "times": [count for _, count in counts],
                "forms among those used": [forms.get(word, "") for word, _ in counts],
            },
            hide_index=True,
            height="content" if len(counts) < 11 else 400,
        )
    with right:
        st.subheader("Sentences")
        part = st.segmented_control("Part", list(parts), default="To rank on", required=True, key="part")
        kind = st.segmented_control(
            "Kind", ["With the concept", "Without it"], default="With the concept", required=True, key="kind"
        )
        chosen = [item for item in parts[part or "To rank on"] if bool(item.spans) == (kind != "Without it")]
        shown = random.Random(0).sample(chosen, min(12, len(chosen)))
        with st.container(height=330):
            st.markdown("\n\n".join(highlighted(item.text, item.spans) for item in shown) or "None.")
            st.caption(f"{len(shown)} of {len(chosen)}, drawn at random.")
    downloads(run, [item for items in parts.values() for item in items])


def _forms(work: Work, texts: list[str]) -> dict[str, str]:
    work.matcher.count(texts)
    return {
        word: ", ".join(f"{form} {count}" for form, count in list(forms.items())[:6])
        for word, forms in work.matcher.forms().items()
    }


def downloads(run: Run, items: list[LabelledText]) -> None:
    """The seed's and NeuroX's files."""
    st.caption("Tokens and labels as NeuroX reads them; the inverse file holds the sentences without the concept.")
    with st.container(horizontal=True):
        for name, data in label_files(run, items).items():
            st.download_button(f"Download {name}", data, name, "text/plain", on_click="ignore")


show(main)
