"""The labelled sentences, on the Concept page: searched, leafed through, and left out by sentence, word or sense."""

import zlib
from typing import Any

import streamlit as st

from pages.components.current_run import changed
from pages.components.marked_text import CONCEPT, NEIGHBOUR, escaped, highlighted
from pages.components.progress import run_and_redraw
from pages.components.work import bring_up_to_date, refuse_if_busy
from unlearning_core.concepts.corrections import holds
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.prompts import follow_concept
from unlearning_core.runs.run import Run

KINDS = {"words": "dropped_words", "senses": "dropped_senses", "sentences": "dropped_sentences"}
"""What can be left out by hand, and its key in neural_probing."""

PER_PAGE = 8
WITH, WITHOUT, WITH_NEIGHBOUR = "With the concept", "Without it", "With a neighbour"
PARTS = {"For ranking": "train", "Held out for testing": "held_out"}


def relabel(run: Run, message: str, **sections: Any) -> None:
    """Change keys of the run's settings and label, without any model; the page is then drawn anew and says `message`.

    Raises:
        InputError: a process works on the run, or a setting is out of range.
    """
    refuse_if_busy(run)
    run.save_config(changed(run.config, **sections))

    def label(bar: ProgressCallback) -> None:
        bring_up_to_date(run, "label", bar, with_model=False)
        follow_concept(run)

    run_and_redraw("Labelling sentences", label, only_one=run.id, message=message)


def _leave_out(run: Run, kind: str, entries: list[Any]) -> None:
    known = list(getattr(run.config.neural_probing, KINDS[kind]))
    new = [entry for entry in entries if entry not in known]
    message = "It is left out. The steps after this one start from the sentences as they are now."
    relabel(run, message, neural_probing={KINDS[kind]: known + new})


def show_sentences(run: Run, facts: dict[str, Any]) -> None:
    """The list, and below it the search and the buttons that leave something out."""
    context = RunContext(run)
    kinds = st.container(horizontal=True, gap="medium")
    part = kinds.segmented_control("Part", list(PARTS), default="For ranking", required=True, key="part")
    offered = [WITH, WITHOUT, *([WITH_NEIGHBOUR] if "neighbours" in facts else [])]
    kind = kinds.segmented_control("Kind", offered, default=WITH, required=True, key="kind") or WITH
    options = _words_and_forms(facts)
    place, search = st.container(), st.expander("Search, and leave out a word or a sense")
    left, right = search.columns(2)
    word = left.selectbox(
        "Word", list(options), format_func=lambda name: options[name], key=f"word {run.id}",
        disabled=kind != WITH, help="A word of the concept with all its forms, or one form.",
    )  # fmt: skip
    beside = right.text_input(
        "Together with", key=f"beside {run.id}", placeholder="meeting",
        help="Another word of the same sentence: it tells one sense of a word from another.",
    ).strip()  # fmt: skip
    if kind != WITH:
        word = ""
    if not any(letter.isalnum() for letter in beside):
        beside = ""
    labelled = run.sentences(PARTS[part or "For ranking"])
    items = {WITH: labelled.with_concept, WITHOUT: labelled.without, WITH_NEIGHBOUR: labelled.with_neighbour}[kind]
    if word:
        with search:
            _drop_word_or_sense(run, context, word, beside)
    with place:
        _list(run, _found(items, word, beside, context))


def _words_and_forms(facts: dict[str, Any]) -> dict[str, str]:
    """What can be chosen, with what is shown for it: every word that occurs, and its forms."""
    options = {"": "any"}
    for word, count in sorted(facts["words"].items(), key=lambda pair: -pair[1]):
        if count:
            options[word] = f"{word} ({count})"
            for form, times in facts.get("forms", {}).get(word, {}).items():
                if form.casefold() != word.casefold():
                    options.setdefault(form, f"{word}: {form} ({times})")
    return options


def _found(items: list[LabelledText], word: str, beside: str, context: RunContext) -> list[LabelledText]:
    if word:
        items = [item for item in items if holds(item, word)]
    if beside:
        matcher = Matcher(Concept((beside,), context.concept.inflections, context.concept.language))
        items = [item for item in items if matcher.matches(item.text)]
    # An order that mixes the words and stays when a sentence goes.
    return sorted(items, key=lambda item: zlib.crc32(item.text.encode()))


def _drop_word_or_sense(run: Run, context: RunContext, word: str, beside: str) -> None:
    used = [item for part in PARTS.values() for item in run.sentences(part).items]
    count = len(_found(used, word, beside, context))
    what = f"“{word}” together with “{beside}”" if beside else f"“{word}”"
    if st.button(
        f"Leave out all {count:,} sentences with {escaped(what)}", disabled=not count,
        icon=":material/remove_selection:", help="Those of the whole source, also where it holds more than are used.",
    ):  # fmt: skip
        _leave_out(run, "senses" if beside else "words", [(word, beside) if beside else word])


def _list(run: Run, items: list[LabelledText]) -> None:
    if not items:
        st.caption("No sentence matches.")
        return
    pages = -(-len(items) // PER_PAGE)
    place = st.empty()
    page = st.pagination(pages, key=f"page {run.id} {pages}") if pages > 1 else 1
    shown = items[(page - 1) * PER_PAGE : page * PER_PAGE]
    with place.form(f"sentences {run.id}", border=True):
        ticked = [
            item.text for item in shown
            if st.checkbox(_shown(item), key=f"drop {run.id} {item.text}", wrap=True)
        ]  # fmt: skip
        left, right = st.columns([2, 3], vertical_alignment="center")
        pressed = left.form_submit_button("Leave out the ticked ones", icon=":material/remove_selection:")
        right.caption(f"{len(items):,} sentences, in an order that mixes them.")
    if pressed and ticked:
        _leave_out(run, "sentences", ticked)
    elif pressed:
        st.info("No sentence is ticked.")


def _shown(item: LabelledText) -> str:
    """The concept's words marked; in a sentence without them the neighbours."""
    spans, colour = (item.spans, CONCEPT) if item.spans else (item.neighbours, NEIGHBOUR)
    return highlighted(item.text, spans, colour=colour)


def show_left_out(run: Run, facts: dict[str, Any] | None) -> None:
    """What is left out by hand, to be taken back; `facts` counts it once the sentences are labelled."""
    counts = (facts or {}).get("corrections", {})
    left: dict[str, list[Any]] = {}
    back = False
    with st.form(f"left out {run.id}", border=False):
        for kind, key in KINDS.items():
            left[key], known = [], counts.get(kind, [])
            for place, entry in enumerate(getattr(run.config.neural_probing, key)):
                title = _entry(kind, entry, known[place] if place < len(known) else None)
                if st.checkbox(title, key=f"back {run.id} {kind} {entry}", wrap=True):
                    back = True
                else:
                    left[key].append(entry)
        pressed = st.form_submit_button("Take the ticked ones back", icon=":material/undo:")
    if pressed and back:
        relabel(run, "It is back among the sentences.", neural_probing=left)


def _entry(kind: str, entry: Any, count: int | None) -> str:
    found = "" if count is None else f" :gray[{count:,} sentences]" if count else " :gray[not among the sentences]"
    if kind == "sentences":
        return escaped(entry) + ("" if count else found)
    if kind == "senses":
        return f"**{escaped(entry[0])}** together with **{escaped(entry[1])}**{found}"
    return f"**{escaped(entry)}**{found}"
