"""Proof: is the concept gone, what did it cost, does it come back? The verdict, what it rests on, attacks to try."""

import streamlit as st

from pages.components.current_run import current_run
from pages.components.frame import show
from pages.components.navigation import PROOF, edited_run, is_at_end, is_done
from pages.components.progress import show_errors
from pages.components.proof.answers_table import has_answers, show_answers
from pages.components.proof.attack_cards import show_attacks
from pages.components.proof.attack_evidence import attacks_to_see, show_evidence
from pages.components.proof.benchmarks import has_benchmarks, show_benchmarks
from pages.components.proof.checking import has_begun, how_it_ended, offer_check, reasons_of, watch
from pages.components.proof.inside import has_inside, show_inside
from pages.components.proof.verdict_view import big_line, by_state, of_never_knew
from unlearning_core.runs import proof
from unlearning_core.runs.run import Run


def main() -> None:
    """Draw the page."""
    st.title("Proof")
    st.markdown("Is the concept gone, what did it cost, does it come back? The verdict, and every attempt to break it.")
    run = current_run()
    # A check that has begun makes what the page would ask for.
    if run is None or not has_begun(run):
        run = edited_run()
    if run is None:
        return
    if proof.is_running(run):
        watch(run)
        show_verdict(run)
        return
    how_it_ended(run)
    with show_errors():
        show_verdict(run)
        verdict, reasons = run.verdict(), reasons_of(run)
        if is_done(run, PROOF):
            left, right = st.columns(2)
            with left:
                of_never_knew(verdict)
            with right.expander("Check it again"):
                offer_check(run, reasons)
        else:
            of_never_knew(verdict)
            offer_check(run, reasons)
        show_attacks(run, verdict, reasons)
    look_closer(run)


@st.fragment
def look_closer(run: Run) -> None:
    """In tabs, whatever there is of it: what attacks left, each answer, what is still inside, benchmarks."""
    with show_errors():
        tabs = {
            title: draw
            for title, there, draw in (
                ("The attacks", bool(attacks_to_see(run)), show_evidence),
                ("What they still answer", has_answers(run), show_answers),
                ("Is it still inside?", has_inside(run), show_inside),
                ("Well-known benchmarks", has_benchmarks(run), show_benchmarks),
            )
            if there
        }
        if not tabs:
            return
        shown = st.tabs(list(tabs), key=f"closer {run.id}", on_change="rerun")
        for tab, draw in zip(shown, tabs.values(), strict=True):
            with tab, show_errors():
                if tab.open:  # one that is closed costs nothing
                    draw(run)


def show_verdict(run: Run) -> None:
    """What the last check came to, if there was one."""
    verdict = run.verdict()
    if verdict is None:
        return
    if not is_at_end(run) or not is_done(run, PROOF):
        st.warning(
            "Settings, texts or models have changed since, or a part is missing: check it again before you rely on "
            "this verdict.",
            icon=":material/history:",
        )
    big_line(verdict)
    by_state(verdict)


show(main)
