"""The curves that a cut lies on: computed by a process of their own, drawn as they come, and what they say."""

import streamlit as st

from pages._marked_text import escaped
from unlearning_core.evaluation.curves import BUDGET, Verdict, verdict
from unlearning_core.evaluation.sweep import to_frame
from unlearning_core.progress import duration
from unlearning_core.pruning.settings import CutSettings
from unlearning_core.run_sweep import RunSweep, other_is_running
from unlearning_core.runs import Run
from unlearning_core.sweep_figure import sweep_curves

AT_ONCE = 120.0
"""Seconds up to which curves are computed without being asked for."""


def suggestion(run: Run, cut: CutSettings) -> float | None:
    """The ratio that the finished curves suggest; None while there are none, or where nothing is forgotten."""
    summary = RunSweep.of(run, cut).summary()
    return None if summary is None else summary["suggested_ratio"]


def curves(run: Run, cut: CutSettings, seconds_a_sentence: float) -> None:
    """The curves with the visitor's place on them, the verdict, and how far their computation is.

    Args:
        seconds_a_sentence: that measuring takes, to say how long the curves will.
    """
    st.subheader("What a larger or smaller cut would do")
    found = RunSweep.of(run, cut)
    seconds = seconds_a_sentence * 2 * found.sentences * found.settings.cuts
    if found.summary() is None and not found.begun and seconds <= AT_ONCE and not other_is_running(run):
        found.start()
    if other_is_running(run):
        _watch(run, cut)
        return
    if found.summary() is None:
        _offer(found, seconds)
    _draw(found, cut)


def _offer(found: RunSweep, seconds: float) -> None:
    """Start, or go on after a stop or a failure."""
    missing = 1 - len(found.points()) / found.settings.cuts
    if found.begun and (words := found.last_words()):
        st.info(f"The curves are not complete. {escaped(words)}", icon=":material/stop_circle:")
    else:
        st.markdown(
            "Cuts of 0.1 % to 20 %, from the top and the bottom of the ranking and at random, show whether the ranking "
            "found neurons that matter, and which share is enough."
        )
    left = duration(max(1.0, missing * seconds))
    word = "Go on with the curves" if found.begun else "Compute the curves"
    st.button(f"{word} (about {left})", icon=":material/show_chart:", key="start curves", on_click=found.start)


@st.fragment(run_every=1.0)
def _watch(run: Run, cut: CutSettings) -> None:
    found = RunSweep.of(run, cut)
    if not other_is_running(run):
        st.rerun()
    left, right = st.columns([5, 1], vertical_alignment="center")
    if found.is_running():
        done, total = len(found.points()), found.settings.cuts
        text = f"computing the curves: {done} of {total} cuts measured" if done else "computing the curves: loading"
        left.progress(min(1.0, done / total), text=text)
        if right.button("Stop", icon=":material/stop_circle:", key="stop curves"):
            found.stop()
            left.caption("Stopping; what was measured is kept.")
    else:
        left.info("Curves of other settings of this run are being computed; these come next.")
    _draw(found, cut)


def _draw(found: RunSweep, cut: CutSettings) -> None:
    points = found.points()
    if not points:
        return
    table, summary = to_frame(points), found.summary()
    judged = verdict(table, cut.ratio)
    if judged is not None:
        _say(judged)
    suggested = None if summary is None else summary["suggested_ratio"]
    st.plotly_chart(
        sweep_curves(table, ratio=cut.ratio, suggested=suggested), key="sweep curves",
        alt="Change of the loss on the concept and elsewhere by the share of neurons cut",
    )  # fmt: skip
    if summary is None:
        return
    sign = "" if summary["budget_reached"] else "at least "
    knee = (
        f"The suggested {100 * suggested:.2g} % is the smallest cut that gets 95 % of that."
        if suggested is not None
        else "No cut within that budget forgets anything, so no ratio is suggested."
    )
    st.caption(
        f"Selectivity {sign}{summary['selectivity']:.2f} nats: so much is forgotten when the loss elsewhere has risen "
        f"by {BUDGET} (dashed line). {knee} Measured on {summary['sentences']} held-out sentences; bars are 95 % "
        "intervals, the grey band holds every random draw of as many neurons from the same layers."
    )


def _say(found: Verdict) -> None:
    if found.kind == "nothing cut":
        return
    gone = (
        f"Cutting these {found.neurons:,} neurons changes the concept loss by {found.forget:+z.2f} nats, as many "
        f"random ones of the same layers by {found.random_forget:+z.2f} ({found.random_low:+z.2f} to "
        f"{found.random_high:+z.2f} in {found.draws} draws)."
    )
    price = f"The loss elsewhere changes by {found.retain:+z.2f}, at random by {found.random_retain:+z.2f}."
    if found.kind == "no better than random":
        st.warning(f"**No better than chance.** {gone} {price}", icon=":material/casino:")
    elif found.kind == "forgets cheaply":
        st.success(
            f"**These neurons matter to the concept, and to little else.** {gone} {price}", icon=":material/check:"
        )
    else:
        st.warning(
            f"**These neurons matter to the concept, and to the rest too.** {gone} {price} More than {BUDGET} is a "
            "price that shows in the text.", icon=":material/balance:",
        )  # fmt: skip
