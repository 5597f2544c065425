"""How far the evaluation of a run is: what is measured and still true, what cannot be, and how long the rest takes.

The time is told from what the same parts took on the same model here before; where there is none, from how long the
base of this run took to be measured on the path, by ratios that were found on SmallWorld and SmolLM2.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from unlearning_core.errors import WorkbenchError
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.methods.registry import CONTROL, states_of
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.material import cannot
from unlearning_core.runs.pipeline import fingerprint, is_finished
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.proof import VERDICT, proof_stages

Depth = Literal["full", "quick"]

QUICK_SHARE, _QUICK_SHARES = 0.25, {"relearn": 0.1, "losses": 1.0}
"""Of the time of the whole evaluation, that of a quick look, and of parts of which it is another share; about."""

_OF_MEASURING = {"losses": 5.0, "questions": 3.0, "writing": 0.5, "memorisation": 2.0, "depth": 3.0, "readout": 2.0,
                 "relearn": 100.0}  # fmt: skip
_ATTACK = 6.0
"""Seconds of a part of one state, for a second that measuring the base on the path took."""


def measured(run: Run) -> dict[str, Depth]:
    """By stage ("questions pruned", ..., "verdict"): whether its result is of the whole or of a quick look.

    Only results that belong to the settings as they are now.
    """
    context, found = RunContext(run), dict[str, Depth]()
    finished = {name for name, step in run.status()["stages"].items() if step.get("state") == "finished"}
    # The whole last: what is the same in a quick look is called whole.
    for quick in (True, False):
        for stage in proof_stages(context, quick=quick):
            try:
                if stage.name in finished and is_finished(run, stage, fingerprint(stage, context)):
                    found[stage.name] = "quick" if quick else "full"
            except (WorkbenchError, OSError):  # its source is gone: not up to date
                continue
    return found


def is_current(run: Run) -> bool:
    """Whether the run's verdict, and everything that it is drawn from, belongs to the settings as they are now."""
    there, known = measured(run), run.status()["stages"]
    drawn_from = [name for name, step in known.items() if _part(name) in PARTS and step.get("state") == "finished"]
    return VERDICT in there and all(name in there for name in drawn_from)


def reasons(run: Run) -> dict[str, str]:
    """Parts that cannot be measured of the last state of the run, and why; reads all texts and questions.

    Raises:
        InputError: one of them cannot be read.
    """
    context = RunContext(run)
    last = states_of(context.config)[-1]
    found = {part.name: cannot(part, last, context) for part in PARTS.values()}
    return {name: why for name, why in found.items() if why is not None}


@dataclass(frozen=True)
class ProofTime:
    """How long an evaluation will take.

    Attributes:
        seconds: about.
        stages: how many measurements that are.
        source: whether the same model was evaluated here before, or it is a guess.
    """

    seconds: float
    stages: int
    source: Literal["earlier", "guess"]


@dataclass(frozen=True)
class Standing:
    """How far an evaluation is, and what is known of the time of its rest; plain values, looked up once.

    Attributes:
        measured: what is up to date (`measured`).
        stages: all measurements of an evaluation, in their order.
        earlier: seconds of a part of one state, on average, in evaluations of the same base model here.
        of_path: seconds of the run's own stages "measure base" and "retrain".
    """

    measured: Mapping[str, Depth]
    stages: Sequence[str]
    earlier: Mapping[tuple[str, Depth], float]
    of_path: Mapping[str, float]

    def time(
        self,
        parts: Collection[str] | None = None,
        *,
        quick: bool = False,
        without: Collection[str] = (),
        skipped: Collection[str] = (),
    ) -> ProofTime | None:
        """How long what is still to be measured will take; None where nothing is known to tell it from.

        Args:
            parts: names of parts; None: all.
            without: parts that cannot be measured (`reasons`).
            skipped: states that are not measured.
        """
        asked: Depth = "quick" if quick else "full"
        to_do = [
            _part(name)
            for name in self.stages
            if _asked_for(_part(name), parts) and _part(name) not in without and _state(name) not in skipped
            and self.measured.get(name) not in ("full", asked)
        ]  # fmt: skip
        told = [_of_earlier(self.earlier, part, asked) for part in to_do]
        seconds = [
            known if known is not None else self._guess(part, quick) for part, known in zip(to_do, told, strict=True)
        ]
        if None in seconds:
            return None
        return ProofTime(
            sum(value for value in seconds if value is not None), len(to_do), "guess" if None in told else "earlier"
        )

    def _guess(self, part: str, quick: bool) -> float | None:
        if part == CONTROL:
            return self.of_path.get("retrain")
        base = self.of_path.get("measure base")
        return None if base is None else base * _OF_MEASURING.get(part, _ATTACK) * (_share(part) if quick else 1.0)


def standing(run: Run) -> Standing:
    """How far the evaluation of the run is."""
    steps = run.status()["stages"]
    of_path = {name: steps.get(name, {}).get("seconds") for name in ("measure base", "retrain")}
    return Standing(
        measured=measured(run),
        stages=[stage.name for stage in proof_stages(RunContext(run)) if stage.name != VERDICT],
        earlier=_earlier(run),
        of_path={name: seconds for name, seconds in of_path.items() if seconds is not None},
    )


def _asked_for(part: str, parts: Collection[str] | None) -> bool:
    """Whether it is among the parts; the control is retrained for what is lost beside it."""
    return parts is None or part in parts or (part == CONTROL and "losses" in parts)


def _part(stage: str) -> str:
    return stage.partition(" ")[0]


def _state(stage: str) -> str:
    return stage.partition(" ")[2]


def _earlier(run: Run) -> dict[tuple[str, Depth], float]:
    """Seconds of a part of one state, on average, in the runs here that have the same base model."""
    seconds: dict[tuple[str, Depth], list[float]] = {}
    model = run.config.base_model.base_model_path
    for other in list_runs(run.folder.parent):
        try:
            verdict = other.verdict()
            if verdict is None or other.config.base_model.base_model_path != model:
                continue
        except (WorkbenchError, ValueError):  # damaged: it tells nothing
            continue
        depth: Depth = "quick" if verdict["quick"] else "full"
        for name, step in other.status()["stages"].items():
            if (_part(name) in PARTS or name == CONTROL) and step.get("seconds"):
                seconds.setdefault((_part(name), depth), []).append(step["seconds"])
    return {key: fmean(values) for key, values in seconds.items()}


def _of_earlier(earlier: Mapping[tuple[str, Depth], float], part: str, asked: Depth) -> float | None:
    if (part, asked) in earlier:
        return earlier[part, asked]
    other: Depth = "full" if asked == "quick" else "quick"
    if (part, other) not in earlier:
        return None
    if part == CONTROL:  # a quick look trains no less
        return earlier[part, other]
    return earlier[part, other] * (_share(part) if asked == "quick" else 1 / _share(part))


def _share(part: str) -> float:
    return _QUICK_SHARES.get(part, QUICK_SHARE)
