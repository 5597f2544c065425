"""Loaded models, shared by all visitors and never changed; only the latest few stay in memory."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import streamlit as st

from unlearning_core.config import BaseModelSection
from unlearning_core.errors import InputError
from unlearning_core.files import write_json
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.edits.mask import Mask
    from unlearning_core.models.loading import LoadedModel

MOST = 2
"""Models kept: a base and the retrained one that is compared with it."""


class ModelCache:
    """Models by what they are; the one that was used longest ago makes room for a new one."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._models: OrderedDict[tuple[Any, ...], LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def holds(self, key: tuple[Any, ...]) -> bool:
        """Whether that model is in memory."""
        return key in self._models

    def clear(self) -> None:
        """Keep none; whoever still uses one keeps it until done."""
        with self._lock:
            self._models.clear()

    def take(self, key: tuple[Any, ...], progress: ProgressCallback) -> "LoadedModel":
        """The model of that key: (identity, source, revision, device, dtype, allow_pickle)."""
        from unlearning_core.models.loading import load_model

        with self._lock:
            if key in self._models:
                self._models.move_to_end(key)
                return self._models[key]
            while len(self._models) >= self._most:
                self._models.popitem(last=False)
            _, source, revision, device, dtype, allow_pickle = key
            loaded = load_model(
                source, revision=revision, device=device, dtype=dtype, allow_pickle=allow_pickle, progress=progress
            )
            self._models[key] = loaded
            return loaded


@st.cache_resource(show_spinner=False)
def _model_cache() -> ModelCache:
    return ModelCache()


@st.cache_resource(show_spinner=False)
def _never_knew_cache() -> ModelCache:
    """For a model that never knew the concept: it must not push out those that it is compared with."""
    return ModelCache(1)


def model_of(section: BaseModelSection, progress: ProgressCallback = silent) -> "LoadedModel":
    """The model that the settings name, loaded if it is not in memory; raises InputError when it cannot be had."""
    return _model_cache().take(_key(section), progress)


def forget_models() -> None:
    """Free the memory of all models; a step that needs one loads it again."""
    _model_cache().clear()
    _never_knew_cache().clear()


def base_model(run: Run, progress: ProgressCallback = silent) -> "LoadedModel":
    """The run's base model."""
    return model_of(run.config.base_model, progress)


def base_is_loaded(run: Run) -> bool:
    """Whether `base_model` would return at once."""
    return _model_cache().holds(_key(run.config.base_model))


def retrained_model(run: Run, progress: ProgressCallback = silent) -> "LoadedModel":
    """The run's retrained model.

    Raises:
        InputError: it is not there yet.
    """
    from unlearning_core.models.sources.resolve import fingerprint

    folder = RunContext(run).model_folder("retrained")
    if not folder.is_dir():
        raise InputError("This run has no retrained model yet. Start the retraining on the Retrain page.")
    base = run.config.base_model
    key = (fingerprint(str(folder)), str(folder), None, base.device, base.dtype, False)
    return _model_cache().take(key, progress)


def never_knew_model(run: Run, progress: ProgressCallback = silent) -> "LoadedModel":
    """The model of the run's settings that never knew the concept.

    Raises:
        InputError: the settings name none, or it cannot be had.
    """
    section, base = run.config.never_knew, run.config.base_model
    if section.model is None:
        raise InputError("The settings of this run name no model that never knew the concept (never_knew.model).")
    named = base.model_copy(update={"base_model_path": section.model, "revision": section.revision})
    return _never_knew_cache().take(_key(named), progress)


def state_model(run: Run, stage: str, progress: ProgressCallback = silent) -> "tuple[LoadedModel, Mask | None]":
    """The model of a stage (base, pruned, retrained or never_knew), and the mask under which it has to be used."""
    if stage == "retrained":
        return retrained_model(run, progress), None
    if stage == "never_knew":
        return never_knew_model(run, progress), None
    loaded = base_model(run, progress)
    if stage == "base":
        return loaded, None
    from unlearning_core.edits.recipe import Recipe

    # The pruned stage is the base under the kept mask: the same edit as the saved model, without loading that too.
    return loaded, Recipe.load(run.folder / "recipe", loaded.map.shapes).mask


def keep_facts(run: Run, loaded: "LoadedModel") -> None:
    """The model's facts in the run folder, where a later visit finds them without loading it."""
    write_json(run.folder / "model.json", loaded.info.to_dict())


def _key(base: BaseModelSection) -> tuple[Any, ...]:
    from unlearning_core.models.sources.resolve import fingerprint

    identity = fingerprint(base.base_model_path, base.revision)
    return (identity, base.base_model_path, base.revision, base.device, base.dtype, base.allow_pickle)


def execute(run: Run, until: str, progress: ProgressCallback) -> None:
    """Bring the run up to date through the stage `until`, on the shared base model."""
    from unlearning_core.runs import background
    from unlearning_core.runs.pipeline import execute as execute_stages

    if background.is_running(run):
        raise InputError("This run is being retrained at the moment. Wait for it, or stop it on the Retrain page.")
    execute_stages(run, progress, until=until, context=RunContext(run, progress, base=base_model(run, progress)))
