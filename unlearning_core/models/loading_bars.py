"""transformers says how far it is through tqdm bars; here they reach our callbacks instead of the terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from unlearning_core.compat import make_transformers_bars_with, while_waiting
from unlearning_core.progress import Progress, ProgressCallback

_WAITING = Progress("waiting for another model that is being loaded", 0)

_listener: ContextVar[tuple[str, ProgressCallback] | None] = ContextVar("_listener", default=None)


@contextmanager
def reporting(task: str, progress: ProgressCallback) -> Iterator[None]:
    """While this is open, loops over tensors in this thread report to `progress` under the name `task`.

    So does a wait for another thread that builds a model, under a name of its own.

    The listener is a variable of the thread's context: other threads keep their own, or the usual bars.
    """
    _install()
    token = _listener.set((task, progress))
    try:
        with while_waiting(lambda: progress(_WAITING)):
            yield
    finally:
        _listener.reset(token)


@cache
def _install() -> None:
    make_transformers_bars_with(_bar)


def _bar(bar: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    listener = _listener.get()
    return bar(*args, **kwargs) if listener is None else _reported(args[0], *listener)


def _reported(items: Iterable[Any], task: str, progress: ProgressCallback) -> Iterator[Any]:
    """The tensors one by one, telling `progress`: counted in bytes where they know their size."""
    tensors = list(items)
    in_bytes = all(hasattr(tensor, "n_bytes") for tensor in tensors)
    sizes = [int(tensor.n_bytes) if in_bytes else 1 for tensor in tensors]
    unit = "bytes" if in_bytes else "tensors"
    done, total = 0, sum(sizes)
    for tensor, size in zip(tensors, sizes, strict=True):
        progress(Progress(task, done, total, unit))
        yield tensor
        done += size
    progress(Progress(task, done, total, unit))
