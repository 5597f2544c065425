"""The learning rate, on the Retrain page: three that are known to do, by the size of the model, or one's own."""

import math

import streamlit as st

from unlearning_core.runs.run import Run

OWN = "Own number"

TINY = 50_000_000
"""Parameters up to which a model learns well at ten times the rate of a larger one."""

_FOR_TINY = {"Gentle": 1e-4, "Usual": 3e-4, "Strong": 1e-3}
_FOR_LARGER = {"Gentle": 1e-5, "Usual": 3e-5, "Strong": 1e-4}
"""The usual ones are those of the starters' experiments (3.5 and 135 million parameters)."""


def choose_rate(run: Run) -> str:
    """The rate as it was chosen or typed; of what was typed nothing is checked yet."""
    now = run.config.retraining.learning_rate
    parameters = (run.note("model") or {}).get("parameters")
    presets = _FOR_TINY if parameters is not None and parameters <= TINY else _FOR_LARGER
    known = next((name for name, rate in presets.items() if math.isclose(rate, now)), OWN)
    chosen = st.segmented_control(
        "Learning rate", [*presets, OWN], default=known, required=True, key=f"rate {run.id}",
        format_func=lambda name: name if name == OWN else f"{name}: {written(presets[name])}",
        help="How far each step moves the weights. Gentle takes more steps and forgets less of what the model knows; "
        "strong is quick and may ruin it.",
    )  # fmt: skip
    if chosen in presets:
        return written(presets[chosen])
    return st.text_input(
        "Own learning rate", written(now), key=f"own rate {run.id}", width=240, help="A number such as 2e-5."
    )


def written(rate: float) -> str:
    """A rate in the shortest way that people write it: 3e-5, 2.5e-4."""
    digits, _, power = f"{rate:.6e}".partition("e")
    return f"{float(digits):g}e{int(power)}"
