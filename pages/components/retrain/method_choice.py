"""What is done to the pruned model, on the Retrain page: retraining, or another method of the registry."""

from typing import Any

import streamlit as st

from pages.components.current_run import changed
from pages.components.marked_text import escaped
from pages.components.neurons.ranking_settings import choose_parameters
from unlearning_core.methods.method import Method
from unlearning_core.methods.registry import CANDIDATE, METHODS, methods_of
from unlearning_core.runs.run import Run

_ELSEWHERE = ("prune", CANDIDATE)
"""Methods that have a page or a command of their own."""


def choose_method(run: Run) -> tuple[Method, dict[str, Any]]:
    """The method and its own parameters; nothing is asked while there is one method only."""
    offered = [method for method in METHODS.values() if method.name not in _ELSEWHERE]
    now = {method.name: parameters for method, parameters in methods_of(run.config)}
    if len(offered) == 1:
        return offered[0], {}
    first = next((place for place, method in enumerate(offered) if method.name in now), 0)
    chosen = st.selectbox(
        "What is done to the pruned model", offered, first, format_func=lambda method: method.title,
        key=f"method {run.id}",
    )  # fmt: skip
    st.caption(
        f"{escaped(chosen.sentence)} It takes {escaped(chosen.cost)}. It starts from the pruned model; a config.json "
        "can start it from the base."
    )
    if chosen.section is not None:
        return chosen, {}
    known = now[chosen.name].model_dump() if chosen.name in now else {}
    return chosen, choose_parameters(chosen.parameters, known, f"{chosen.name} {run.id}")


def save_method(run: Run, method: Method, parameters: dict[str, Any]) -> None:
    """Keep the choice in the run; raises InputError where a parameter is out of range."""
    named = {"name": method.name, "parameters": parameters}
    methods = None if method.name == "retrain" else [{"name": "prune"}, named]
    config = changed(run.config, methods=methods)
    methods_of(config)
    run.save_config(config)
