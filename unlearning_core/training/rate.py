"""How fast trainings went on this machine, as their events tell or a few timed steps, and how long one will take.

What a step takes depends on the model's shape, the device and the number format, hardly on the text or on what the
model knows: a rate is remembered by those. An estimate counts the tokens of the steps exactly and adds what was spent
beside the steps (loading, evaluations, measurements); that the machine is as free as it was then is an assumption.
"""

import math
import os
import platform
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from unlearning_core.errors import WorkFailed
from unlearning_core.files import read_object
from unlearning_core.jobs.events import read_events
from unlearning_core.jobs.process import launch, wait
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.training.checkpoints import fingerprint
from unlearning_core.training.job import TrainingJob

TIMED_STEPS = 3
"""Steps that are timed, after one that warms up."""
_LEAST_STEPS = 3
"""Logged steps that a rate needs: the first one also pays for what the process sets up."""


@dataclass(frozen=True)
class Rate:
    """How fast one training went.

    Attributes:
        tokens_per_second: predicted tokens, during the optimizer steps.
        beside_seconds: what loading, evaluations and measurements took in all.
        batch_size: texts a step.
        steps: how many steps it comes from.
        source: the run it is remembered from, or None when it was measured for the purpose.
    """

    tokens_per_second: float
    beside_seconds: float
    batch_size: int
    steps: int
    source: str | None = None


@dataclass(frozen=True)
class TimeEstimate:
    """What a training will be: optimizer steps, predicted tokens, seconds from its start to the saved model."""

    steps: int
    tokens: int
    seconds: float
    rate: Rate


def estimate(
    lengths: Sequence[int], *, batch_size: int, epochs: float, max_steps: int | None, rate: Rate
) -> TimeEstimate:
    """The steps and tokens of a training on sequences of these lengths, and the time at that rate."""
    steps_a_pass = math.ceil(len(lengths) / batch_size)
    steps = max_steps or math.ceil(epochs * steps_a_pass)
    predicted = sum(length - 1 for length in lengths)
    tokens = round(predicted * steps / steps_a_pass)
    return TimeEstimate(steps, tokens, tokens / rate.tokens_per_second + rate.beside_seconds, rate)


def conditions(model_folder: str | Path, device: str, dtype: Any, objective: str = "text") -> dict[str, str]:
    """What a rate depends on: machine and threads, the model's shape, the device, the number format, what is learnt
    (`TrainingJob.pace`).
    """
    shape = {name: value for name, value in read_object(Path(model_folder) / "config.json").items() if name in _SHAPE}
    machine = [platform.node(), platform.machine(), platform.processor()]
    return {
        "machine": fingerprint(machine)[:16],
        "model": fingerprint(shape)[:16],
        "device": device,
        "threads": os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count()),
        "precision": str(dtype).removeprefix("torch."),
        "objective": objective,
    }


_SHAPE = {
    "model_type", "vocab_size", "hidden_size", "n_embd", "num_hidden_layers", "n_layer", "num_layers",
    "intermediate_size", "n_inner", "ffn_dim", "num_attention_heads", "n_head", "num_key_value_heads",
}  # fmt: skip


def remembered(trainings: Iterable[Path], wanted: dict[str, str], batch_size: int) -> Rate | None:
    """The rate of the first of these training folders (newest first) that ran under the `wanted` conditions.

    One with as many texts a step goes before one with another number. A wanted precision of "auto" is any.
    """
    other = None
    for folder in trainings:
        rate = rate_of(folder, wanted)
        if rate is not None and rate.batch_size == batch_size:
            return rate
        other = other or rate
    return other


def rate_of(folder: Path, wanted: dict[str, str]) -> Rate | None:
    """What the events of a training tell of its last session; None if it ran under other conditions or too briefly."""
    started: dict[str, Any] = {}
    begun: dict[str, Any] = {}
    points: list[dict[str, Any]] = []
    for event in read_events(folder):
        if event.get("state") == "starting":
            started = event
        elif event.get("state") == "running":
            begun, points = event, []
        elif event["kind"] == "train" and "elapsed" in event:
            points.append(event)
    told = {"objective": "text"} | begun.get("conditions", {})
    if len(points) < _LEAST_STEPS or any(told.get(name) != value for name, value in wanted.items() if value != "auto"):
        return None
    first, last = points[0], points[-1]
    tokens, seconds = last["tokens"] - first["tokens"], last["seconds"] - first["seconds"]
    if tokens <= 0 or seconds <= 0:
        return None
    beside = last["elapsed"] - last["seconds"]
    if started:
        beside += (datetime.fromisoformat(begun["time"]) - datetime.fromisoformat(started["time"])).total_seconds()
    steps = last["step"] - first["step"]
    return Rate(tokens / seconds, max(0.0, beside), begun["batch_size"], steps, folder.resolve().parent.name)


def measure_rate(job: TrainingJob, progress: ProgressCallback = silent) -> Rate:
    """Time `TIMED_STEPS` steps of `job` in a child process, so that the memory they need is given back.

    It takes seconds to a minute; nothing is saved and nothing is changed. `progress` may raise Stopped.

    Raises:
        InputError: something in the job cannot be used, or another retraining is running on the device.
        WorkFailed: the child failed; says its last line.
    """
    with tempfile.TemporaryDirectory() as scratch:
        values = job.values() | {"output_folder": scratch, "checkpoint_every": None}
        title = f"timing of {TIMED_STEPS} training steps"
        handle = launch(Path(scratch), f"{__package__}.train:time_job", values, title=title)
        try:
            return Rate(**wait(handle, progress))
        except WorkFailed as error:
            raise WorkFailed(
                f"The speed of the training could not be measured ({error}). It can be started all the same."
            ) from error
