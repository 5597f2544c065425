"""The texts of the models beside each other, on the Compare page: those that differ most first, the rest folded."""

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from pages.components.marked_text import escaped, with_concept
from pages.components.states import LEGEND, labelled_columns
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.reports.differences import changed_words
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

FIRST = 3
"""Prompts that are shown at once, each with the sample that differs most."""

Sample = Mapping[str, str]
"""What each state wrote after a prompt with the same random numbers."""


def show_texts(run: Run, states: Sequence[str], samples: Mapping[str, Sequence[Sample]]) -> None:
    """Of the prompts that differ most one sample each, then what the never-knew model's words are, then the rest."""
    matcher = RunContext(run).matcher
    first, rest = by_difference(samples, states, matcher)
    st.caption(LEGEND)
    for prompt, some in first.items():
        show_prompt(matcher, states, prompt, some)
    if NEVER_KNEW in states:
        _explain_never_knew(matcher, [sample for some in samples.values() for sample in some])
    if rest:
        count = sum(map(len, rest.values()))
        with st.expander("One more text of each" if count == 1 else f"{count} more texts of each"):
            for prompt, some in rest.items():
                show_prompt(matcher, states, prompt, some)


def show_prompt(matcher: Matcher, states: Sequence[str], prompt: str, samples: Sequence[Sample]) -> None:
    """A prompt and what the states wrote after it: a column a state, each text under its state's name."""
    with st.container(border=True):
        st.markdown(f"**{escaped(prompt)}**")
        for number, sample in enumerate(samples):
            if number:
                st.divider()
            for state, column in labelled_columns(states).items():
                other = sample.get("base") if state != "base" else None
                column.markdown(with_concept(sample[state], matcher, other))


def by_difference(
    samples: Mapping[str, Sequence[Sample]], states: Sequence[str], matcher: Matcher
) -> tuple[dict[str, list[Sample]], dict[str, list[Sample]]]:
    """(what is shown at once, the rest), both by prompt.

    A sample stands the higher the more of the concept's words base has written and the last edited state has not, and
    after that the larger the share of that state's text that base has otherwise. Equals keep their order.
    """
    last = [state for state in states if state not in ("base", NEVER_KNEW)][-1]

    def distance(sample: Sample) -> tuple[int, float]:
        base, text = sample["base"], sample[last]
        lost = len(list(matcher.spans(base))) - len(list(matcher.spans(text)))
        other = sum(end - start for start, end in changed_words(base, text))
        return max(0, lost), other / max(1, len(text))

    best = {prompt: max(range(len(some)), key=lambda at: distance(some[at])) for prompt, some in samples.items()}
    order = sorted(best, key=lambda prompt: distance(samples[prompt][best[prompt]]), reverse=True)
    first = {prompt: [samples[prompt][best[prompt]]] for prompt in order[:FIRST]}
    rest = {
        prompt: [sample for at, sample in enumerate(some) if prompt not in first or at != best[prompt]]
        for prompt, some in samples.items()
    }
    return first, {prompt: some for prompt, some in rest.items() if some}


def _explain_never_knew(matcher: Matcher, samples: Sequence[Sample]) -> None:
    """Why a model that never knew the concept still writes words of it, where it does."""
    texts = [sample[NEVER_KNEW] for sample in samples]
    found = [(text, span) for text in texts for span in matcher.spans(text)]
    if not found:
        return
    words = Counter(text[span.start : span.end].casefold() for text, span in found)
    listed = ", ".join(f"“{word}” {times} ×" for word, times in words.most_common(4))
    text, span = found[0]
    sentence = next((one for one in split_sentences(text) if text[span.start : span.end] in one), text)
    st.caption(
        f"The model that never knew writes {escaped(listed)} too, although it never read a text about the concept: "
        "such a word repeats the prompt, comes about by chance, or is meant in another sense, as here: "
        f"“{escaped(sentence)}” That is how often they come up where nothing is known."
    )
