"""What an evaluation left that a person can look at: each question with every state's answer, each attack's outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.recovery import gap_of
from unlearning_core.evaluation.suite import Frames, Part
from unlearning_core.methods.registry import NEVER_KNEW, states_of
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

RACE = "relearn"
"""The relearning race, which is no attack by name but one in kind."""

RACE_METRICS = ("relearn_share_50", "relearn_steps_50")
"""What the race is judged by: beside a never-knew model's race, and where there is none."""


def answered_states(run: Run) -> list[str]:
    """The states whose answers are there, base first, the never-knew model last."""
    return [state for state in [*states_of(run.config), NEVER_KNEW] if run.proof_frames("questions", state) is not None]


def answers(run: Run, states: Sequence[str]) -> pd.DataFrame:
    """Every question with what each state answers greedily.

    Returns:
        Columns `prompt`, `form`, `about`, `expected`, and for each state its answer (named as the state) and whether it
        is right ("STATE right", bool). Questions that not every state was asked are left out.
    """
    import pandas as pd

    from unlearning_core.evaluation.answers import GREEDY

    found: pd.DataFrame | None = None
    for state in states:
        frames = run.proof_frames("questions", state)
        assert frames is not None
        rows = frames["answers"]
        rows = rows[rows["sample"] == GREEDY].drop_duplicates("prompt").set_index("prompt")
        own = pd.DataFrame({state: rows["answer"], f"{state} right": rows["exact"].astype(bool)})
        found = rows[["form", "about", "expected"]].join(own) if found is None else found.join(own, how="inner")
    if found is None:
        return pd.DataFrame(columns=["prompt", "form", "about", "expected"])
    return found.reset_index()


def of_questions(table: pd.DataFrame, state: str, about: str = "concept") -> tuple[int, int]:
    """Of how many questions that the base answers right that state still does, and how many these are."""
    known = table[(table["about"] == about) & table["base right"]]
    return int(known[f"{state} right"].sum()), len(known)


def attacks() -> list[Part]:
    """Every way in which it is tried to bring the concept back, the relearning race first."""
    return sorted(
        (part for part in PARTS.values() if part.attack or part.name == RACE), key=lambda part: part.name != RACE
    )


@dataclass(frozen=True)
class Outcome:
    """What an attack came to on one state.

    Attributes:
        state: which.
        value: what it won back, a share; or the steps of the race, beside the never-knew model's where there is one.
        threshold: the most it may win back, or the least that the race must take.
        held: whether the state withstood it.
        unit: of value and threshold.
        judges: whether the verdict counts it.
    """

    state: str
    value: float
    threshold: float
    held: bool
    unit: str
    judges: bool = True


def outcomes(verdict: Mapping[str, Any] | None, attack: Part) -> list[Outcome]:
    """What the attack came to on each state on which it was tried, in the order of the states."""
    found = []
    metrics = RACE_METRICS if attack.name == RACE else (attack.name,)
    for state, judged in (verdict or {}).get("states", {}).items():
        for check in judged["checks"]:
            if check["metric"] in metrics and check["passed"] is not None:
                unit = check.get("unit", "")
                held, judges = bool(check["passed"]), check.get("judges", True)
                found.append(Outcome(state, check["value"], check["threshold"], held, unit, judges))
    return found


def races(run: Run, attack: Part) -> dict[str, pd.DataFrame]:
    """By state the curves of an attack that trains (`learning_rate`, `step`, `concept_nats`, ...); else none."""
    found = {}
    for state, frames in _frames(run, attack).items():
        curve = frames.get("race", frames.get("losses"))
        if curve is not None and "learning_rate" in curve and len(curve):
            found[state] = curve
    return found


def back_by_weights(run: Run, attack: Part) -> pd.DataFrame | None:
    """Of an attack on the weights: by what was done to them (`weights`) the share of the gap that is back, by state.

    0 is the loss of a model that has forgotten, 1 the base's. None for other attacks.
    """
    import pandas as pd

    columns = {}
    for state, frames in _frames(run, attack).items():
        rows = frames.get("losses")
        if rows is not None and "weights" in rows and len(rows):
            gap = gap_of(rows)
            columns[state] = pd.Series([gap.back(nats) for nats in rows["concept_nats"]], index=rows["weights"])
    return pd.DataFrame(columns).rename_axis("weights").reset_index() if columns else None


def won_answers(run: Run, attack: Part, state: str, most: int = 3) -> list[tuple[str, str]] | None:
    """Of an attack by asking: a few questions (as put) with the right answers that it got, one a question.

    None for other attacks; empty where it got none.
    """
    frames = run.proof_frames(attack.name, state) or {}
    rows = frames.get("answers")
    if rows is None or "right" not in rows:
        return None
    right = rows[rows["right"].astype(bool)].drop_duplicates("question").head(most)
    put = "prompt" if "prompt" in right else "question"
    return list(zip(right[put], right["answer"], strict=True))


def _frames(run: Run, attack: Part) -> dict[str, Frames]:
    states = [*states_of(run.config), NEVER_KNEW]
    found = {state: run.proof_frames(attack.name, state) for state in states}
    return {state: frames for state, frames in found.items() if frames is not None}


@dataclass(frozen=True)
class RaceOutcome:
    """What the relearning race came to for one state, held against what the verdict asks.

    Attributes:
        rate: the learning rate of which the numbers speak: where the state is fastest beside the model that never knew,
            or, without one, where it is fastest of the gentle rates (`recovery.GENTLE`) that the verdict asks about.
        steps: until half of the gap is back; infinite where it is not within the race.
        never_knew: the same of the model that never knew; None where there is none.
        share: `steps` beside `never_knew`, neither counted as more than one step beyond the race; None likewise.
        asked: the least that the verdict asks: a share, or steps at a gentle rate where there is no such model.
        longest: steps of the race.
        held: whether that is reached.
        fastest: without a model that never knew, the rate of all at which it is fastest, and the steps there: nothing
            tells how quickly such a model would have learnt it.
    """

    rate: float
    steps: float
    never_knew: float | None
    share: float | None
    asked: float
    longest: int
    held: bool
    fastest: tuple[float, float] | None = None


def race_outcome(run: Run, state: str) -> RaceOutcome | None:
    """What the race came to; None while that state, or the never-knew model that it is compared with, has not run."""
    from unlearning_core.evaluation.recovery import GENTLE, HALF, gentle_steps_to, share_of_steps, steps_back, worst

    asked = run.config.proof.thresholds
    own, twin = (_race_of(run, one) for one in (state, NEVER_KNEW))
    if own is None or (twin is None and run.config.never_knew.model is not None):
        return None
    longest = int(own["race"]["step"].max())
    if twin is None:
        fastest, gentle = worst(own["race"], HALF), gentle_steps_to(own, HALF)
        slow = own["race"][own["race"]["learning_rate"] <= GENTLE]
        told = fastest if slow.empty else worst(slow, HALF)
        held = gentle is not None and gentle.value >= asked.relearning_steps
        first, there = ((float(one["learning_rate"]), float(one["steps"])) for one in (fastest, told))
        return RaceOutcome(*there, None, None, float(asked.relearning_steps), longest, held, first)
    longest = max(longest, int(twin["race"]["step"].max()))
    steps, other = (
        steps_back(one["race"], HALF).groupby("learning_rate")["steps"].min().clip(upper=longest + 1)
        for one in (own, twin)
    )
    share = share_of_steps(twin, own, HALF).value
    if math.isnan(share):
        return None
    rate = float((steps / other - share).abs().idxmin())
    mine, theirs = (math.inf if one[rate] > longest else float(one[rate]) for one in (steps, other))
    return RaceOutcome(rate, mine, theirs, share, asked.relearning, longest, share >= asked.relearning)


def _race_of(run: Run, state: str) -> Frames | None:
    frames = run.proof_frames(RACE, state)
    return frames if frames is not None and len(frames.get("race", ())) else None
