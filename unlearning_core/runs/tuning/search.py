"""The search: many cuts are measured by hooks, the best of them are retrained, each in a run of its own.

What is asked of a recipe are two things that pull against each other, so the sampler (TPE for several objectives: Ozaki
et al., "Multiobjective Tree-Structured Parzen Estimator", JAIR 73, 2022, as optuna has it) looks for the front between
them. Cuts cost a second or ten, a retraining minutes: the first share of the time goes to cuts, and only those of their
front are retrained, the settings' own recipe before all others, which the search has to beat.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unlearning_core.config.schema import ExperimentConfig, ThresholdSection
from unlearning_core.errors import Stopped, WorkFailed
from unlearning_core.evaluation.recovery import HALF, gentle_steps_to, share_of_steps
from unlearning_core.methods.registry import methods_of, states_of
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import execute
from unlearning_core.runs.proof import racers
from unlearning_core.runs.proof_evidence import RACE
from unlearning_core.runs.run import Run
from unlearning_core.runs.stage_times import wait_for_race
from unlearning_core.runs.stages.proof import proof_stages
from unlearning_core.runs.stages.registry import stage_called
from unlearning_core.runs.tuning.clock import Clock
from unlearning_core.runs.tuning.finalists import finalists, variants
from unlearning_core.runs.tuning.found import Found
from unlearning_core.runs.tuning.measuring import CutMeter, Outcome
from unlearning_core.runs.tuning.plan import Plan, usual, verdict_seconds
from unlearning_core.runs.tuning.space import Choice, Space
from unlearning_core.runs.tuning.trials import Trial, Trials, best, on_front
from unlearning_core.runs.tuning.tuned_runs import NOTE, stop_orphan, trial_run

FOR_CUTS, FOR_RETRAINING = 0.35, 0.75
"""Share of the time in which cuts are tried, and after which no further recipe is retrained: the rest is for races."""

LEAST_RETRAINED = 3
"""Recipes that are retrained before time is kept for races: the default, which is to be beaten, and two others."""

ALWAYS_CUTS, ALWAYS_RETRAINED = 3, 2
"""Cuts that are tried and recipes that are retrained however little time there is: without the default and one other
that is as far there is nothing to choose between."""

UNKNOWN_VERDICT = 0.25
"""Share of the time that is kept for a verdict while nothing tells how long it takes."""

PATIENCE = 20
"""Proposals in a row that were tried before, after which there is nothing new to try."""


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        seconds: that all of it may take, from what comes before the search to what comes after; None: no matter.
        cuts: cuts that are tried at most; None: as many as fit.
        retrained: recipes that are retrained at most; None: likewise.
        before: seconds that this call has spent already, on words and text.
        verdict: whether time is kept for a quick evaluation of what is taken.
        more: `seconds` are those of this call, whatever was spent before it.
    """

    seconds: float | None = None
    cuts: int | None = None
    retrained: int | None = None
    before: float = 0.0
    verdict: bool = False
    more: bool = False

    def __post_init__(self) -> None:
        if self.seconds is None and self.cuts is None:
            raise ValueError("a search needs an end")


def _unheard(told: object) -> None:
    """Nobody listens."""


class RecipeSearch:
    """The search of one run's recipe."""

    def __init__(
        self, run: Run, config: ExperimentConfig, limits: Limits, tried: Callable[[Found], object] = _unheard
    ) -> None:
        """`config` are the settings to search around; the run's own may have a recipe that was found already.

        `tried` is told after each trial what was found so far.
        """
        self.run, self.config, self.limits, self._tell = run, config, limits, tried
        self._retrained_state = states_of(config)[-1]
        self._clock = Clock(limits.seconds)
        self._verdict = 0.0

    def compute(self, progress: ProgressCallback = silent, say: Callable[[str], object] = _unheard) -> Found:
        """Search until the time is over; what was tried before is not tried again.

        Args:
            progress: told how far it is; may raise Stopped.
            say: told, in a sentence, how the time is shared out, whenever more is known of it.

        Raises:
            InputError, WorkFailed: as `pipeline.execute`; or nothing can be forgotten, or the cost not be measured.
            Stopped: `progress` raised it; what was tried is kept.
        """
        begun, context = time.monotonic() - self.limits.before, RunContext(self.run, progress)
        execute(self.run, progress, until="measure base", context=context)
        with self.run.manifest.working("searching its recipe"):
            trials = Trials(self.run.tuning_folder, self.config.seed)
            meter = CutMeter(context)
            space = self._space(meter)
            self._clock = self._clock_of(trials, time.monotonic() - begun)
            tried = len(trials.tried("cuts")) >= ALWAYS_CUTS and len(trials.tried("retrained")) >= ALWAYS_RETRAINED
            self._say_plan(say, least=tried)
            self._try_cuts(meter, space, trials, progress)
            untold = self._retrain(meter, space, trials, progress, say)
            untold += self._race(meter, space, trials, progress)
        return self._found(meter, space, trials, untold)

    def _found(self, meter: CutMeter, space: Space, trials: Trials, untold: Sequence[str] = ()) -> Found:
        """What was found so far."""
        return Found(
            cuts=tuple(trials.tried("cuts")),
            retrained=tuple(trials.tried("retrained")),
            races=trials.races(),
            default=space.default,
            asked=self._asked,
            reference=meter.scale.forgotten,
            questions=len(meter.questions),
            seconds=self._clock.used,
            budget=self._clock.window,
            untold=tuple(untold),
        )

    def _clock_of(self, trials: Trials, seconds: float) -> Clock:
        """The search's time; what comes before it is kept with the run, for a call that goes on finds it done."""
        note = self.run.note(NOTE) or {}
        before = note.get("before", 0.0) + seconds
        self.run.write_note(NOTE, note | {"before": round(before, 1)})
        after = verdict_seconds(self.run) if self.limits.verdict else 0.0
        self._verdict = after or 0.0
        spent = 0.0 if self.limits.more else trials.seconds()
        return Clock(self.limits.seconds, before, spent, self._kept(after))

    def _kept(self, after: float | None) -> float:
        """Of the time of the whole, that which is kept for the verdict; never more than half."""
        whole = self.limits.seconds
        if whole is None:
            return 0.0
        return min(whole / 2, whole * UNKNOWN_VERDICT if after is None else after)

    def _say_plan(self, say: Callable[[str], object], trial: Trial | None = None, *, least: bool = False) -> None:
        clock = self._clock
        if clock.budget is not None and clock.window is not None:
            one = trial.seconds if trial is not None else None
            known = (clock.budget, clock.before, clock.window, clock.used, clock.after)
            say(Plan(*known, one, self._verdict, least).sentence)

    @property
    def _asked(self) -> ThresholdSection:
        return self.config.proof.thresholds

    def _space(self, meter: CutMeter) -> Space:
        retraining, ranking = self.config.retraining, self.run.ranking()
        # A layer with a share of its own cannot be protected too.
        layers = 0 if self.config.neural_probing.layer_ratios else int(ranking["layer"].max()) + 1
        return Space(
            Choice.of(self.config), len(ranking), bool(len(meter.tokens.ids)),
            retraining.enabled and retraining.objective == "distill", layers,
        )  # fmt: skip

    def _try_cuts(self, meter: CutMeter, space: Space, trials: Trials, progress: ProgressCallback) -> None:
        for choice in space.first():
            trials.ask_for("cuts", space.parameters(choice, retrained=False))
        share, repeats = FOR_CUTS if self.config.retraining.enabled else 1.0, 0
        known = {trial.choice: trial for trial in trials.tried("cuts")}
        while (self.limits.cuts is None or len(known) < self.limits.cuts) and repeats < PATIENCE:
            if len(known) >= ALWAYS_CUTS and not self._clock.has(usual(known.values()), share):
                return
            progress(Progress("trying cuts", len(known), self.limits.cuts, "cuts"))
            begun, trial = time.monotonic(), trials.next("cuts")
            choice = space.cut(trial)
            if (before := known.get(choice)) is not None:
                # Told to the sampler, so that it goes on to another one.
                trials.repeat("cuts", trial, before)
                repeats += 1
                continue
            outcome, kept = _measured(meter, choice)
            trials.tell("cuts", trial, choice, outcome, seconds=round(time.monotonic() - begun, 2), **kept)
            known[choice], repeats = trials.tried("cuts")[-1], 0
            self._tell(self._found(meter, space, trials))

    def _retrain(
        self, meter: CutMeter, space: Space, trials: Trials, progress: ProgressCallback, say: Callable[[str], object]
    ) -> list[str]:
        """Retrain recipes while the time lasts; returns what was left undone, in sentences."""
        if not self.config.retraining.enabled:
            return ["Retraining is switched off, so cuts alone were tried."]
        for choice in [space.default, *finalists(trials.tried("cuts"), self._asked)]:
            trials.ask_for("retrained", space.parameters(choice, retrained=True))
        known, repeats = {trial.choice: trial for trial in trials.tried("retrained")}, 0
        while (self.limits.retrained is None or len(known) < self.limits.retrained) and repeats < PATIENCE:
            if not trials.waiting("retrained"):
                for choice in variants(list(known.values()), space, self._asked):
                    trials.ask_for("retrained", space.parameters(choice, retrained=True))
            share = FOR_RETRAINING if len(known) >= LEAST_RETRAINED else 1.0
            always = len(known) < ALWAYS_RETRAINED
            if not always and not self._clock.has(usual(known.values()), share):
                return _left(trials)
            begun, trial = time.monotonic(), trials.next("retrained")
            choice = space.retrained(trial)
            if (before := known.get(choice)) is not None:
                trials.repeat("retrained", trial, before)
                repeats += 1
                continue
            told = _told(progress, f"recipe {len(known) + 1}")
            try:
                watched = told if always else self._clock.watching(told)
                run, outcome, reason = self._retrained(choice, trial.number, meter, watched)
            except Stopped:
                if always or not self._clock.stopped:
                    raise
                return [*_left(trials), "The time was over while a recipe was being retrained: with more it goes on."]
            more = {"reason": reason} if reason else {}
            seconds = round(time.monotonic() - begun, 2)
            trials.tell("retrained", trial, choice, outcome, run=run.id, seconds=seconds, **more)
            known[choice], repeats = trials.tried("retrained")[-1], 0
            self._tell(self._found(meter, space, trials))
            if len(known) == 1:
                if self.limits.verdict:
                    after = verdict_seconds(run)
                    self._verdict, self._clock.after = after or 0.0, self._kept(after)
                self._say_plan(say, known[choice])
        return []

    def _race(self, meter: CutMeter, space: Space, trials: Trials, progress: ProgressCallback) -> list[str]:
        """Let the retrained models of the front learn the concept again while the time lasts, the best one first.

        As a quick evaluation races them (`proof.race`), whose work is then done.
        """
        retrained, races = trials.tried("retrained"), trials.races()
        taken = best(retrained, self._asked)
        racing = sorted(on_front(retrained), key=lambda trial: trial != taken)
        there = {run.id for run in list_runs(self.run.folder.parent)}  # a person may have deleted one
        waiting = [trial for trial in racing if trial.number not in races and trial.run in there]
        for place, trial in enumerate(waiting):
            left = len(waiting) - place
            untold = [f"Whether {left} retrained {'model comes' if left == 1 else 'models come'} back was not tried."]
            took = max((race["seconds"] for race in races.values()), default=0.0)
            if not self._clock.has(took or self._first_race(trial)):
                return untold
            begun, told = time.monotonic(), _told(progress, f"race of {trial.name}")
            try:
                share = self._raced(trial, self._clock.watching(told))
            except Stopped:
                if not self._clock.stopped:
                    raise
                return untold
            trials.keep_race(trial.number, share, round(time.monotonic() - begun, 2))
            races = trials.races()
            self._tell(self._found(meter, space, trials))
        return []

    def _first_race(self, trial: Trial) -> float:
        """About how long the first race takes; half a retraining where nothing tells it."""
        told = wait_for_race(Run(self.run.folder.parent / trial.run))
        return trial.seconds / 2 if told is None else told.seconds

    def _raced(self, trial: Trial, progress: ProgressCallback) -> float:
        """Steps to come half-way back, as a share of the never-knew model's; without such a model as a share of those
        that the verdict asks for, gently; NaN where there is no text to race on."""
        run = Run(self.run.folder.parent / trial.run)
        states = racers(run)
        names = {f"{RACE} {state}" for state in states}
        stages = [stage for stage in proof_stages(RunContext(run), parts=[RACE], quick=True) if stage.name in names]
        execute(run, progress, until="rank", further=stages)
        found = [run.proof_frames(RACE, state) for state in states]
        if any(frames is None or "race" not in frames for frames in found):
            return math.nan
        own, *twin = [frames for frames in found if frames is not None]
        if twin:
            return share_of_steps(twin[0], own, HALF).value
        gentle = gentle_steps_to(own, HALF)
        return math.nan if gentle is None else gentle.value / self._asked.relearning_steps

    def _retrained(
        self, choice: Choice, number: int, meter: CutMeter, progress: ProgressCallback
    ) -> tuple[Run, Outcome | None, str]:
        """The run in which a recipe is retrained, and what it comes to; or why it cannot be measured."""
        config = choice.applied(self.config)
        run = trial_run(self.run, config, choice, f"R{number}")
        last = methods_of(config)[-1][0].name
        stop_orphan(run, progress)
        names = ["prune", "filter", last, f"measure {self._retrained_state}"]
        try:
            execute(run, progress, until="rank", further=[stage_called(name, config) for name in names])
            return run, meter.retrained(run, self._retrained_state), ""
        except WorkFailed as error:
            return run, None, str(error)


def _measured(meter: CutMeter, choice: Choice) -> tuple[Outcome | None, dict[str, Any]]:
    """What a cut comes to and how many neurons it takes; or why the cut model cannot be measured."""
    try:
        outcome, neurons = meter.measure(choice)
    except WorkFailed as error:
        return None, {"reason": str(error)}
    return outcome, {"neurons": neurons}


def _left(trials: Trials) -> list[str]:
    waiting = trials.waiting("retrained")
    if not waiting:
        return []
    return [f"{waiting} more {'recipe was' if waiting == 1 else 'recipes were'} to be retrained and did not fit in."]


def _told(progress: ProgressCallback, what: str) -> ProgressCallback:
    """Says which recipe it is."""
    return lambda update: progress(replace(update, task=f"{what}: {update.task}"))
