"""Which run the visitor is looking at: its id lives in the URL, everything else in the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components import visitor
from unlearning_core.config.reading import build_config
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.runs.listing import open_run
from unlearning_core.runs.run import Run

_KEY = "run"


def runs_root() -> Path:
    """Where the visitor's run folders are made: `runs/`, or the environment's UNLEARNING_RUNS, or a part of it."""
    return visitor.root()


def current_run() -> Run | None:
    """The run that the URL names, put back into it after a change of page, which empties the URL.

    Raises:
        InputError: the URL names a run that is not there.
    """
    named = st.query_params.get(_KEY) or st.session_state.get(_KEY)
    if not named:
        return None
    try:
        run = open_run(named, runs_root())
        _ = run.config  # a page needs it at every step: damaged settings are told once, here
    except InputError:
        close_run()
        raise
    show_run(run)
    return run


def show_run(run: Run) -> None:
    """From now on the visitor looks at `run`."""
    st.session_state[_KEY] = run.id
    if st.query_params.get(_KEY) != run.id:
        st.query_params[_KEY] = run.id


def close_run() -> None:
    """The visitor looks at no run."""
    st.session_state.pop(_KEY, None)
    st.query_params.pop(_KEY, None)


def changed(config: ExperimentConfig, **sections: Any) -> ExperimentConfig:
    """`config` with keys of its sections replaced, checked; a value that is no dict replaces a key at the top.

    Raises:
        InputError: a value is out of range, or nothing that a visitor may ask for; names the field.
    """
    values = config.model_dump()
    for name, change in sections.items():
        values[name] = values[name] | change if isinstance(change, dict) else change
    return visitor.settings(build_config(values, origin="These settings"))


def by_results(*stages: str) -> dict[str | type[Any], Callable[[Any], Any]]:
    """How Streamlit's caches tell runs apart (hash_funcs): by folder and the results of these stages."""
    return {Run: lambda run: (str(run.folder), *map(run.fingerprint, stages))}


def keep_upload(run: Run, upload: Any) -> str:
    """Keep an uploaded file in the run and return its path, so that a refresh or a headless run finds it."""
    visitor.check_room()
    return str(run.keep_input(visitor.upload_name(upload), upload.getvalue()).resolve())
