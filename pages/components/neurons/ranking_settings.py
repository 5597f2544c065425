"""How the neurons are ranked: kind of neuron, where its activation is read, the method and its parameters."""

import typing
from collections.abc import Callable
from typing import Any, Literal

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

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
    "fires only on it": "It answers to the concept and is quiet on other text: cutting it costs little there.",
    "causes it": "What the model predicts of the concept depends on it, by gradient or by cutting it and looking.",
    "learned to matter": "Gates were trained on the frozen model: the concept needs it and other text does not.",
    "control": "Random order: the baseline to beat.",
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


def ranking_name(ranking: OtherRanking, usual: str | None = None) -> str:
    """A ranking's name for a person: method, place unless it is the `usual` one, parameters but for the defaults."""
    ranker = RANKERS[ranking.ranker]
    defaults = ranker.check().model_dump(mode="json")
    special = [
        f"{name.replace('_', ' ')} {value}" for name, value in ranking.parameters.items() if value != defaults[name]
    ]
    place = [] if ranker.needs_model or ranking.alignment == usual else [ALIGNMENTS[ranking.alignment]]
    return ", ".join([ranker.title, *place, *special])


def choose_settings(run: Run) -> dict[str, Any]:
    """Site, alignment, method and its parameters as keys of neural_probing."""
    probing = run.config.neural_probing
    info, key = run.note("model"), settings_key(run)
    sites = info["shapes"] if info else SITE_NAMES
    left, right = st.columns([2, 3], gap="large")
    with left:
        site = _choose(
            st.selectbox, "Kind of neuron", {site: SITE_NAMES[site] for site in sites}, probing.site, key=f"site {key}",
            help="MLP: hidden units of the feed-forward layers. Heads: whole attention heads. "
            "Residual: dimensions of the stream that all layers read and write.",
        )  # fmt: skip
        alignment = _choose(
            st.radio, "Read the activation", ALIGNMENTS, probing.alignment, key=f"alignment {key}",
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
            aggregation = _choose(
                st.selectbox, "Words of several tokens", AGGREGATIONS, probing.aggregation, key=f"aggregation {key}"
            )
    with right:
        ranker, parameters = _choose_ranker(run)
    return {
        "site": site, "alignment": alignment, "protect_massive": protect, "skip_first_position": skip,
        "aggregation": aggregation, "ranker": ranker, "ranker_parameters": parameters,
    }  # fmt: skip


def _choose(widget: Callable[..., Any], title: str, options: dict[str, str], value: str, **more: Any) -> str:
    """A name of `options`, shown by what they say, beginning with `value` or with the first."""
    start = list(options).index(value) if value in options else 0
    return widget(title, list(options), index=start, format_func=options.__getitem__, **more)


def _choose_ranker(run: Run) -> tuple[str, dict[str, Any]]:
    """The method and its parameters; methods that are not installed are shown with the command that adds them."""
    probing, key = run.config.neural_probing, settings_key(run)
    begun = RANKERS[probing.ranker if probing.ranker in RANKERS else DEFAULT_RANKER].group
    there = {ranker.group for ranker in RANKERS.values()}
    group = st.pills(
        "What puts a neuron first", [group for group in GROUPS if group in there], default=begun, required=True,
        key=f"group {key}", help="Methods answer different questions. Choose the question, then a method.", wrap=True,
    ) or begun  # fmt: skip
    st.caption(GROUP_MEANINGS[group])
    of_group = {name: ranker for name, ranker in RANKERS.items() if ranker.group == group}
    missing = {name: reason for name, ranker in of_group.items() if (reason := ranker.unavailable())}
    titles = {name: ranker.title for name, ranker in of_group.items() if name not in missing}
    chosen = _choose(
        st.radio, "Method", titles, probing.ranker, key=f"ranker {group} {key}",
        captions=[RANKERS[name].answers for name in titles],
    ) or DEFAULT_RANKER  # fmt: skip
    for name, reason in missing.items():
        st.radio(
            "Not installed", [RANKERS[name].title], captions=[reason], index=None, disabled=True, key=f"missing {name}"
        )
    known = probing.ranker_parameters if chosen == probing.ranker else {}
    return chosen, choose_parameters(RANKERS[chosen].params, known, key=f"{key} {chosen}")


def choose_parameters(model: type[BaseModel], known: dict[str, Any], key: str) -> dict[str, Any]:
    """A widget for each parameter of a method; values by name, beginning with those in `known`."""
    if not model.model_fields:
        return {}
    with st.expander("Parameters of the method"):
        return {
            name: _widget(name, field, known.get(name, field.default), f"{key} {name}")
            for name, field in model.model_fields.items()
        }


def _widget(name: str, field: FieldInfo, value: Any, key: str) -> Any:
    title, kind = name.replace("_", " ").capitalize(), field.annotation
    more: dict[str, Any] = {"help": field.description, "key": key}
    if typing.get_origin(kind) is Literal:
        return _choose(st.selectbox, title, {option: option for option in typing.get_args(kind)}, value, **more)
    if kind is bool:
        return st.toggle(title, bool(value), wrap=True, **more)
    if kind is int:
        return int(st.number_input(title, value=int(value), step=1, **more))
    if kind is float:
        return st.number_input(title, value=float(value), step=None, format="%g", **more)
    return st.text_input(title, str(value), **more)
