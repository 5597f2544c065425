"""A pass that does not fit in memory is made again in smaller batches instead of failing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from unlearning_core import distributed
from unlearning_core.errors import WorkFailed

Found = TypeVar("Found")

log = logging.getLogger(__name__)


def where_it_fits(run: Callable[[int], Found], budget: int) -> Found:
    """`run(budget)`; where memory runs out, with half the budget and so on, down to texts one by one.

    What runs out of memory is told from other errors by accelerate, whose `find_executable_batch_size` this is. Under a
    launcher all processes make the same batches, so none takes smaller ones by itself: there the error passes.

    Args:
        run: is given how many padded tokens stand side by side; begins anew each time.
        budget: to begin with.

    Raises:
        WorkFailed: not even one text fits.
    """
    from accelerate.utils import find_executable_batch_size
    from accelerate.utils.memory import should_reduce_batch_size

    if distributed.world_size() > 1:
        return run(budget)
    # Accelerate clears memory before its first attempt too: half a second of looking through all objects, too much for
    # what nearly always fits.
    try:
        return run(budget)
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
    tried = [budget]

    def half() -> int:
        # A budget of 1 gives a text to a batch; what does not fit then fits nowhere.
        tried.append(0 if tried[-1] == 1 else tried[-1] // 2 if tried[-1] > 32 else 1)
        if tried[-1]:
            log.warning("Memory ran out at %d tokens side by side; going on with %d", *tried[-2:])
        return tried[-1]

    def attempt(size: int) -> Found:
        return run(size)

    try:
        found: Found = find_executable_batch_size(attempt, starting_batch_size=half(), reduce_batch_size_fn=half)()
    except RuntimeError as error:
        if tried[-1] == 0 or should_reduce_batch_size(error):
            raise WorkFailed(
                "Memory ran out with one text at a time. Choose a smaller model, the number format bfloat16 (dtype), "
                "or shorter texts."
            ) from error
        raise
    return found
