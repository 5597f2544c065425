"""How many threads torch computes with, where a step is too small to be worth more than one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 50_000_000
"""Multiplications up to which a step is done before a second thread has been woken: SmallWorld's (3.5 million weights)
with up to 14 texts. There a second thread costs a fifth more processor time and saves none that a clock would show."""


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Inside the `with`, this thread computes by itself if one step takes at most `SMALL` multiplications."""
    before = torch.get_num_threads()
    if multiplications > SMALL or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
