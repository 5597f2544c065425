"""Which ready-made experiment fits a model: a starter has its own, any other model takes the one on real English."""

from unlearning_core.config import ExperimentConfig, starter_config
from unlearning_core.models.sources.starters import offered

REAL_ENGLISH = "smollm2"


def experiment_of(model: str) -> ExperimentConfig:
    """The experiment to begin with on `model`, which may be a starter's name or anything else."""
    return starter_config(model if model in offered() else REAL_ENGLISH)
