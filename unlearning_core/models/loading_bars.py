"""transformers says how far it is through tqdm bars; here they reach our callbacks instead of the terminal."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from unlearning_core.progress import Progress, ProgressCallback

_listener: ContextVar[tuple[str, ProgressCallback] | None] = ContextVar("_listener", default=None)
_lock = threading.Lock()
_installed = False


@contextmanager
def listening(task: str, progress: ProgressCallback) -> Iterator[None]:
    """While this is open, loops over tensors in this thread report to `progress` under the name `task`.

    Other threads keep their own listener, or the usual bars.
    """
    _install()
    token = _listener.set((task, progress))
    try:
        yield
    finally:
        _listener.reset(token)


def _install() -> None:
    global _installed
    with _lock:
        if _installed:
            return
        from transformers import modeling_gguf_pytorch_utils as converter
        from transformers.utils import logging

        logging.set_tqdm_hook(lambda bar, args, kwargs: _bar(bar, *args, **kwargs))
        # The loop that dequantises takes its bar from tqdm itself, past the hook.
        direct: Callable[..., Any] = converter.tqdm
        converter.tqdm = lambda *args, **kwargs: _bar(direct, *args, **kwargs)
        _installed = True


def _bar(bar: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    listener = _listener.get()
    if listener is None:
        return bar(*args, **kwargs)
    return _Reporting(args[0] if args else kwargs.get("iterable"), *listener)


class _Reporting:
    """What transformers uses of a tqdm bar, telling the callback: tensors counted in bytes where they know them."""

    def __init__(self, items: Iterable[Any] | None, task: str, progress: ProgressCallback) -> None:
        self._items = list(items) if items is not None else []
        self._task = task
        self._progress = progress

    def __iter__(self) -> Iterator[Any]:
        in_bytes = all(hasattr(item, "n_bytes") for item in self._items)
        sizes = [int(item.n_bytes) if in_bytes else 1 for item in self._items]
        unit = "bytes" if in_bytes else "tensors"
        done, total = 0, sum(sizes)
        for item, size in zip(self._items, sizes, strict=True):
            self._progress(Progress(self._task, done, total, unit))
            yield item
            done += size
        self._progress(Progress(self._task, done, total, unit))

    def __enter__(self) -> "_Reporting":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None
