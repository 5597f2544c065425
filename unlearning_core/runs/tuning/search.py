"""The search: many cuts are measured by hooks, the best of them are healed, each in a run of its own.

What is asked of a recipe are two things that pull against each other, so the sampler (TPE for several objectives: Ozaki
et al., "Multiobjective Tree-Structured Parzen Estimator", JAIR 73, 2022, as optuna has it) looks for the front between
them. Cuts cost a second or ten, a healing costs a training: the first share of the time goes to cuts, and only those of
their front are healed, the settings' own recipe before all others, which the search has to beat.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.evaluation.pareto import bulge
from unlearning_core.methods.registry import methods_of, states_of
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import check_new_run, create_run, execute
from unlearning_core.runs.run import Run, config_digest
from unlearning_core.runs.stages.registry import stage_called
from unlearning_core.runs.store import Store
from unlearning_core.runs.tuning.clock import Clock
from unlearning_core.runs.tuning.found import Found
from unlearning_core.runs.tuning.measuring import CutMeter, Outcome
from unlearning_core.runs.tuning.space import Choice, Space
from unlearning_core.runs.tuning.trials import Trial, Trials, best, on_front

log = logging.getLogger(__name__)

NOTE, TRIAL_NOTE = "tuning", "trial"
"""Notes of the run whose recipe is searched, and of each run in which a recipe is healed for it."""

FOR_CUTS = 0.35
"""Share of the time in which cuts are tried."""

FINALISTS = 4
"""Recipes of the cuts' front that are healed, before the sampler proposes others."""

ALIKE = 0.03
"""Of two cuts that lie nearer on both axes, scaled to the front, one is healed."""


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        seconds: that it may take; None: no matter.
        cuts: cuts that are tried at most; None: as many as fit.
        healed: recipes that are healed at most; None: likewise.
    """

    seconds: float | None = None
    cuts: int | None = None
    healed: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is None and self.cuts is None:
            raise ValueError("a search needs an end")


def find_or_create_tuned(config: ExperimentConfig, root: Any, progress: ProgressCallback = silent) -> tuple[Run, bool]:
    """The run whose recipe is searched around these settings, finished or not, and whether it was there.

    Raises:
        InputError, WorkFailed: as `check_new_run`; or the settings name methods of their own.
    """
    if config.methods is not None:
        raise InputError("methods is given: a recipe is searched for the cut and its healing. Leave it out.")
    if config.search.forget is not None:
        raise InputError("search.forget is given: the share cut is searched here anyhow. Leave it out.")
    wanted = config_digest(config)

    def known() -> Run | None:
        return next((run for run in list_runs(root) if (run.note(NOTE) or {}).get("of") == wanted), None)

    if known() is None:
        check_new_run(config, root, progress)
    with Store(root).lock():
        if (found := known()) is not None:
            return found, True
        run = create_run(config, root)
        run.write_note(NOTE, {"of": wanted})
        return run, False


class RecipeSearch:
    """The search of one run's recipe."""

    def __init__(self, run: Run, config: ExperimentConfig, limits: Limits) -> None:
        """`config` are the settings to search around; the run's own may have a recipe that was found already."""
        self.run, self.config, self.limits = run, config, limits
        self._healed_state = states_of(config)[-1]

    def compute(self, progress: ProgressCallback = silent) -> Found:
        """Search until the time is over; what was tried before is not tried again.

        Raises:
            InputError, WorkFailed: as `pipeline.execute`; or nothing can be forgotten, or the cost not be measured.
            Stopped: `progress` raised it; what was tried is kept.
        """
        context = RunContext(self.run, progress)
        execute(self.run, progress, until="rank", context=context)
        with self.run.manifest.working("searching its recipe"):
            trials = Trials(self.run.tuning_folder, self.config.seed)
            clock = Clock(self.limits.seconds, trials.seconds())
            meter = CutMeter(context)
            space = self._space(meter)
            self._try_cuts(meter, space, trials, clock, progress)
            untold = self._heal(meter, space, trials, clock, progress)
            scale = meter.scale
        return Found(
            tuple(trials.tried("cuts")), tuple(trials.tried("healed")), space.default,
            self.config.proof.thresholds.gap_closed, scale.forgotten, clock.used, self.limits.seconds, untold,
        )  # fmt: skip

    def _space(self, meter: CutMeter) -> Space:
        healing = self.config.retraining
        return Space(
            Choice.of(self.config), len(self.run.ranking()), bool(len(meter.tokens.ids)),
            healing.enabled and healing.objective == "distill",
        )  # fmt: skip

    def _try_cuts(
        self, meter: CutMeter, space: Space, trials: Trials, clock: Clock, progress: ProgressCallback
    ) -> None:
        for choice in space.first():
            trials.ask_for("cuts", space.parameters(choice, healed=False))
        known = {trial.choice: trial for trial in trials.tried("cuts")}
        share = FOR_CUTS if self.config.retraining.enabled else 1.0
        while (self.limits.cuts is None or len(known) < self.limits.cuts) and clock.has(_usual(known.values()), share):
            progress(Progress("trying cuts", len(known), self.limits.cuts, "cuts"))
            begun, trial = time.monotonic(), trials.next("cuts")
            choice = space.cut(trial)
            if (before := known.get(choice)) is not None and before.outcome is not None:
                # Counted as a trial, so that the sampler goes on to another one.
                trials.tell("cuts", trial, choice, before.outcome, neurons=before.neurons, seconds=0.0)
                if _repeats(trials.tried("cuts")) > _PATIENCE:
                    break
                continue
            outcome, kept = _measured(meter, choice)
            trials.tell("cuts", trial, choice, outcome, seconds=round(time.monotonic() - begun, 2), **kept)
            known[choice] = trials.tried("cuts")[-1]

    def _heal(
        self, meter: CutMeter, space: Space, trials: Trials, clock: Clock, progress: ProgressCallback
    ) -> tuple[str, ...]:
        """Heal recipes while the time lasts; returns what was left undone, in sentences."""
        if not self.config.retraining.enabled:
            return ("Healing is switched off, so cuts alone were tried.",)
        scale = meter.scale
        for choice in self._finalists(space, trials):
            trials.ask_for("healed", space.parameters(choice, healed=True))
        while self.limits.healed is None or len(trials.tried("healed")) < self.limits.healed:
            done = trials.tried("healed")
            self._ask_for_variants(space, trials, done)
            if not clock.has(_usual(done)):
                return _left(trials)
            trial = trials.next("healed")
            choice = space.healed(trial)
            begun, told = time.monotonic(), _told(progress, len(done) + 1)
            try:
                run, outcome, reason = self._healed(choice, scale.outcome, clock.watching(told))
            except Stopped:
                if clock.has(0.0):
                    raise
                return (*_left(trials), "The time was over while a recipe was being healed: with more it goes on.")
            kept: dict[str, Any] = {"run": run.id, "seconds": round(time.monotonic() - begun, 2)}
            if reason:
                kept["reason"] = reason
            trials.tell("healed", trial, choice, outcome, **kept)
        return ()

    def _finalists(self, space: Space, trials: Trials) -> Iterator[Choice]:
        """The settings' own recipe, then the cuts of the front, what bulges most first, no two alike."""
        yield space.default
        found = on_front(trials.tried("cuts"))
        outcomes = [trial.outcome for trial in found if trial.outcome is not None]
        if not outcomes:
            return
        forgotten, cost = [each.forgotten for each in outcomes], [each.cost for each in outcomes]
        beyond = bulge([*forgotten, 0.0], [*cost, 0.0])
        enough = self.config.proof.thresholds.gap_closed
        order = sorted(range(len(found)), key=lambda place: (forgotten[place] < enough, -beyond[place]))
        span = max(cost) - min(*cost, 0.0) or 1.0
        taken: list[int] = []
        for place in order:
            near = [
                other for other in taken
                if abs(forgotten[place] - forgotten[other]) < ALIKE and abs(cost[place] - cost[other]) / span < ALIKE
            ]  # fmt: skip
            if not near:
                taken.append(place)
                yield found[place].choice
            if len(taken) == FINALISTS:
                return

    def _ask_for_variants(self, space: Space, trials: Trials, done: list[Trial]) -> None:
        """Once the finalists are healed: the best of them healed for longer, and with noise before."""
        if trials.waiting("healed") or (taken := best(done, self.config.proof.thresholds.gap_closed)) is None:
            return
        choice = taken.choice
        variants = [replace(choice, noise=0.1)] if space.distils else []
        if space.default.steps is not None:
            variants.insert(0, replace(choice, steps=2 * space.default.steps))
        for variant in variants:
            trials.ask_for("healed", space.parameters(variant, healed=True))

    def _healed(self, choice: Choice, read: Any, progress: ProgressCallback) -> tuple[Run, Outcome | None, str]:
        """The run in which a recipe is healed, and what it comes to; or why it cannot be measured."""
        config = choice.applied(self.config)
        run = self._trial_run(config, choice)
        last = methods_of(config)[-1][0].name
        names = ["prune", "filter", last, f"measure {self._healed_state}"]
        try:
            execute(run, progress, until="rank", further=[stage_called(name, config) for name in names])
            found = run.measurement(self._healed_state)
            assert found is not None
            return run, read(found), ""
        except WorkFailed as error:
            return run, None, str(error)

    def _trial_run(self, config: ExperimentConfig, choice: Choice) -> Run:
        note = {"of": self.run.id, "choice": choice.to_dict()}
        for run in list_runs(self.run.folder.parent):
            if run.note(TRIAL_NOTE) == note:
                return run
        run = create_run(config, self.run.folder.parent)
        run.write_note(TRIAL_NOTE, note)
        return run


_PATIENCE = 20
"""Recipes in a row that were tried before, after which there is nothing new to try."""


def _repeats(tried: list[Trial]) -> int:
    """How many trials at the end were of recipes known before."""
    found = 0
    for place in range(len(tried) - 1, 0, -1):
        if tried[place].choice not in {trial.choice for trial in tried[:place]}:
            break
        found += 1
    return found


def _measured(meter: CutMeter, choice: Choice) -> tuple[Outcome | None, dict[str, Any]]:
    """What a cut comes to and how many neurons it takes; or why the cut model cannot be measured."""
    try:
        outcome, neurons = meter.measure(choice)
    except WorkFailed as error:
        return None, {"reason": str(error)}
    return outcome, {"neurons": neurons}


def _usual(trials: Any) -> float:
    """Seconds that the next one will take: as the slower ones of those that were measured; 0 while none was."""
    seconds = sorted(trial.seconds for trial in trials if trial.seconds)
    return seconds[(3 * len(seconds)) // 4] if seconds else 0.0


def _left(trials: Trials) -> tuple[str, ...]:
    waiting = trials.waiting("healed")
    if not waiting:
        return ()
    return (f"{waiting} more {'recipe' if waiting == 1 else 'recipes'} of the front did not fit into the time.",)


def _told(progress: ProgressCallback, number: int) -> ProgressCallback:
    """Says which recipe it is."""
    return lambda update: progress(replace(update, task=f"recipe {number}: {update.task}"))
