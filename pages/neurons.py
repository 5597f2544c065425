"""Neurons: rank them by how much they carry the concept, and look at the ranking."""

from typing import Any

import pandas as pd
import streamlit as st

from pages._frame import show
from pages._ranker_parameters import choose_parameters
from pages._ranking_view import explore
from pages._run_in_url import changed, current_run
from pages._shared_models import execute
from pages._steps import finished_stages, needs, next_step
from pages._working import carry_out, in_sentences, say
from unlearning_core.figures import SITE_NAMES, score_histogram
from unlearning_core.rankers.registry import DEFAULT_RANKER, GROUPS, RANKERS, Group
from unlearning_core.runs import Run
from unlearning_core.work import Work

PAGE = "pages/neurons.py"
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


def main() -> None:
    """Draw the page."""
    st.title("Neurons")
    st.markdown("Which neurons carry the concept? A ranking puts those first that matter most for it.")
    run = current_run()
    if not needs(run, "pages/concept.py") or run is None:
        return
    settings = choose_settings(run)
    if st.button("Rank the neurons", type="primary", icon=":material/hub:"):
        run.save_config(changed(run.config, neural_probing=settings))
        if carry_out("Ranking neurons", lambda bar: execute(run, "rank", bar), only_one=run.id):
            say("The neurons are ranked.")
            st.rerun()
    if "rank" in finished_stages(run):
        with in_sentences():
            st.divider()
            show_ranking(run)
            next_step(PAGE)


def choose_settings(run: Run) -> dict[str, Any]:
    """Site, alignment, method and its parameters as keys of neural_probing."""
    probing = run.config.neural_probing
    info = run.read_json("model.json")
    sites = list(info["shapes"]) if info else list(SITE_NAMES)
    left, right = st.columns([2, 3], gap="large")
    with left:
        site = st.selectbox(
            "Kind of neuron", sites, index=_place(sites, probing.site), key=f"site {run.id}",
            format_func=lambda name: SITE_NAMES[name],
            help="MLP: hidden units of the feed-forward layers. Heads: whole attention heads. "
            "Residual: dimensions of the stream that all layers read and write.",
        )  # fmt: skip
        alignment = st.radio(
            "Read the activation", list(ALIGNMENTS), index=_place(list(ALIGNMENTS), probing.alignment),
            format_func=lambda name: ALIGNMENTS[name], key=f"alignment {run.id}",
            help="A model decides to write a word one position before it: that is where its neurons do their work.",
        )  # fmt: skip
        protect = st.toggle(
            "Protect massive neurons", probing.protect_massive, key=f"protect {run.id}",
            help="A few neurons hold the whole text together with huge activations on its first token. "
            "Cutting one of them ruins every text, so they are put last.", wrap=True,
        )  # fmt: skip
        with st.expander("More"):
            skip = st.toggle(
                "Leave out the first position", probing.skip_first_position, key=f"skip {run.id}",
                help="Its activations are far larger than all others and say nothing about the concept.", wrap=True,
            )  # fmt: skip
            aggregation = st.selectbox(
                "Words of several tokens", list(AGGREGATIONS), index=_place(list(AGGREGATIONS), probing.aggregation),
                format_func=lambda name: AGGREGATIONS[name], key=f"aggregation {run.id}",
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
    probing = run.config.neural_probing
    begun = RANKERS[probing.ranker if probing.ranker in RANKERS else DEFAULT_RANKER].group
    there = {ranker.group for ranker in RANKERS.values()}
    group = st.pills(
        "A neuron comes first that", [group for group in GROUPS if group in there], default=begun, required=True,
        key=f"group {run.id}", help="Methods answer different questions. Choose the question, then a method.",
    ) or begun  # fmt: skip
    st.caption(GROUP_MEANINGS[group])
    missing = {name: reason for name, ranker in RANKERS.items() if (reason := ranker.unavailable())}
    of_group = [name for name, ranker in RANKERS.items() if ranker.group == group]
    names = [name for name in of_group if name not in missing]
    name = st.radio(
        "Method", names, index=_place(names, probing.ranker), key=f"ranker {group} {run.id}",
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
    return chosen, choose_parameters(RANKERS[chosen].params, known, key=f"{run.id} {chosen}")


def show_ranking(run: Run) -> None:
    """What the ranking found, to explore; all scores, and the protected neurons."""
    ranking = Work(run).ranking
    summary = run.status()["stages"]["rank"]["summary"]
    row = st.container(horizontal=True, gap="large")
    row.metric("Neurons ranked", f"{len(ranking):,}", width="content")
    row.metric("Tokens read", f"{summary['tokens']:,}", width="content")
    row.metric("Protected", summary["protected"], help="Massive neurons, ranked last.", width="content")
    explore(run)
    with st.expander("All scores, and the protected neurons"):
        site = str(ranking["site"].iloc[0])
        st.plotly_chart(score_histogram(ranking, site), key="histogram", alt="How many neurons have which score")
        _massive(run)


def _massive(run: Run) -> None:
    massive = pd.read_parquet(run.folder / "massive.parquet")
    if massive.empty:
        st.caption("No neuron of this model has a massive activation.")
        return
    st.markdown("**Massive neurons**: what they put out at the first position, and elsewhere.")
    st.dataframe(massive, hide_index=True)


show(main)
