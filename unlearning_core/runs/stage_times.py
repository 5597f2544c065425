"""How long the next stages of a run will take, told before they are begun.

From what the same stages took on the same base model here before. Where there is no such run, from what the starter's
own experiment took on two idle cores; what this run's finished stages took tells how much slower this machine is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from unlearning_core.errors import WorkbenchError
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import finished_stages
from unlearning_core.runs.proof import racers
from unlearning_core.runs.proof_evidence import RACE
from unlearning_core.runs.proof_standing import standing
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.registry import stages_of

STARTERS: Mapping[str, Mapping[str, float]] = {
    "smallworld": {
        "label": 0.8, "rank": 12.3, "measure base": 0.7, "questions base": 3.8, "distance base": 3.5, "prune": 1.1,
        "distance pruned": 3.3, "measure pruned": 0.7, "questions pruned": 3.2, "filter": 0.3, "retrain": 28.0,
        "distance retrained": 3.7, "measure retrained": 0.7, "questions retrained": 3.7, "report": 0.1,
    },
    "smollm2": {
        "label": 0.6, "rank": 98.0, "measure base": 19.0, "questions base": 48.0, "prune": 7.5,
        "measure pruned": 21.0, "questions pruned": 44.0, "filter": 0.6, "retrain": 305.0, "measure retrained": 22.0,
        "questions retrained": 50.0, "report": 0.1,
    },
}  # fmt: skip
"""Seconds of the stages of a starter's experiment, measured on two cores: idle, but for the 40 steps of `retrain`.

Those of SmolLM2 are of its demo, with a browser beside; `slowness` corrects both as soon as a stage is done.
"""

RACE_SECONDS: Mapping[str, Mapping[str, float]] = {
    "smallworld": {"retrained": 7.0, "never_knew": 8.0},
    "smollm2": {"retrained": 145.0},
}
"""Seconds of the quick race of a starter's states, likewise, told from a slower machine by its `slowness`.

Those of other models are told from what measuring took.
"""

_RUNS = 20
"""The newest runs that are looked at."""

_LEAST = 2.0
"""Seconds of finished stages from which the pace of this machine is told: shorter ones are mostly chance."""


@dataclass(frozen=True)
class Wait:
    """About so many seconds, and what that is told from: runs on this machine, or the starter's on two cores."""

    seconds: float
    source: Literal["here", "two cores"]


def wait_until(run: Run, until: str) -> Wait | None:
    """How long the stages through `until` that are not done yet will take; None where nothing tells it."""
    done = finished_stages(run)
    stages = [stage for stage in stages_of(run.config) if stage.applies(RunContext(run))]
    names = [stage.name for stage in stages]
    if until not in names:
        return None
    to_do = [name for name in names[: names.index(until) + 1] if name not in done]
    took = _taken(run)
    for source, known in (("here", _earlier(run)), ("two cores", STARTERS.get(run.config.base_model.base_model_path))):
        if known is not None and all(name in known for name in to_do):
            seconds = sum(known[name] for name in to_do) * slowness(took, known)
            return Wait(seconds, "here" if source == "here" else "two cores")
    return None


def wait_for_race(run: Run) -> Wait | None:
    """How long `proof.race` will take, likewise; None where nothing tells it."""
    model, states = run.config.base_model.base_model_path, racers(run)
    if (known := RACE_SECONDS.get(model)) is not None:
        seconds = sum(known[state] for state in states if state in known)
        return Wait(seconds * slowness(_taken(run), STARTERS[model]), "two cores")
    told = standing(run).time([RACE], quick=True)
    return None if told is None or not told.stages else Wait(told.seconds * len(states) / told.stages, "here")


def slowness(took: Mapping[str, float], known: Mapping[str, float]) -> float:
    """How many times longer stages took than they are known to; 1 where too little is done to tell."""
    both = took.keys() & known.keys()
    here, there = sum(took[name] for name in both), sum(known[name] for name in both)
    return here / there if here >= _LEAST and there > 0 else 1.0


def _taken(run: Run) -> dict[str, float]:
    """Seconds of the run's stages that were made for it and not found in the store."""
    steps = run.status()["stages"]
    return {
        name: float(step["seconds"])
        for name, step in steps.items()
        if step.get("state") == "finished" and step.get("seconds") and not step.get("taken_from")
    }


def _earlier(run: Run) -> dict[str, float] | None:
    """Median seconds of each stage in the newest other runs of these settings' models; None where there is none."""
    found: dict[str, list[float]] = {}
    wanted = _settings(run)
    for other in _others(run):
        try:
            if _settings(other) == wanted:
                for name, seconds in _taken(other).items():
                    found.setdefault(name, []).append(seconds)
        except WorkbenchError:  # damaged: it tells nothing
            continue
    return {name: median(seconds) for name, seconds in found.items()} or None


def _others(run: Run) -> Sequence[Run]:
    return [other for other in list_runs(run.folder.parent)[:_RUNS] if other.id != run.id]


def _settings(run: Run) -> object:
    """What decides how long its stages take."""
    config = run.config
    keys = {"sentences", "ranker", "ranker_parameters", "max_concept_sentences", "max_retain_sentences"}
    return (
        config.base_model.base_model_path,
        config.neural_probing.model_dump(include=keys),
        config.retraining.model_dump(),
        config.evaluation.model_dump(),
    )
