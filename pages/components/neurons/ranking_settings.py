"""How the neurons are ranked: kind of neuron, where its activation is read, the method and its parameters."""

from typing import Any

import streamlit as st

from pages.components.parameter_widgets import choose_parameters
from unlearning_core.figures.style import SITE_NAMES
from unlearning_core.rankers.registry import DEFAULT_RANKER, GROUPS, RANKERS, Group
from unlearning_core.runs.rankings import OtherRanking
from unlearning_core.runs.run import Run

ALIGNMENTS = {"before": "where the word is predicted", "at": "at the word itself"}
AGGREGATIONS = {
    "token": "every token on its own",
    "average": "average of a word's tokens",
    "first": "first token of a word",
    "last": "last token of a word",
}
GROUP_MEANINGS: dict[Group, str] = {
    "fires on it": "It answers to the concept. Other text may need it just as much.",
    "fires only on it": "It answers to the concept and is quiet elsewhere: cutting it costs other text little.",
    "causes it": "What the model predicts of the concept depends on it, by gradient or by cutting it and looking.",
    "learned to matter": "Gates were trained on the frozen model: the concept needs it and other text does not.",
    "control": "Nothing was found. Any other method has to beat this.",
}
_VERSIONS = "versions of ranking settings"
"""How often a run's settings were changed elsewhere than in these widgets: those with another key begin with them."""


def reset_settings(run: Run) -> None:
    """Let the widgets show what the run's settings name now."""
    versions = st.session_state.setdefault(_VERSIONS, {})
    versions[run.id] = versions.get(run.id, 0) + 1


def settings_key(run: Run) -> str:
    """Part of the key of every widget that shows how the run's neurons are ranked."""
    return f"{run.id} {st.session_state.get(_VERSIONS, {}).get(run.id, 0)}"


def ranking_name(ranking: OtherRanking) -> str:
    """A ranking's name for a person: method, place, and parameters that are not the defaults."""
    ranker = RANKERS[ranking.ranker]
    defaults = ranker.check().model_dump(mode="json")
    special = [
        f"{name.replace('_', ' ')} {value}" for name, value in ranking.parameters.items() if value != defaults[name]
    ]
    place = [] if ranker.needs_model else [ALIGNMENTS[ranking.alignment]]
    return ", ".join([ranker.title, *place, *special])


def choose_settings(run: Run) -> dict[str, Any]:
    """Site, alignment, method and its parameters as keys of neural_probing."""
    probing = run.config.neural_probing
    info, key = run.note("model"), settings_key(run)
    sites = list(info["shapes"]) if info else list(SITE_NAMES)
    left, right = st.columns([2, 3], gap="large")
    with left:
        site = st.selectbox(
            "Kind of neuron", sites, index=_place(sites, probing.site), key=f"site {key}",
            format_func=lambda name: SITE_NAMES[name],
            help="MLP: hidden units of the feed-forward layers. Heads: whole attention heads. "
            "Residual: dimensions of the stream that all layers read and write.",
        )  # fmt: skip
        alignment = st.radio(
            "Read the activation", list(ALIGNMENTS), index=_place(list(ALIGNMENTS), probing.alignment),
            format_func=lambda name: ALIGNMENTS[name], key=f"alignment {key}",
            help="A model decides to write a word one position before it: that is where its neurons do their work.",
        )  # fmt: skip
        protect = st.toggle(
            "Protect massive neurons", probing.protect_massive, key=f"protect {key}",
            help="A few neurons hold the whole text together with huge activations on its first token. "
            "Cutting one of them ruins every text, so they are put last.", wrap=True,
        )  # fmt: skip
        with st.expander("More"):
            skip = st.toggle(
                "Leave out the first position", probing.skip_first_position, key=f"skip {key}",
                help="Its activations are far larger than all others and say nothing about the concept.", wrap=True,
            )  # fmt: skip
            aggregation = st.selectbox(
                "Words of several tokens", list(AGGREGATIONS), index=_place(list(AGGREGATIONS), probing.aggregation),
                format_func=lambda name: AGGREGATIONS[name], key=f"aggregation {key}",
            )  # fmt: skip
    with right:
        ranker, parameters = choose_ranker(run)
    return {
        "site": site, "alignment": alignment, "protect_massive": protect, "skip_first_position": skip,
        "aggregation": aggregation, "ranker": ranker, "ranker_parameters": parameters,
    }  # fmt: skip


def _place(options: list[str], value: str) -> int:
    return options.index(value) if value in options else 0


def choose_ranker(run: Run) -> tuple[str, dict[str, Any]]:
    """The method and its parameters; methods that are not installed are shown with the command that adds them."""
    probing, key = run.config.neural_probing, settings_key(run)
    begun = RANKERS[probing.ranker if probing.ranker in RANKERS else DEFAULT_RANKER].group
    there = {ranker.group for ranker in RANKERS.values()}
    group = st.pills(
        "A neuron comes first that", [group for group in GROUPS if group in there], default=begun, required=True,
        key=f"group {key}", help="Methods answer different questions. Choose the question, then a method.", wrap=True,
    ) or begun  # fmt: skip
    st.caption(GROUP_MEANINGS[group])
    missing = {name: reason for name, ranker in RANKERS.items() if (reason := ranker.unavailable())}
    of_group = [name for name, ranker in RANKERS.items() if ranker.group == group]
    names = [name for name in of_group if name not in missing]
    name = st.radio(
        "Method", names, index=_place(names, probing.ranker), key=f"ranker {group} {key}",
        format_func=lambda name: RANKERS[name].title, captions=[RANKERS[name].answers for name in names],
    )  # fmt: skip
    for other in of_group:
        if other in missing:
            st.radio(
                "Not installed", [other], format_func=lambda name: RANKERS[name].title, captions=[missing[other]],
                index=None, disabled=True, key=f"missing {other}",
            )  # fmt: skip
    chosen = name or DEFAULT_RANKER
    known = probing.ranker_parameters if chosen == probing.ranker else {}
    return chosen, choose_parameters(RANKERS[chosen].params, known, key=f"{key} {chosen}")
