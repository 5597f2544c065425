"""What surrounds every page: navigation, a sidebar that says where the visitor is, and errors as sentences."""

from collections.abc import Callable
from contextvars import ContextVar

import streamlit as st

from pages.components import visitor
from pages.components.current_run import close_run, current_run
from pages.components.demo.guide import guide, is_guided
from pages.components.lasting import set_aside_modules
from pages.components.navigation import PAGES, START, SUMMARY, icon_of
from pages.components.progress import show_errors, show_flash
from pages.components.run_summary import sidebar
from unlearning_core.files import ROOT
from unlearning_core.logs import quiet_libraries, start_app_log
from unlearning_core.openmp import wait_without_spinning

# Here, because app.py is not always run first (see `show`).
wait_without_spinning()

ICON = ROOT / "pages" / "icon.svg"
"""A file of ours: for an icon by its name each browser would ask a font server."""

FOCUS = ROOT / "pages" / "focus.css"
"""All the CSS there is: what the theme has no setting for."""

_framed: ContextVar[bool] = ContextVar("framed", default=False)


def frame() -> None:
    """Draw the frame and, in it, the page that the URL names."""
    st.set_page_config(page_title="Unlearning Workbench", page_icon=str(ICON), layout="wide")
    st.html(FOCUS)
    quiet_libraries()
    start_app_log()
    let_in = False
    # Fails closed: where it cannot be told what a visitor may do, nothing is drawn.
    with show_errors():
        let_in = visitor.is_let_in()
    if not let_in:
        return
    run = None
    # A place of their own: a message that goes must not move what is below it, or open expanders close.
    with st.container(), show_errors():
        show_flash()
        if visitor.asked_to_delete_all():
            close_run()
        run = current_run()
    page = st.navigation(
        [
            st.Page(
                one.file, title=one.title, icon=icon_of(run, one), url_path=one.title.lower(), default=one is START,
                visibility="visible" if one is not SUMMARY or is_guided(run) else "hidden",
            )
            for one in PAGES
        ]
    )  # fmt: skip
    with st.sidebar, show_errors():
        sidebar(run)
        visitor.in_sidebar()
    with show_errors():
        guide(run, page.title)
    token = _framed.set(True)
    try:
        with show_errors():
            page.run()
    finally:
        _framed.reset(token)
        set_aside_modules()


def show(main: Callable[[], None]) -> None:
    """Draw a page inside the frame; every page ends with this.

    A folder named pages makes Streamlit run a page file by itself, without app.py, when a freshly started server is
    first asked for that page (a refresh after a restart). The frame is then drawn from here, and calls the page again.
    """
    if _framed.get():
        main()
    else:
        frame()
