"""What is used of other libraries' insides, where they offer no public way; tests/unit/test_compat.py watches each."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MakeBar = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Is given the class of a tqdm bar and what it would be called with; returns the bar, or what is iterated instead."""


def make_transformers_bars_with(make: MakeBar) -> None:
    """Let `make` build each progress bar of transformers, in every thread, from now on.

    transformers has a public hook for this. Only the loop that dequantises a GGUF file takes tqdm past it, by a name of
    its module, which is replaced (transformers 5.23).
    """
    from transformers import modeling_gguf_pytorch_utils as converter
    from transformers.utils import logging

    logging.set_tqdm_hook(make)
    bar: Callable[..., Any] = converter.tqdm
    converter.tqdm = lambda *args, **kwargs: make(bar, args, kwargs)


_BUILDING = threading.RLock()


@contextmanager
def building_a_model(waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Inside the `with` no other thread builds a model.

    transformers replaces methods of its classes and of torch while it builds one, and puts them back afterwards
    (transformers 5.23: `initialization.no_tie_weights` and its like). Of two threads at once, each puts back what it
    found, so that one's replacement stays for good: every model loaded later would have an untied, random head.

    Args:
        waiting: called again and again while another thread builds one; may raise Stopped.
    """
    while not _BUILDING.acquire(timeout=0.2):
        waiting()
    try:
        yield
    finally:
        _BUILDING.release()
