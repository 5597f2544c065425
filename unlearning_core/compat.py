"""What is used of other libraries' insides, where they offer no public way; tests/unit/test_compat.py watches each."""

from collections.abc import Callable
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
