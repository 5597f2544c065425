"""What every test shares: no hub, one thread, and the real models beside the checkout when they are there."""

import os
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from jaxtyping import install_import_hook

from unlearning_core.jobs.device_queue import VARIABLE

# The shapes in these signatures are checked at every call of a test; `Mask` checks its own array.
install_import_hook(
    [
        *(f"unlearning_core.activations.{name}" for name in (
            "accumulate", "alignment", "batches", "hooks", "massive", "reduce", "reservoir", "residuals",
            "statistics",
        )),
        *(f"unlearning_core.evaluation.{name}" for name in (
            "curves", "depth", "divergence", "linear_probe", "memorisation", "next_token", "patching", "ratio",
            "readout", "sampling", "targets", "truth_ratio",
        )),
        *(f"unlearning_core.edits.{name}" for name in ("hooks", "residual_map", "weights")),
        "unlearning_core.models.mapping",
    ],
    "beartype.beartype",
)  # fmt: skip

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared() -> Path | None:
    """The folder with real pretrained models and corpora, or None (said aloud) on a machine without it."""
    if SHARED.is_dir():
        return SHARED
    warnings.warn(f"{SHARED} is not here: this check on a real model did not run", stacklevel=2)
    return None


@pytest.fixture(scope="session", autouse=True)
def own_queue(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Trainings of one test process queue among themselves, not behind those of the processes beside it."""
    os.environ[VARIABLE] = str(tmp_path_factory.mktemp("queue"))
