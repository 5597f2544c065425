"""A pruned tiny model with its recipe and a little text: what retraining is tried on."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from tests.tiny_models import save_tiny
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import bake
from unlearning_core.errors import Stopped
from unlearning_core.files import write_json
from unlearning_core.models.mapping import map_model
from unlearning_core.progress import Progress
from unlearning_core.training.job import TrainingJob

ROOT = Path(__file__).resolve().parents[2]
WORDS = "the cat sat on a chair near some bench and saw the small boat cross it before rain".split()


def texts(count: int, seed: int = 0) -> list[str]:
    """Sentences of 3 to 14 words."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(3, 15))) + "." for _ in range(count)]


def pruned(folder: Path, family: str = "llama", site: str = "mlp", dtype: str = "float32", **overrides: Any) -> Mask:
    """Write `folder`/pruned and `folder`/recipe; every third neuron of the site is cut."""
    from transformers import AutoModelForCausalLM

    base = save_tiny(family, folder / "base", **overrides)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    model_map = map_model(model)
    layers, width = model_map.require(site)
    mask = Mask.from_neurons(
        model_map.shapes, [(site, layer, i) for layer in range(layers) for i in range(layer % 3, width, 3)]
    )
    bake(model, mask, model_map)
    model.save_pretrained(folder / "pruned")
    for file in base.glob("token*"):
        (folder / "pruned" / file.name).write_bytes(file.read_bytes())
    Recipe(mask, str(base), {"ranker": "every third"}, 1 / 3).save(folder / "recipe")
    return mask


def make_job(folder: Path, output: str = "out", **changes: Any) -> TrainingJob:
    """A job on what `pruned` wrote; 24 training texts, 6 validation texts."""
    write_json(folder / "train.json", texts(24))
    write_json(folder / "validation.json", texts(6, seed=1))
    settings: dict[str, Any] = {
        "model_folder": folder / "pruned",
        "train_path": folder / "train.json",
        "output_folder": folder / output,
        "recipe_folder": folder / "recipe",
        "learning_rate": 5e-3,
        "batch_size": 4,
        "epochs": 2,
        "device": "cpu",
    }
    return TrainingJob(**settings | changes)


def run_python(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """A Python program in a process of its own, run in the checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


def weights(folder: Path | str) -> dict[str, np.ndarray]:
    """The tensors of a saved model, float32 or as they are."""
    return load_file(Path(folder) / "model.safetensors")


def largest_difference(one: Path | str, other: Path | str) -> float:
    """Over all weights of two saved models."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


def stop_at(step: int) -> Any:
    """A progress callback that stops the training after `step`."""

    def tell(progress: Progress) -> None:
        if progress.task == "retraining" and progress.done >= step:
            raise Stopped("enough")

    return tell


def launched(folder: Path, job: TrainingJob) -> tuple[list[Path], str]:
    """What a launcher is to run to train `job` in several processes (a program and its argument), and a free port."""
    write_json(folder / "job.json", job.values())
    (folder / "program.py").write_text(
        "import json, sys; from unlearning_core.training.job import TrainingJob;"
        "from unlearning_core.training.train import train; train(TrainingJob(**json.load(open(sys.argv[1]))))"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return [folder / "program.py", folder / "job.json"], str(free.getsockname()[1])
