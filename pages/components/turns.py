"""Visitors who look at one model at once take turns: two texts written at a time take longer than one after the other.

Whoever comes first is done first, and a visitor has one place in the line however often the slider moves: a newer look
takes the place of the one that waits.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakKeyDictionary

import streamlit as st

from pages.components.compat import something_newer_waits

_ASK_EVERY = 0.05
"""Seconds between two looks at whether the visitor wants something else by now."""


class Line:
    """Who waits for one thing, in the order of coming; the first one has it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def turn(self, left: Callable[[], bool]) -> Iterator[bool]:
        """Wait; inside the `with` nobody else has it. Gives False, at once, where the one who waits has `left`."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.notify_all()
        try:
            yield self._has_come(ticket, left)
        finally:
            with self._changed:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _has_come(self, ticket: object, left: Callable[[], bool]) -> bool:
        with self._changed:
            while self._waiting[0] is not ticket:
                if left():
                    return False
                self._changed.wait(_ASK_EVERY)
        return True


class _Look:
    """One look of one visitor at a model: its turn begins when something has to be computed, and ends with it."""

    def __init__(self, line: Line) -> None:
        self._turn = line.turn(something_newer_waits)
        self.begun = False

    def begin(self) -> None:
        if not self.begun:
            self.begun = True
            if not self._turn.__enter__():
                st.stop()

    def end(self) -> None:
        if self.begun:
            self._turn.__exit__(None, None, None)


_look: ContextVar[_Look | None] = ContextVar("look", default=None)


@st.cache_resource(show_spinner=False)
def _lines() -> "tuple[WeakKeyDictionary[object, Line], threading.Lock]":
    return WeakKeyDictionary(), threading.Lock()


@contextmanager
def one_look(model: object) -> Iterator[None]:
    """Inside the `with` a page looks at `model`; from the first `my_turn` on nobody else computes with it."""
    lines, lock = _lines()
    with lock:
        line = lines.setdefault(model, Line())
    look = _Look(line)
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)
        look.end()


def my_turn() -> None:
    """Wait until it is this visitor's turn, where there is one to be had; the page ends here if they moved on."""
    look = _look.get()
    if look is not None:
        look.begin()
