"""What an evaluation left that a person can look at: each question with every state's answer, each attack's outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.suite import Part
from unlearning_core.methods.registry import NEVER_KNEW, states_of
from unlearning_core.runs.run import Run

RACE, RACE_METRIC = "relearn", "relearn_steps_50"
"""The relearning race, which is no attack by name but one in kind, and the metric that it is judged by."""


def answered_states(run: Run) -> list[str]:
    """The states whose answers are there, base first, the never-knew model last."""
    return [state for state in [*states_of(run.config), NEVER_KNEW] if run.proof_frames("questions", state) is not None]


def answers(run: Run, states: Sequence[str]) -> pd.DataFrame:
    """Every question with what each state answers greedily.

    Returns:
        Columns `prompt`, `form`, `about`, `expected`, and for each state its answer (named as the state) and whether it
        is right ("STATE right", bool). Questions that not every state was asked are left out.
    """
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


def metric_of(attack: Part) -> str:
    """The metric by which an attack is judged."""
    return RACE_METRIC if attack.name == RACE else attack.name


@dataclass(frozen=True)
class Outcome:
    """What an attack came to on one state.

    Attributes:
        state: which.
        value: what it won back (share), or the steps of the race; None where it never came back.
        threshold: the most it may win back, or the fewest steps it must take.
        held: whether the state withstood it.
        sentence: value, interval and threshold in words.
    """

    state: str
    value: float | None
    threshold: float
    held: bool
    sentence: str


def outcomes(verdict: Mapping[str, Any] | None, attack: Part) -> list[Outcome]:
    """What the attack came to on each state on which it was tried, in the order of the states."""
    found = []
    for state, judged in (verdict or {}).get("states", {}).items():
        for check in judged["checks"]:
            if check["metric"] == metric_of(attack) and check["passed"] is not None:
                found.append(
                    Outcome(state, check["value"], check["threshold"], bool(check["passed"]), check["sentence"])
                )
    return found
