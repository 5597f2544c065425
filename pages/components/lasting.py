"""What stays in memory for as long as the server runs is searched for garbage once, not with each page.

Streamlit searches all of memory at the end of every run, holding the interpreter: over the modules of torch and
transformers that takes a third of a second, in which no word of the page reaches the browser. What `gc.freeze` sets
aside is passed over by every later search; it is still freed as soon as nothing refers to it, unless it refers to
itself.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MANY = 100
"""Modules imported since the last time, from which on it is worth while to set them aside."""

_USUAL, _RARE = gc.get_threshold()[0], 50_000
"""New objects after which Python searches the latest ones for garbage."""

_counted = 0
"""Modules there were when they were last set aside."""


def set_aside_modules() -> None:
    """Set aside what is in memory, where many modules were imported since that was last done."""
    global _counted
    if (there := len(sys.modules)) - _counted >= _MANY:
        _counted = there
        gc.collect(1)  # what the imports left behind; older garbage was found after the run before
        gc.freeze()


def search_everything() -> None:
    """Let the next search look at everything again, before memory is wanted from what was dropped.

    A model that accelerate spreads over devices refers to itself: set aside, it would never be freed.
    """
    global _counted
    _counted = 0
    gc.unfreeze()


@contextmanager
def reading_modules() -> Iterator[None]:
    """Inside the `with`, garbage is searched for rarely: modules are all new objects, and no garbage.

    As often as usual, that is a quarter of the time that importing torch and loading a small model take.
    """
    gc.set_threshold(_RARE, *gc.get_threshold()[1:])
    try:
        yield
    finally:
        gc.set_threshold(_USUAL, *gc.get_threshold()[1:])
