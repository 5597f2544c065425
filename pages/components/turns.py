"""Visitors who look at one model at once: each in turn, and what one has had computed is there for the others.

As many looks are computed at a time as there are processor cores, in the order of coming: all at once would end all at
the end. A visitor has one place in the line however often the slider moves: a newer look takes the place of the one
that waits. What was computed depends on model, edit, texts and settings alone, and who asks for it has these.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import streamlit as st

from pages.components.compat import something_newer_waits

_ASK_EVERY = 0.05
"""Seconds between two looks at whether the visitor wants something else by now."""


_REMEMBERED = 300
"""Results of one model that are kept for whoever asks next, the latest ones."""


class Known(dict[Any, Any]):
    """Results by key; the oldest make room."""

    def __setitem__(self, key: object, value: Any) -> None:
        super().__setitem__(key, value)
        for old in list(self)[: max(0, len(self) - _REMEMBERED)]:
            self.pop(old, None)


class Line:
    """Who waits for one thing, in the order of coming; the first `at_once` have it."""

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def turn(self, left: Callable[[], bool]) -> Iterator[bool]:
        """Wait; inside the `with` it is had. Gives False, at once, where the one who waits has `left`."""
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
            while ticket not in list(self._waiting)[: self._at_once]:
                if left():
                    return False
                self._changed.wait(_ASK_EVERY)
        return True


class _Look:
    """One look of one visitor at a model: its turn begins when something has to be computed, and ends with it."""

    def __init__(self, line: Line, known: Known) -> None:
        self._turn = line.turn(something_newer_waits)
        self.begun = False
        self.known = known

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
def _lines() -> "tuple[WeakKeyDictionary[object, tuple[Line, Known]], threading.Lock]":
    return WeakKeyDictionary(), threading.Lock()


@contextmanager
def one_look(model: object) -> Iterator[None]:
    """Inside the `with` a page looks at `model`, by `shared`."""
    lines, lock = _lines()
    with lock:
        line, known = lines.setdefault(model, (Line(os.cpu_count() or 1), Known()))
    look = _Look(line, known)
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)
        look.end()


def shared(key: object, compute: Callable[[], Any]) -> Any:
    """What was computed for that key with the model that is looked at, by whomever; else computed in turn.

    The page ends here where its visitor has moved on before the turn came.

    Args:
        key: everything beside the model that the result depends on; a result is never None.
    """
    look = _look.get()
    if look is None:
        return compute()
    found = look.known.get(key)
    if found is None:
        look.begin()
        found = look.known.get(key)  # computed for another one meanwhile
    if found is None:
        found = look.known[key] = compute()
    return found
