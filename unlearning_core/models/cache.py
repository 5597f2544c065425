"""Loaded models shared by everyone who works in this process: loaded once, held while they are used."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unlearning_core.errors import Stopped
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

_ASK_EVERY = 0.2
"""Seconds between two reports of somebody who waits for a model that another one loads."""


@dataclass
class _Entry:
    """A model in memory, or on its way there."""

    model: "Future[LoadedModel]" = field(default_factory=Future)
    users: int = 0
    """How many hold it now, whoever loads it or waits for it counted."""
    leaves: bool = False
    """Whether it is dropped as soon as nobody holds it."""


class ModelCache:
    """Models by key. The lock is held for looking up alone, never while a model is loaded.

    A model that somebody holds stays. Of those that nobody holds so many are kept that there are `most` in all; the
    one that was used longest ago makes room. Where more than `most` are held at once, all of them stay until released.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, key: Hashable) -> bool:
        """Whether `hold` would return at once."""
        with self._lock:
            entry = self._entries.get(key)
            return entry is not None and entry.model.done()

    def clear(self) -> None:
        """Keep none: a model that somebody holds is dropped as soon as it is released."""
        with self._lock:
            for entry in self._entries.values():
                entry.leaves = True
            self._make_room()

    @contextmanager
    def hold(
        self, key: Hashable, load: "Callable[[], LoadedModel]", progress: ProgressCallback = silent
    ) -> "Iterator[LoadedModel]":
        """The model of that key for as long as the `with` lasts, loaded by `load` if it is not in memory.

        Args:
            load: called once however many ask; when it fails everyone who waits is told, and the next one tries again.
            progress: told while another one loads it; may raise Stopped.

        Raises:
            Exception: what `load` raised.
        """
        entry = self._acquire(key, load, progress)
        try:
            yield entry.model.result()
        finally:
            self._release(entry)

    def _acquire(self, key: Hashable, load: "Callable[[], LoadedModel]", progress: ProgressCallback) -> _Entry:
        while True:
            with self._lock:
                entry, first = self._entries.get(key), False
                if entry is None:
                    self._make_room(1)
                    entry, first = self._entries.setdefault(key, _Entry()), True
                self._entries.move_to_end(key)
                entry.users += 1
            try:
                if first:
                    entry.model.set_result(load())
                    return entry
                while not entry.model.done():
                    progress(Progress("waiting for the model, which is being loaded already", 0))
                    with suppress(TimeoutError):
                        entry.model.exception(_ASK_EVERY)
                failure = entry.model.exception()
                if failure is None:
                    return entry
                # Whoever loads may stop: that ends the work of nobody else, and the first who waited loads.
                if isinstance(failure, Exception) and not isinstance(failure, Stopped):
                    raise failure
                self._release(entry)
            except BaseException as error:
                if first:
                    with self._lock:
                        del self._entries[key]
                    entry.model.set_exception(error)
                self._release(entry)
                raise

    def _release(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            self._make_room()

    def _make_room(self, more: int = 0) -> None:
        """Drop models that nobody holds until there are `most` with the `more` that come; needs the lock."""
        for key, entry in list(self._entries.items()):
            if not entry.users and (entry.leaves or len(self._entries) + more > self._most):
                del self._entries[key]
