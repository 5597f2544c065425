"""What the evaluation of a run came to: metrics and verdict from whatever parts of it were measured."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unlearning_core.errors import InputError
from unlearning_core.evaluation.model_card import model_card
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.registry import Values, metrics_table
from unlearning_core.evaluation.suite import Frames
from unlearning_core.evaluation.verdict import Attack, judge
from unlearning_core.methods.registry import CONTROL, NEVER_KNEW, methods_of, states_of
from unlearning_core.models.sources.starters import STARTERS
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.material import cannot
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

REASON = "reason"
"""The only frame of a part that could not be measured: why."""


def proof_metrics(context: RunContext, current: Collection[str]) -> dict[str, dict[str, float | None]]:
    """Every metric of every state that was measured, those of the path among them; empty while the base was not.

    Args:
        current: stages whose results belong to the settings and models as they are now; others are not looked at.
    """
    run = context.run
    states = ["base", *states_of(context.config)[1:], CONTROL, NEVER_KNEW]
    frames = {state: _frames(run, state, current) for state in states}
    if not frames["base"]:
        return {}
    reference = _reference(context, frames)
    inputs: dict[str, dict[str, Any]] = {}
    for state in states:
        if frames[state]:
            inputs[state] = {**_of_path(context, state, frames[state]), **frames[state], "reference": reference}
    return metrics_table(inputs)


def _frames(run: Run, state: str, current: Collection[str]) -> dict[str, Frames]:
    found = {part: run.proof_frames(part, state) for part in PARTS if f"{part} {state}" in current}
    return {part: frames for part, frames in found.items() if frames is not None and REASON not in frames}


def _of_path(context: RunContext, state: str, frames: dict[str, Frames]) -> dict[str, Any]:
    """What the metrics of the path are computed from; of the twin and the control as the evaluation measured it."""
    from unlearning_core.evaluation.text_losses import measured

    run, written = context.run, context.run.written(state)
    found: dict[str, Any] = {"matcher": context.matcher, "distance": run.distance(state)}
    if "losses" in frames:
        found["measurement"] = measured(frames["losses"], "sentences")
    if written is not None:
        found["texts"] = [text["text"] for text in written]
    return found


def _reference(context: RunContext, frames: dict[str, dict[str, Frames]]) -> Any:
    """The concept's loss by statement where it is forgotten: the never-knew model's, or behind unrelated text."""
    asked, twin = context.config.proof.reference, frames[NEVER_KNEW].get("losses")
    if twin is not None and asked != "shuffled":
        rows = twin["losses"]
        return rows[rows["set"] == "statements"].reset_index(drop=True)
    base = frames["base"].get("losses")
    return None if base is None or asked == "never_knew" else base["reference"]


def judged(context: RunContext, metrics: Values, *, quick: bool = False) -> dict[str, Any]:
    """`verdict.json`: the verdict on every state that was measured, and that on the last one."""
    config = context.config
    states: dict[str, Any] = {}
    trained: set[str] = set()
    for method, _ in methods_of(config):
        if method.name == "retrain" or trained:
            trained.add(method.state)
    same = (context.run.status()["stages"].get("candidate", {}).get("summary") or {}).get("same_weights")
    for state in [*states_of(config), NEVER_KNEW]:
        if state == "base" or state not in metrics:
            continue
        found = judge(
            metrics,
            state,
            config.proof.thresholds,
            attacks=_attacks(context, state),
            budget=config.proof.relearning_steps,
            trained=state in trained,
            examples=examples(context.run, state),
            counts=counts(context.run, state),
        )
        states[state] = found.to_dict() | {"summary": summary(metrics, state)}
        if same and state == "candidate":
            states[state]["sentence"] += " Its weights are those of the base."
    last = next((state for state in reversed(states_of(config)) if state in states), None)
    return {
        "verdict": states[last]["verdict"] if last else "not measured",
        "state": last,
        "sentence": states[last]["sentence"] if last else "Nothing was made of the base yet, so nothing is judged.",
        "quick": quick,
        "states": states,
    }


def _attacks(context: RunContext, state: str) -> list[Attack]:
    """The attacks; one that counts and cannot be made on that state is one that was not tried."""
    counted = {"always", "beside never-knew"} if context.config.never_knew.model is not None else {"always"}
    attacks = [part for part in PARTS.values() if part.attack]
    return [
        Attack(part.name, part.title, part.judged in counted)
        for part in attacks
        if part.judged in counted or cannot(part, state, context) is None
    ]


def examples(run: Run, state: str) -> dict[str, str]:
    """One example for a metric, in words: what is still answered, or what is written."""
    found: dict[str, str] = {}
    pairs = _still_right(run, state, "concept")
    if pairs is not None and len(pairs):
        first = pairs.sort_values("right", ascending=False, kind="stable").iloc[0]
        found["questions_answered"] = f"{first['prompt']} {first['now']}"
    written = run.proof_frames("writing", state)
    if written is not None:
        texts = written["texts"].sort_values("concept_words", ascending=False, kind="stable")
        first = texts.iloc[0]
        found["invited_words_per_100"] = f"{first['prompt']}{first['text']}"
    return found


def counts(run: Run, state: str) -> dict[str, tuple[int, int]]:
    """How many of how many questions are still answered, by metric."""
    found = {}
    for about, name in (("concept", ""), ("neighbour", "neighbour_"), ("other", "other_")):
        pairs = _still_right(run, state, about)
        if pairs is not None and len(pairs):
            found[f"{name}questions_answered"] = (int(pairs["right"].sum()), len(pairs))
    return found


def _still_right(run: Run, state: str, about: str) -> "pd.DataFrame | None":
    from unlearning_core.evaluation.answers import still_right

    base, now = run.proof_frames("questions", "base"), run.proof_frames("questions", state)
    return None if base is None or now is None else still_right(base, now, about)


def card_of(context: RunContext, state: str, *, alone: bool = False) -> str:
    """The model card of a state of the run's model; raises InputError where that state is not there yet.

    Args:
        alone: whether it is the card of the recipe without a model.
    """
    from unlearning_core.runs.proof_standing import is_current

    run, config = context.run, context.config
    run.model(state)
    current = is_current(run)
    made, steps = run.states()[1:], list[str]()
    for method, _ in methods_of(config):
        if method.state in made[: made.index(state) + 1]:
            steps.append(method.sentence)
    return model_card(
        state,
        base=_called(config.base_model.base_model_path),
        licence=_licence(run.note("model")),
        words=context.concept.words,
        steps=steps,
        metrics=(run.proof_metrics() if current else None) or run.metrics() or {},
        recipe=_script(run, alone=alone),
        outdated=not current and run.verdict() is not None,
        verdict=run.verdict() if current else None,
    )


def _script(run: Run, *, alone: bool) -> Literal["none", "beside", "alone"]:
    """Whether the recipe has a script that applies it; runs of earlier versions have none."""
    try:
        there = "apply_recipe.py" in run.recipe_files()
    except InputError:
        there = False
    return "none" if not there else "alone" if alone else "beside"


def _licence(facts: dict[str, Any] | None) -> str | None:
    """The base's, where it has a name that the Hub can read."""
    named = str((facts or {}).get("licence") or "").lower()
    return named if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", named) else None


def _called(source: str) -> str:
    """The name of a model for others: that of a folder or file, a Hub id as it is, a starter's on the Hub."""
    starter = STARTERS.get(source)
    if starter is not None and starter.origin is not None:
        return starter.origin
    return Path(source).name if Path(source).exists() else source


def summary(metrics: Values, state: str) -> dict[str, Any]:
    """The figures of one state under the names that scripts read."""
    own, twin = metrics[state], metrics.get(NEVER_KNEW, {})
    attacks = {part.name: own.get(part.name) for part in PARTS.values() if part.attack}
    return {
        "gap_closed": own.get("gap_closed"),
        "questions_answered": own.get("questions_answered"),
        "retain_delta": own.get("retain_text_delta"),
        "neighbour_delta": own.get("neighbour_text_delta"),
        "other_sense_delta": own.get("other_sense_delta"),
        "uds": own.get("uds"),
        "relearn": {
            "steps_50": own.get("relearn_steps_50"),
            "steps_90": own.get("relearn_steps_90"),
            "twin_steps_50": twin.get("relearn_steps_50"),
            "worst_learning_rate": own.get("relearn_worst_rate"),
        },
        "attacks": attacks,
    }  # fmt: skip
