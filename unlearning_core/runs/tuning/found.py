"""What a search found: the front, the recipe to take, how it stands to the settings' own; kept in the run."""

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unlearning_core import __version__
from unlearning_core.config.schema import ExperimentConfig, ThresholdSection
from unlearning_core.evaluation.ratio import Z95
from unlearning_core.files import write_file, write_json, write_text
from unlearning_core.progress import counted, duration
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning.measuring import Forgotten, Outcome
from unlearning_core.runs.tuning.space import Choice
from unlearning_core.runs.tuning.trials import Trial, best, on_front

if TYPE_CHECKING:
    import pandas as pd

PARETO, PICTURE, TABLE = "pareto.json", "pareto.html", "trials.csv"

MEASURED_WITH = ("torch", "transformers", "numpy", "optuna")
"""Packages whose versions are kept with a recipe: another one may give other figures."""


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        cuts: cuts that were tried, before any retraining.
        retrained: recipes that were retrained.
        races: by number of a retrained recipe, how it did in the relearning race (`Trials.races`).
        default: the settings' own recipe.
        asked: what the verdict asks for: what reaches it is taken before cheaper ones.
        reference: what forgotten is.
        questions: that each recipe was asked.
        seconds: that it took.
        budget: seconds that it was given; None: it had no limit.
        untold: what was not measured, in sentences.
    """

    cuts: tuple[Trial, ...]
    retrained: tuple[Trial, ...]
    races: Mapping[int, Mapping[str, float]]
    default: Choice
    asked: ThresholdSection
    reference: Forgotten
    questions: int
    seconds: float
    budget: float | None
    untold: tuple[str, ...] = ()

    @property
    def candidates(self) -> list[Trial]:
        """What is chosen from: the retrained models; the cuts where none was retrained."""
        measured = [trial for trial in self.retrained if trial.outcome is not None]
        return measured or [trial for trial in self.cuts if trial.outcome is not None]

    @property
    def front(self) -> list[Trial]:
        """Those of them that no other one beats, most forgotten first."""
        return on_front(self.candidates)

    @property
    def taken(self) -> Trial | None:
        """The one to take, of those that withstood the race where any did; None where doing nothing is no worse.

        One that was not raced is not preferred to one that was and came back: nothing is known of it. Of those that
        forget enough, one that is no worse than the settings' own recipe on either axis comes before one that trades
        an axis for the other.
        """
        known = [trial for trial in self.candidates if self.withstands(trial)] or self.candidates
        better = [trial for trial in known if self._beats_own(trial)]
        lost = any(map(self._enough, known)) and not any(map(self._enough, better))
        return best(known if lost or not better else better, self.asked)

    def _enough(self, trial: Trial) -> bool:
        return trial.outcome is not None and trial.outcome.enough(self.asked)

    def _beats_own(self, trial: Trial) -> bool:
        """Whether the settings' own recipe is worse on an axis and better on none."""
        if self.own is None or trial.outcome is None or trial.axes == self.own.axes:
            return False
        (gone, paid), (own_gone, own_paid) = trial.axes, self.own.axes
        return gone >= own_gone and paid <= own_paid

    def withstands(self, trial: Trial) -> bool | None:
        """Whether it takes as long to come back as the verdict asks for; None where it was not raced."""
        share = self.relearning(trial)
        return None if share is None else share >= (self.asked.relearning if self.reference == "never_knew" else 1.0)

    def relearning(self, trial: Trial) -> float | None:
        """Steps of the trial's race as a share of those it is held against; None where it was not raced."""
        race = self.races.get(trial.number) if trial.kind == "retrained" else None
        return None if race is None or math.isnan(race["share"]) else race["share"]

    @property
    def own(self) -> Trial | None:
        """The settings' own recipe among the candidates, or None where it was not measured as they were."""
        return next((trial for trial in self.candidates if trial.choice == self.default), None)

    def against_own(self, trial: Trial) -> str:
        """How a trial stands to the settings' own recipe, in a sentence.

        The errors are taken as if the two were measured on different sentences and asked different questions, which
        errs on the side of doubt.
        """
        own = self.own
        if trial.choice == self.default:
            return "It is today's default."
        if own is None or own.outcome is None or trial.outcome is None:
            return "Today's default was not retrained in the time, so it is not known whether this beats it."
        more, less = trial.axes[0] - own.axes[0], own.axes[1] - trial.axes[1]
        error = Z95 * math.hypot(self._error(own.outcome), self._error(trial.outcome))
        dearer = Z95 * math.hypot(own.outcome.cost_stderr, trial.outcome.cost_stderr)
        both = [_side(more, error, "forgets more", "forgets less"), _side(less, dearer, "costs less", "costs more")]
        figures = f"{100 * more:+.2g} ± {100 * error:.2g} % forgotten, {-less:+.2g} ± {dearer:.2g} nats of cost"
        stands = "does not beat today's default on both axes"
        if min(more, less) >= 0:
            stands = "beats today's default on both axes" if min(more, less) else "beats today's default on one axis"
        if max(more, less) == 0 == min(more, less):
            stands = "is as good as today's default on both axes"
        return f"It {stands} ({', '.join(both)}): {figures}."

    def _error(self, outcome: Outcome) -> float:
        """Standard error of what is forgotten: of the gap's share, and of a share of so many questions."""
        if math.isnan(outcome.answered):
            return outcome.gap_stderr
        share = outcome.answered
        return math.hypot(outcome.gap_stderr, math.sqrt(share * (1 - share) / max(1, self.questions))) / 2

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        taken, own = self.taken, self.own
        return {
            "axes": {
                "forgotten": "mean of the share of the gap that is closed and of questions not answered any more",
                "cost": "nats a token, on held-out sentences without the concept; below 0 it counts as 0",
            },
            "reference": self.reference,
            "asked": self.asked.model_dump(include={"gap_closed", "questions_answered", "relearning"}),
            "questions": self.questions,
            "seconds": round(self.seconds, 1),
            "budget": self.budget,
            "trials": [trial.to_dict() for trial in self.cuts]
            + [trial.to_dict() | {"relearning": self.relearning(trial)} for trial in self.retrained],
            "front": [trial.name for trial in self.front],
            "default": own.name if own is not None else None,
            "taken": taken.name if taken is not None else None,
            "sentence": self.against_own(taken) if taken is not None else None,
            "not_measured": list(self.untold),
        }

    @property
    def sentence(self) -> str:
        """How much was tried in which time, and what was not."""
        limit = f" of {duration(self.budget)}" if self.budget and self.seconds <= self.budget else ""
        count = f"{counted(len(self.cuts), 'cut')} tried and {counted(len(self.retrained), 'recipe')} retrained"
        return " ".join((f"{count} in {duration(self.seconds)}{limit}.", *self.untold))


def keep_rows(run: Run, found: Found) -> "pd.DataFrame":
    """Write the trials as JSON and as a table into the run's folder; returns the table."""
    import pandas as pd

    rows = pd.DataFrame(rows_of(found))
    write_json(run.tuning_folder / PARETO, found.to_dict())
    write_text(run.tuning_folder / TABLE, rows.to_csv(index=False))
    return rows


def kept_rows(run: Run) -> "pd.DataFrame | None":
    """The table that was written, with no text where a cell is empty; None where no recipe was tried yet."""
    import pandas as pd

    path = run.tuning_folder / TABLE
    if not path.is_file():
        return None
    rows = pd.read_csv(path, dtype={"mark": str, "run": str, "reason": str, "name": str})
    rows["protected"] = rows.get("protected", "[]")  # a search of an earlier version had none
    return rows.fillna({"mark": "", "run": "", "reason": ""})


def keep(run: Run, found: Found) -> None:
    """Write the trials as JSON, as a table and as a picture into the run's folder."""
    from unlearning_core.figures.pareto import pareto_figure

    figure = pareto_figure(keep_rows(run, found))
    write_file(run.tuning_folder / PICTURE, lambda path: figure.write_html(path, include_plotlyjs=True))


def rows_of(found: Found) -> list[dict[str, Any]]:
    """A row a trial, the columns of the table and the picture: name, kind, what it is (`mark`), recipe, outcome."""
    front, taken, own = {trial.name for trial in found.front}, found.taken, found.own
    rows = []
    for trial in (*found.cuts, *found.retrained):
        marks = [
            word
            for word, holds in (
                ("taken", taken is not None and trial.name == taken.name),
                ("default", trial.choice == found.default and (own is None or trial.kind == own.kind)),
                ("front", trial.name in front),
            )
            if holds
        ]
        outcome = trial.outcome.to_dict() if trial.outcome is not None else {}
        rows.append(
            {"name": trial.name, "kind": trial.kind, "mark": " ".join(marks)}
            | trial.choice.to_dict() | {"neurons": trial.neurons}
            | dict(zip(("forgotten", "paid"), trial.axes, strict=True))
            | {name: outcome.get(name) for name in Outcome.__dataclass_fields__}
            | {"relearning": found.relearning(trial)}
            | {"seconds": trial.seconds, "run": trial.run, "reason": trial.reason}
        )  # fmt: skip
    return rows


def take(run: Run, config: ExperimentConfig, found: Found, trial: Trial) -> None:
    """Make a trial's recipe that of the run, and write `reproduce.json`.

    That file is a config: `run` takes it as it is. What it was found by stands in a comment of it.
    """
    from importlib.metadata import version

    chosen = trial.choice.applied(config)
    run.save_config(chosen)
    made = {
        "workbench": __version__, "python": platform.python_version(),
        **{name: version(name) for name in MEASURED_WITH},
    }  # fmt: skip
    tried = {"cuts": len(found.cuts), "retrained": len(found.retrained)}
    told = {"versions": made, "seed": config.seed, "trial": trial.to_dict(), "tried": tried}
    write_json(run.reproduce_file, {"_found_by": told} | chosen.model_dump())


def _side(value: float, half: float, better: str, worse: str) -> str:
    """Which of the two it is, and whether that is more than half a 95 % interval."""
    if value == 0:
        return "as much"
    said = better if value > 0 else worse
    return said if abs(value) > half else f"{said}, within the error"
