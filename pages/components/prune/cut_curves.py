"""The curves that a cut lies on: computed by a process of their own, drawn as they come, and what they say."""

import math
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.field_names import told
from pages.components.neurons.ranking_settings import ranking_name
from pages.components.progress import show_errors
from pages.components.prune.cut_settings import on_slider
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.evaluation.curves import BUDGET, RandomComparison, compare_with_random
from unlearning_core.evaluation.ratio import NATS_NOTE
from unlearning_core.evaluation.sweep import to_frame
from unlearning_core.figures.sweep import MOST_OTHERS, sweep_curves
from unlearning_core.progress import duration
from unlearning_core.runs.rankings import kept_rankings
from unlearning_core.runs.run import Run
from unlearning_core.runs.sweep import RunSweep, other_is_running

AT_ONCE = 120.0
"""Seconds up to which curves are computed without being asked for."""


def curves(run: Run, cut: CutSettings, seconds_a_sentence: float) -> None:
    """The curves with the visitor's place on them, the verdict, and how far their computation is.

    Args:
        seconds_a_sentence: that measuring takes, to say how long the curves will.
    """
    st.subheader("What a larger or smaller cut would do", help=NATS_NOTE)
    own, others = RunSweep.of(run, cut), _others(run, cut)
    wanted = {"": own} | others
    missing = {name: found for name, found in wanted.items() if found.summary() is None}
    seconds = {name: seconds_a_sentence * 2 * found.sentences * found.cuts for name, found in missing.items()}
    for name, found in missing.items():
        if not found.begun and seconds[name] <= AT_ONCE and visitor.starts_unasked() and not other_is_running(run):
            _start(found)
    if other_is_running(run):
        _watch(run, cut, wanted)
        return
    for name, found in missing.items():
        _offer(found, name, seconds[name])
    _draw(own, cut, others)


def _others(run: Run, cut: CutSettings) -> dict[str, RunSweep]:
    """By name, the sweeps of the rankings that the visitor wants beside the run's own."""
    kept = {ranking_name(other): other for other in kept_rankings(run)}
    if not kept:
        st.caption("Rankings that this one is compared with on the Neurons page can be drawn here too.")
        return {}
    chosen = st.multiselect(
        "Also draw", list(kept), max_selections=MOST_OTHERS, placeholder="other rankings", key=f"also draw {run.id}",
        help="What cutting the first neurons of another ranking would do: a better ranking forgets more for the same "
        "loss on other text. Rankings come here once they were compared with this one on the Neurons page.",
    )  # fmt: skip
    return {name: RunSweep.of(run, cut, kept[name].path) for name in chosen if name in kept}


def _offer(found: RunSweep, name: str, seconds: float) -> None:
    """Start, or go on after a stop or a failure."""
    missing = 1 - len(found.points()) / found.cuts
    of_what = f"the curve of {name}" if name else "the curves"
    if found.begun and (words := found.last_words()):
        whole = f"The curve of {name} is" if name else "The curves are"
        st.info(f"{whole} not complete. {told(words)}", icon=":material/stop_circle:")
    elif not name:
        st.markdown(
            "Cuts of 0.1 % to 20 %, from the top and the bottom of the ranking and at random, show whether the ranking "
            "found neurons that matter, and which share is enough."
        )
    left = duration(max(1.0, missing * seconds))
    word = f"Go on with {of_what}" if found.begun else f"Compute {of_what}"
    st.button(
        f"{word} (about {left})",
        icon=":material/show_chart:",
        key=f"start curves {name}",
        on_click=_start,
        args=(found,),
    )


def _start(found: RunSweep) -> None:
    with show_errors():
        found.start(visitor.curve_limits())


@st.fragment(run_every=1.0)
def _watch(run: Run, cut: CutSettings, wanted: dict[str, RunSweep]) -> None:
    if not other_is_running(run):
        st.rerun()
    left, right = st.columns([5, 1], vertical_alignment="center")
    running = next(((name, found) for name, found in wanted.items() if found.is_running()), None)
    if running is not None:
        name, found = running
        done, total = len(found.points()), found.cuts
        of_what = f"the curve of {name}" if name else "the curves"
        how_far = f"{done} of {total} cuts measured" if done else "loading"
        left.progress(min(1.0, done / total), text=f"computing {of_what}: {how_far}")
        if right.button("Stop", icon=":material/stop_circle:", key="stop curves"):
            found.stop()
            left.caption("Stopping; what was measured is kept.")
    else:
        left.info("Curves of other settings of this run are being computed; these come next.")
    _draw(wanted[""], cut, {name: found for name, found in wanted.items() if name})


def _draw(found: RunSweep, cut: CutSettings, others: dict[str, RunSweep]) -> None:
    points = found.points()
    measured = {name: to_frame(rows) for name, other in others.items() if (rows := other.points())}
    if not points and not measured:
        return
    table, summary = to_frame(points), found.summary()
    judged = compare_with_random(table, cut.ratio)
    if judged is not None:
        _say(judged, beside_rows=bool(cut.token_rows.strength))
    suggested = None if summary is None else summary["suggested_ratio"]
    st.plotly_chart(
        sweep_curves(table, ratio=cut.ratio, suggested=suggested, others=measured), key="sweep curves",
        alt="Change of the loss on the concept and on other text by the share of neurons cut",
    )  # fmt: skip
    if summary is None:
        return
    knee = (
        f"The suggested {100 * on_slider(suggested):.3g} % is about the smallest cut that gets 95 % of that."
        if suggested is not None
        else "No cut within that budget forgets anything, so no ratio is suggested."
    )
    st.caption(
        f"Selectivity {_selectivity(summary)}: so much is forgotten when the loss on other text has "
        f"risen by {BUDGET} (dashed line). {knee} Measured on {summary['sentences']} held-out sentences; bars are 95 % "
        "intervals, the grey band holds every random draw of as many neurons from the same layers."
    )
    finished = {name: figures for name, other in others.items() if (figures := other.summary()) is not None}
    if finished:
        each = "; ".join(f"**{name}** {_selectivity(figures)}" for name, figures in finished.items())
        st.caption(f"Selectivity of the other rankings, cut from the top: {each}.")


def _selectivity(summary: dict[str, Any]) -> str:
    return f"{'' if summary['budget_reached'] else 'at least '}{summary['selectivity']:.2f} nats"


def _say(found: RandomComparison, *, beside_rows: bool) -> None:
    if found.kind == "nothing cut":
        return
    cutting = "With the token rows reset, cutting" if beside_rows else "Cutting"
    gone = (
        f"{cutting} these {found.neurons:,} neurons changes the concept loss by {found.forget:+z.2f} nats, as many "
        f"random ones of the same layers by {found.random_forget:+z.2f} ({found.random_low:+z.2f} to "
        f"{found.random_high:+z.2f} in {found.draws} draws)."
    )
    price = f"The loss on other text changes by {found.retain:+z.2f}, at random by {found.random_retain:+z.2f}"
    price += "." if math.isnan(found.neighbour) else f"; that on its neighbours by {found.neighbour:+z.2f}."
    if found.kind == "no better than random":
        st.warning(f"**No better than chance.** {gone} {price}", icon=":material/casino:")
    elif found.kind == "forgets cheaply":
        but = " but its neighbours'" if found.neighbour > BUDGET else ""
        matter = f"**These neurons matter to the concept, and to little else{but}.**"
        st.success(f"{matter} {gone} {price}", icon=":material/check:")
    else:
        st.warning(
            f"**These neurons matter to the concept, and to other text too.** {gone} {price} More than {BUDGET} is a "
            "price that shows in the text.", icon=":material/balance:",
        )  # fmt: skip
