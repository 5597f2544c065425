"""The recipes that were tried, on the disk as they come: optuna studies in a log that is appended to.

Two studies stand in one log: `cuts`, measured by hooks before any retraining, and `retrained`, each a run of its own. A
search that was stopped goes on from it; a recipe that was being tried then is tried first.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from unlearning_core.config.schema import ThresholdSection
from unlearning_core.evaluation.pareto import front, knee
from unlearning_core.files import disk_errors
from unlearning_core.runs.tuning.measuring import Outcome
from unlearning_core.runs.tuning.space import Choice

if TYPE_CHECKING:
    import optuna

Kind = Literal["cuts", "retrained"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LOG = "study.log"

OUTCOME, CHOICE, NEURONS, SECONDS, RUN, REASON = "outcome", "choice", "neurons", "seconds", "run", "reason"
"""What is kept with a trial of optuna."""

_RACE = "race "
"""Before the number of a retrained recipe; kept with the study, for a trial that is told cannot be added to."""

COUNTED: dict[Kind, float] = {"cuts": 1.15, "retrained": 1.0}
"""Share of the gap up to which more counts as more forgotten. Retraining gives a part of it back, .12 and .15 of it on
SmallWorld: a cut needs that much more. Who knows the concept less than never has not forgotten more of it."""

STARTUP = {"cuts": 10, "retrained": 6}
"""Trials before the sampler learns from them: the recipes that are known to be good are among these."""


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried.

    Attributes:
        kind: whether the cut alone was measured, or the retrained model.
        number: within its kind, from 0.
        choice: the recipe.
        outcome: what it came to; None where it could not be measured.
        neurons: that it cuts.
        seconds: that it took.
        run: id of the run that holds the retrained model; "" of a cut.
        reason: why it could not be measured; "" where it was.
    """

    kind: Kind
    number: int
    choice: Choice
    outcome: Outcome | None
    neurons: int = 0
    seconds: float = 0.0
    run: str = ""
    reason: str = ""

    @property
    def axes(self) -> tuple[float, float]:
        """(forgotten, paid), as the front has them; NaN where it was not measured."""
        if self.outcome is None:
            return math.nan, math.nan
        forgotten, paid = _values(self.kind, self.outcome)
        return forgotten, paid

    @property
    def name(self) -> str:
        """What tables and figures call it."""
        return f"{'R' if self.kind == 'retrained' else 'C'}{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return {
            "name": self.name, "kind": self.kind, "number": self.number, "choice": self.choice.to_dict(),
            "outcome": self.outcome and self.outcome.to_dict(), "neurons": self.neurons, "seconds": self.seconds,
            "run": self.run, "reason": self.reason,
        }  # fmt: skip


class Trials:
    """The studies of one search."""

    def __init__(self, folder: Path, seed: int) -> None:
        """`folder` is made where it is missing; `seed` is the sampler's."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._seed = seed
        with disk_errors(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            folder.mkdir(parents=True, exist_ok=True)
            self._storage = JournalStorage(JournalFileBackend(str(folder / LOG)))
        self._studies = {kind: self._open(kind) for kind in KINDS}

    def _open(self, kind: Kind) -> "optuna.Study":
        """The study of that kind; what was being tried when it was stopped is asked for again."""
        import optuna

        study = optuna.create_study(
            study_name=kind, storage=self._storage, directions=["maximize", "minimize"], load_if_exists=True
        )
        for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
            if OUTCOME in trial.user_attrs:  # it was measured, and stopped before it was told
                study.tell(trial.number, _values(kind, Outcome.from_dict(trial.user_attrs[OUTCOME])))
                continue
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)
        return study

    def tried(self, kind: Kind) -> list[Trial]:
        """The recipes of a kind that were tried, in their order."""
        found = []
        for trial in self._studies[kind].get_trials(deepcopy=False):
            kept = trial.user_attrs
            if OUTCOME in kept or REASON in kept:
                outcome = Outcome.from_dict(kept[OUTCOME]) if OUTCOME in kept else None
                found.append(
                    Trial(
                        kind, trial.number, Choice.from_dict(kept[CHOICE]), outcome, kept.get(NEURONS, 0),
                        kept.get(SECONDS, 0.0), kept.get(RUN, ""), kept.get(REASON, ""),
                    )
                )  # fmt: skip
        return found

    def seconds(self) -> float:
        """That all of them took together."""
        races = sum(race["seconds"] for race in self.races().values())
        return races + sum(trial.seconds for kind in KINDS for trial in self.tried(kind))

    def waiting(self, kind: Kind) -> int:
        """How many recipes wait that were asked for."""
        import optuna

        return len(self._studies[kind].get_trials(deepcopy=False, states=[optuna.trial.TrialState.WAITING]))

    def ask_for(self, kind: Kind, parameters: dict[str, Any]) -> None:
        """Let this be tried before what the sampler proposes; nothing where it was asked for or tried before."""
        self._studies[kind].enqueue_trial(parameters, skip_if_exists=True)

    def next(self, kind: Kind) -> "optuna.Trial":
        """What is to be tried next.

        The sampler is seeded by how many were told: a search that was stopped proposes what it would have proposed.
        """
        import optuna

        study = self._studies[kind]
        told = len(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))
        study.sampler = optuna.samplers.TPESampler(seed=self._seed + told, n_startup_trials=STARTUP[kind])
        return study.ask()

    def repeat(self, kind: Kind, trial: "optuna.Trial", before: Trial) -> None:
        """Tell the sampler what it proposed again; it is no further trial."""
        import optuna

        if before.outcome is None:
            self._studies[kind].tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._studies[kind].tell(trial, _values(kind, before.outcome))

    def races(self) -> dict[int, dict[str, float]]:
        """By number of a retrained recipe: `share` of steps that it takes to come half-way back, and `seconds`."""
        kept = self._studies["retrained"].user_attrs
        return {
            int(name.removeprefix(_RACE)): {what: math.nan if value is None else value for what, value in race.items()}
            for name, race in kept.items()
            if name.startswith(_RACE)
        }

    def keep_race(self, number: int, share: float, seconds: float) -> None:
        """Keep how a retrained recipe did in the relearning race."""
        race = {"share": None if math.isnan(share) else share, "seconds": seconds}
        self._studies["retrained"].set_user_attr(f"{_RACE}{number}", race)

    def tell(
        self, kind: Kind, trial: "optuna.Trial", choice: Choice, outcome: Outcome | None, **kept: int | float | str
    ) -> None:
        """Keep what a recipe came to; one without an outcome has failed, for the `reason` that is kept."""
        import optuna

        trial.set_user_attr(CHOICE, choice.to_dict())
        for name, value in kept.items():
            trial.set_user_attr(name, value)
        if outcome is None:
            self._studies[kind].tell(trial, state=optuna.trial.TrialState.FAIL)
            return
        trial.set_user_attr(OUTCOME, outcome.to_dict())
        self._studies[kind].tell(trial, _values(kind, outcome))


def _values(kind: Kind, outcome: Outcome) -> list[float]:
    """The two objectives of a study."""
    return [outcome.forgotten(COUNTED[kind]), outcome.paid]


NOTHING = (0.0, 0.0)
"""What a recipe that does nothing forgets and costs: an end of every front."""


def on_front(trials: list[Trial]) -> list[Trial]:
    """Those of the trials that no other one beats, nor doing nothing, most forgotten first."""
    measured, forgotten, cost = _axes(trials)
    return [measured[place] for place in front(forgotten, cost) if place < len(measured)]


def best(trials: list[Trial], asked: ThresholdSection) -> Trial | None:
    """The trial to take: the knee of the front (evaluation/pareto.py); None where doing nothing is no worse."""
    measured, forgotten, cost = _axes(trials)
    enough = [trial.outcome is not None and trial.outcome.enough(asked) for trial in measured]
    place = knee(forgotten, cost, [*enough, False])
    return measured[place] if place < len(measured) else None


def _axes(trials: list[Trial]) -> tuple[list[Trial], list[float], list[float]]:
    """The measured trials, and what each of them and, last, doing nothing forgets and costs."""
    measured = [trial for trial in trials if trial.outcome is not None]
    pairs = [_values(trial.kind, trial.outcome) for trial in measured if trial.outcome is not None]
    forgotten, cost = zip(*pairs, NOTHING, strict=True)
    return measured, list(forgotten), list(cost)
