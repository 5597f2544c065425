"""Concept unlearning in causal language models: find the neurons, cut them, retrain, measure.

Importing the package loads no torch: heavy imports live in the functions that need them. `load` begins the path in a
notebook (`unlearning_core.notebook`).
"""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unlearning_core.notebook import load as load

__version__ = "0.1.0"

# transformers and peft import bitsandbytes where it is installed, and it warns, in every process and whether it is used
# or not, of a kernel that it does without, and of its cast to float16.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def __getattr__(name: str) -> Any:
    """`load`, imported when it is first asked for."""
    if name == "load":
        from unlearning_core.notebook import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
