"""The models in memory, shared by all visitors and never changed; whoever uses one holds it with `with`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.components.lasting import reading_modules, search_everything
from pages.components.progress import run_with_progress
from pages.components.states import PRUNED
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.errors import InputError
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.models.cache import ModelCache
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.models.loading import LoadedModel

MOST = 2
"""Models kept: a base and the retrained one that is compared with it."""


@st.cache_resource(show_spinner=False)
def _models(never_knew: bool) -> ModelCache:
    """A model that never knew the concept has a cache of its own: it must not push out those it is compared with."""
    return ModelCache(1 if never_knew else MOST)


def model_of(
    section: BaseModelSection, progress: ProgressCallback = silent, *, never_knew: bool = False
) -> "AbstractContextManager[LoadedModel]":
    """The model that the settings name, loaded if it is not in memory; raises InputError when it cannot be had."""

    def load() -> "LoadedModel":
        search_everything()
        with reading_modules():
            from unlearning_core.models.loading import load_model

            bits, how = section.quantize, how_to_load(section)
            return load_model(section.base_model_path, progress=progress, quantize=bits, **how)

    return _models(never_knew).hold(_key(section), load, progress)


def how_to_load(section: BaseModelSection) -> dict[str, Any]:
    """What `load_model` and `inspect_model` are told beside where the model is."""
    return section.model_dump(include={"revision", "device", "dtype", "device_map", "allow_pickle", "extra_tokens"})


def _key(section: BaseModelSection) -> tuple[object, ...]:
    from unlearning_core.models.sources.resolve import fingerprint

    source = section.base_model_path
    return fingerprint(source, section.revision), source, section.quantize, *how_to_load(section).values()


def base_model(run: Run, progress: ProgressCallback = silent) -> "AbstractContextManager[LoadedModel]":
    """The run's base model."""
    return model_of(run.config.base_model, progress)


def base_is_loaded(run: Run) -> bool:
    """Whether `base_model` would return at once."""
    return _models(False).has(_key(run.config.base_model))


def base_is_at_hand(run: Run) -> bool:
    """Whether the run's base model is in memory, after loading it under a bar if need be."""
    # There whether it is needed or not: what follows keeps its place on the page.
    place = st.empty()
    if base_is_loaded(run):
        return True
    with place.container():
        loaded = run_with_progress("Loading the model", lambda bar: load_base(run, bar), only_one=None)
    if loaded:
        place.empty()
    return loaded


def load_base(run: Run, progress: ProgressCallback) -> None:
    """Load the run's base model into memory, and keep its facts in the run for visits without it."""
    with base_model(run, progress) as loaded:
        run.write_note("model", loaded.info.to_dict())


@contextmanager
def state_model(
    run: Run, state: str, progress: ProgressCallback = silent
) -> "Iterator[tuple[LoadedModel, Recipe | None]]":
    """The model of a state (or never_knew), and the recipe whose edits it has to be used under.

    Raises:
        InputError: it is not there yet, or cannot be had; the settings name no model that never knew.
    """
    base = run.config.base_model
    if state == NEVER_KNEW:
        other = run.config.never_knew
        if other.model is None:
            raise InputError("The settings of this run name no model that never knew the concept (never_knew.model).")
        base = base.model_copy(update={"base_model_path": other.model, "revision": other.revision})
    elif state not in ("base", PRUNED):
        saved = {"base_model_path": str(run.model(state)), "revision": None, "allow_pickle": False}
        base = base.model_copy(update=saved)
    with model_of(base, progress, never_knew=state == NEVER_KNEW) as loaded:
        # The base under the recipe's edits is the same as the pruned model that is saved, without loading that too.
        yield loaded, run.recipe(loaded.map.shapes) if state == PRUNED else None


def forget_models() -> None:
    """Free the memory of all models that nobody uses now; a step that needs one loads it again."""
    search_everything()
    for never_knew in (False, True):
        _models(never_knew).clear()
