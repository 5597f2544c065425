"""Long work on a page: a bar with rate and time left, a Stop button that works, and errors as sentences."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from pages.components import visitor
from pages.components.compat import LeavingPage, clicked_in_fragment
from pages.components.field_names import told
from pages.components.marked_text import escaped
from unlearning_core.compat import is_panic
from unlearning_core.errors import InputError, Stopped, WorkbenchError
from unlearning_core.progress import Progress, ProgressCallback, describe_progress

log = logging.getLogger(__name__)

_FLASH = "flash"
_STOPPED = "Stopped. What was finished is kept; the same button goes on from there."
_EVERY = 0.2
"""Seconds between two drawings of the bar."""

_PATIENCE = 10.0
"""Seconds that new work waits for work that was just stopped: Streamlit starts anew before the old run has ended."""


@contextmanager
def show_errors() -> Iterator[None]:
    """Show what goes wrong inside the `with` as a sentence with a next step, never as a traceback."""
    try:
        yield
    except WorkbenchError as error:
        st.error(told(str(error)), icon=":material/error:")
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):  # Streamlit ends a page's run by an exception too
            raise
        log.exception("a page failed")
        st.error(
            f"Something unexpected went wrong ({type(error).__name__}). Nothing in the run was changed by it; the "
            "details are in logs/app.log. Reload the page to go on.",
            icon=":material/error:",
        )


def flash(text: str, stopped: bool = False) -> None:
    """Show `text` once the page has been drawn anew: good news, or that something was stopped."""
    st.session_state[_FLASH] = (text, stopped)


def show_flash() -> None:
    """Show the message of the last `flash`, once.

    Good news goes by itself: a box would stay until the whole page is drawn anew, over whatever is done in a fragment.
    """
    text, stopped = st.session_state.pop(_FLASH, ("", False))
    if stopped:
        st.info(escaped(text), icon=":material/stop_circle:")
    elif text:
        st.toast(escaped(text), icon=":material/check_circle:", duration="long")


class _Bar:
    """A progress callback that draws a bar; whatever the visitor does meanwhile stops the work."""

    left = False
    """Whether the visitor did something in a fragment of the page."""

    def __init__(self, title: str) -> None:
        self._bar = st.progress(0.0, text=escaped(title))
        self._drawn = 0.0
        self._task = ""
        self._started = (time.monotonic(), 0.0)

    def __call__(self, update: Progress) -> None:
        now = time.monotonic()
        if update.task != self._task:
            self._task, self._started = update.task, (now, update.done)
        elif now - self._drawn < _EVERY:
            return
        self._drawn = now
        share = min(1.0, update.done / update.total) if update.total else 0.0
        try:
            text = describe_progress(update, now - self._started[0], self._started[1])
            self._bar.progress(share, text=escaped(visitor.sentence(text)))
        except LeavingPage as leaving:
            raise Stopped(_STOPPED) from leaving
        if clicked_in_fragment():
            self.left = True
            raise Stopped(_STOPPED)


@st.cache_resource(show_spinner=False)
def _locks() -> dict[str, threading.Lock]:
    return {}


@contextmanager
def _one_at_a_time(name: str | None) -> Iterator[None]:
    if name is None:
        yield
        return
    lock = _locks().setdefault(name, threading.Lock())
    if not lock.acquire(timeout=_PATIENCE):
        raise InputError(
            "This run is still being worked on, in another window or by work that is just being stopped. "
            "Try again in a moment."
        )
    try:
        yield
    finally:
        lock.release()


def run_with_progress(title: str, work: Callable[[ProgressCallback], object], *, only_one: str | None) -> bool:
    """Do `work` under a bar with a Stop button; whether it was finished. Errors are shown as sentences.

    Args:
        title: what is being done.
        work: is given the progress callback.
        only_one: what two windows must not work on at once (a run's id); None for what they may.
    """
    bar = None
    with st.container(border=True), show_errors():
        try:
            with _one_at_a_time(only_one):
                st.button(
                    "Stop", key=f"stop {title}", icon=":material/stop_circle:", on_click=flash, args=(_STOPPED, True)
                )
                bar = _Bar(title)
                with visitor.page_work(bar) as told_too:
                    work(told_too)
                return True
        except Stopped as stopped:
            if isinstance(stopped.__cause__, LeavingPage):
                raise stopped.__cause__ from None
            if bar is None or not bar.left:
                raise
    return False


def run_and_redraw(
    title: str, work: Callable[[ProgressCallback], object], *, only_one: str | None, message: str = ""
) -> None:
    """Do `work` as `run_with_progress` does; once it is finished the page is drawn anew and says `message`."""
    if run_with_progress(title, work, only_one=only_one):
        if message:
            flash(message)
        st.rerun()
