"""A new run: the ready-made experiment that fits a model, and its run once the model is loaded."""

from pages.components.current_run import changed, runs_root
from pages.components.model_cache import forget_models, how_to_load, model_of
from unlearning_core.config.reading import starter_config
from unlearning_core.config.schema import BaseModelSection, ExperimentConfig
from unlearning_core.models.sources.starters import offered
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.runs.naming import model_name
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning.experiment import OWN_SHARE, REAL_ENGLISH


def experiment_of(model: str) -> ExperimentConfig:
    """The experiment to begin with on `model`, which may be a starter's name or anything else."""
    return starter_config(model if model in offered() else REAL_ENGLISH)


def experiment(model: BaseModelSection) -> ExperimentConfig:
    """Settings for that model; all others are those of the experiment that fits it."""
    own = {} if model.base_model_path in offered() else {"neural_probing": {"prune_ratio": OWN_SHARE}}
    return changed(experiment_of(model.base_model_path), base_model=model.model_dump(), **own)


def start_run(config: ExperimentConfig, *, concept_is_chosen: bool = True) -> Run:
    """A new run with those settings among the others; named for its model alone where the concept comes later."""
    config = changed(config, output_dir=str(runs_root()))
    return create_run(config, runs_root(), concept_is_chosen=concept_is_chosen)


def check_model(model: BaseModelSection, progress: ProgressCallback) -> None:
    """Look at the model's description and size before anything is fetched or loaded.

    Raises:
        InputError: it is no causal language model that can be cut, is not whole, or does not fit in memory; says what
            to do.
    """
    from unlearning_core.models.devices import available, check_fits
    from unlearning_core.models.inspection import inspect_model

    progress(Progress("checking the model", 0))
    info = inspect_model(model.base_model_path, progress=progress, **how_to_load(model))
    if info.bytes_in_memory > available(info.device):
        forget_models()
    if model.device_map is not None or model.quantize is not None:
        return
    check_fits(model_name(info.source), info.bytes_in_memory, info.device, f"as {info.dtype}")


def load_and_start(config: ExperimentConfig, progress: ProgressCallback) -> Run:
    """Load the model of the settings, then begin a run with them."""
    with model_of(config.base_model, progress) as loaded:
        run = start_run(config, concept_is_chosen=False)
        run.write_note("model", loaded.info.to_dict())
    return run
