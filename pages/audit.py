"""Audit: has a model that somebody else made forgotten a concept? Two models, the words, and the whole evaluation."""

import streamlit as st

from pages.components.audit.audit_form import Audit, fill_in, make_run
from pages.components.current_run import show_run
from pages.components.frame import show
from pages.components.navigation import PROOF
from pages.components.progress import run_with_progress, show_errors
from pages.components.work import check_in_background
from unlearning_core.progress import ProgressCallback


def main() -> None:
    """Draw the page."""
    st.title("Audit")
    st.markdown(
        "Somebody says that a model has forgotten a concept. Name that model and the one it was made of: both are "
        "asked, measured and attacked in the same way as the models that are made here."
    )
    filled = fill_in()
    whole, quick = st.columns(2)
    asked = whole.button("Audit it", type="primary", icon=":material/fact_check:", width="stretch")
    look = quick.button(
        "Quick look", icon=":material/bolt:", width="stretch",
        help="With about a quarter of the questions, texts and steps: wider intervals.",
    )  # fmt: skip
    st.caption(
        "It keeps running when this page is closed. Minutes for a tiny model; half an hour and more for one of a "
        "hundred million parameters without a graphics card."
    )
    if asked or look:
        with show_errors():
            begin(filled(), quick=look)


def begin(audit: Audit, *, quick: bool) -> None:
    """Make the run, start its check in the background, and go where it is shown."""

    def work(bar: ProgressCallback) -> None:
        run = make_run(audit, bar)
        show_run(run)
        check_in_background(run, quick=quick)

    if run_with_progress("Preparing the audit", work, only_one=None):
        st.switch_page(PROOF.file)


show(main)
