"""Benchmarks: what a state of the model scores in a task of the evaluation harness, kept by task and state.

They are asked for (`unlearn benchmark`) and not part of the path.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.methods.registry import NEVER_KNEW, method_of_state
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.stages.proof import save_frames
from unlearning_core.runs.stages.stage import Stage, Summary
from unlearning_core.runs.store import digest

if TYPE_CHECKING:
    from unlearning_core.evaluation.benchmarks import Harness

KIND = "benchmark"
VERSION = 1
"""Raised when the same inputs give other numbers."""


@dataclass(frozen=True)
class Asked:
    """A task, group or tag of the harness and how it is asked.

    Attributes:
        name: of the task.
        limit: examples of each task; None: all.
        shots: solved examples before each question; None: as the task has it.
        content: what it is made of: the harness's version, of a person's own task its files.
    """

    name: str
    limit: int | None
    shots: int | None
    content: str

    @property
    def identity(self) -> str:
        """The same for the same task, asked in the same way."""
        return digest([VERSION, self.name, self.limit, self.shots, self.content])


def benchmark_stages(asked: Iterable[Asked], states: Iterable[str], harness: "Harness") -> tuple[Stage, ...]:
    """A stage a state and task, by state: each model is loaded once."""
    tasks = tuple(asked)
    return tuple(_stage(task, state, harness) for state in states for task in tasks)


def step_of(task: str, state: str) -> str:
    """The name of the stage."""
    return f"{KIND} {task} {state}"


def weights_of(context: RunContext, state: str) -> str:
    """What the model in that state is: the same for the same weights, in whatever run.

    Raises:
        InputError: the model that the settings name cannot be had and was never seen.
    """
    section, twin = context.config.base_model, context.config.never_knew
    if state == NEVER_KNEW:
        assert twin.model is not None
        return digest([context.model_fingerprint(twin.model, twin.revision), section.extra_tokens, section.dtype])
    made = method_of_state(state)
    by = None if made is None else context.run.fingerprint(made.name)
    return digest([context.base_fingerprint, section.dtype, by])


def _stage(asked: Asked, state: str, harness: "Harness") -> Stage:
    made = method_of_state(state)
    return Stage(
        step_of(asked.name, state), _title(asked, state), () if made is None else (made.name,),
        (f"benchmarks/{asked.name}/{state}",), _inputs(asked, state), _run(asked, state, harness),
    )  # fmt: skip


def _title(asked: Asked, state: str) -> str:
    return f"{asked.name}: {state.replace('_', ' ')}"


def _inputs(asked: Asked, state: str) -> Callable[[RunContext], Any]:
    return lambda context: {"task": asked.identity, "weights": weights_of(context, state)}


def _run(asked: Asked, state: str, harness: "Harness") -> Callable[[RunContext, Path], Summary]:
    def run(context: RunContext, folder: Path) -> Summary:
        frames = harness.measure(
            asked.name,
            context.model(state),
            limit=asked.limit,
            shots=asked.shots,
            title=_title(asked, state),
            progress=context.progress,
        )
        save_frames(folder / "benchmarks" / asked.name / state, frames)
        return {"task": asked.identity, "weights": weights_of(context, state), "limit": asked.limit}

    return run
