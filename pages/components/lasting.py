"""What stays in memory for as long as the server runs is looked at once, not after each run of a page.

Streamlit collects garbage at the end of every run, holding the interpreter: over the modules of torch and transformers
that takes a third of a second, in which no word of the page reaches the browser. What `gc.freeze` sets aside is passed
over by every later collection; it is still freed as soon as nothing refers to it, unless it refers to itself.
"""

import gc
import sys

_MANY = 100
"""Modules imported since the last time, from which on it is worth while to set them aside."""

_counted = 0
"""Modules there were when that was done."""


def set_aside_modules() -> None:
    """Set aside what is in memory, where many modules were imported since that was last done."""
    global _counted
    if (there := len(sys.modules)) - _counted >= _MANY:
        _counted = there
        gc.collect(1)  # what the imports left behind; older garbage was collected after the run before
        gc.freeze()


def look_at_all() -> None:
    """Let the next collection look at everything again, before memory is wanted from what was dropped.

    A model that accelerate spreads over devices refers to itself: set aside, it would never be freed.
    """
    global _counted
    _counted = 0
    gc.unfreeze()
