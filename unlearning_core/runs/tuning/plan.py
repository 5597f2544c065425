"""How the time of an unlearning in one command is shared out, told before each part of it is begun."""

from collections.abc import Iterable
from dataclasses import dataclass

from unlearning_core.methods.registry import CONTROL, states_of
from unlearning_core.progress import duration
from unlearning_core.runs.proof_standing import standing
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning.trials import Trial


@dataclass(frozen=True)
class Plan:
    """The time of the whole, in seconds.

    Attributes:
        given: that it may take.
        before: that went into words, text and ranking.
        search: that recipes may be searched for.
        used: of these, used already.
        after: kept for the verdict.
        retraining: that one retraining took; None: none was made yet.
        verdict: that the verdict takes, which may be more than is kept for it; 0: nothing tells it.
        least: whether what is tried whatever the time was tried already, by an earlier call.
    """

    given: float
    before: float
    search: float
    used: float
    after: float
    retraining: float | None = None
    verdict: float = 0.0
    least: bool = False

    @property
    def sentence(self) -> str:
        """What each part takes, and by how much the whole is longer than it was to be."""
        kept = f", about {duration(self.after)} are kept for the verdict" if self.after else ""
        if kept and self.verdict > 1.1 * self.after:
            kept += f", which takes about {duration(self.verdict)}"
        left = max(0.0, self.search - self.used)
        if self.retraining is None:
            said = (
                f"Time: {duration(self.given)} in all. {duration(self.before)} went into words, text and ranking, "
                f"{duration(left)} are left for the search{kept}."
            )
            on_top = "The verdict comes" if self.least else "Three cuts, two retrained recipes and the verdict come"
            return said + ("" if left else f" {on_top} on top, whatever {'it takes' if self.least else 'they take'}.")
        beyond = max(0.0, self.before + self.used + self.retraining + max(self.after, self.verdict) - self.given)
        on_top = f" The second one is made in any case: all of it takes about {duration(beyond)} longer than asked."
        return (
            f"Time: a retraining takes {duration(self.retraining)}, {duration(left)} are left for more of them{kept}."
            + (on_top if beyond >= self.given / 10 else "")
        )


def verdict_seconds(run: Run) -> float | None:
    """About how long a quick evaluation of the run's last state takes; None where nothing tells it.

    Its control, another retraining, is counted as soon as the run has been retrained.
    """
    known = standing(run)
    without = () if known.of_path.get("retrain") else (CONTROL,)
    told = known.time(quick=True, without=without, skipped=states_of(run.config)[1:-1])
    return None if told is None else told.seconds


def usual(trials: Iterable[Trial]) -> float:
    """Seconds that the next one will take: as the slower ones of those that were measured; 0 while none was."""
    seconds = sorted(trial.seconds for trial in trials if trial.seconds)
    return seconds[(3 * len(seconds)) // 4] if seconds else 0.0
