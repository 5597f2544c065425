"""The evaluation of a run as stages: a part of the suite for each state of the model, and the verdict over all of them.

They are asked for (`unlearn evaluate`, the page Proof) and not part of the path. Each is kept like any other result.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.config.schema import ExperimentConfig, ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.suite import Frames, Part, Subject
from unlearning_core.files import write_file, write_json
from unlearning_core.methods.registry import CONTROL, METHODS, NEVER_KNEW, methods_of, states_of
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.material import cannot, cutting, material, material_inputs
from unlearning_core.runs.other_sense import other_sense_inputs
from unlearning_core.runs.proof_results import REASON, judged, proof_metrics
from unlearning_core.runs.stages.method import method_input
from unlearning_core.runs.stages.rank import rank_inputs
from unlearning_core.runs.stages.stage import Stage, Summary

if TYPE_CHECKING:
    from unlearning_core.edits.recipe import Recipe

VERDICT, QUESTIONS = "verdict", "questions"


def proof_stages(
    context: RunContext,
    *,
    parts: Collection[str] | None = None,
    states: Collection[str] | None = None,
    quick: bool = False,
) -> tuple[Stage, ...]:
    """The stages of an evaluation, the verdict last.

    Args:
        parts: names of parts; None: all of them.
        states: that methods made; None: all of them. Base, control and never-knew model are measured in any case.
        quick: with about a quarter of the work.

    Raises:
        InputError: there is no such part.
    """
    if unknown := sorted(set(parts or ()) - set(PARTS)):
        raise InputError(f"There is no part {unknown[0]!r} of an evaluation. Choose of: {', '.join(PARTS)}.")
    settings = context.config.proof.quick() if quick else context.config.proof
    made = {method.state: (method.name,) for method, _ in methods_of(context.config)}
    found, measured = [], []
    if controlled(context) and (parts is None or "losses" in parts):
        found.append(_control())
        made[CONTROL] = (CONTROL,)
    measuring = ["base", *made, *([NEVER_KNEW] if context.config.never_knew.model is not None else [])]
    skipped = set() if states is None else set(states_of(context.config)[1:]) - set(states)
    for state in measuring:
        if state in skipped:
            continue
        for part in PARTS.values():
            if (parts is not None and part.name not in parts) or not measures(part, state):
                continue
            if part.name == QUESTIONS and asks(context.config):  # as on the path, so that it is asked once
                measured.append(questions_stage(state, made.get(state, ()), context.config))
            else:
                measured.append(_measure(part, state, made.get(state, ()), settings))
    found += measured
    found.append(
        Stage(
            VERDICT, "coming to a verdict", tuple(f"{part} {state}" for state in measuring for part in PARTS),
            ("proof/metrics.json", "verdict.json"), _verdict_inputs(quick), _verdict(quick),
        )
    )  # fmt: skip
    return tuple(found)


def asks(config: ExperimentConfig) -> bool:
    """Whether questions are asked on the path already: where the settings name some."""
    return config.proof.questions is not None


def questions_stage(state: str, made: Sequence[str], config: ExperimentConfig) -> Stage:
    """The stage that asks a state of the model; `made` is the method that makes it, or nothing for the base."""
    # Pages ask at every step which stages a run has: that must not read all texts and questions, and a file that is
    # gone is told by the check at the start.
    return replace(_measure(PARTS[QUESTIONS], state, made, config.proof), applies=lambda context: True)


def controlled(context: RunContext) -> bool:
    """Whether the base is to be retrained without a cut too, to know what retraining alone does."""
    return context.config.proof.control and any(
        method.name == "retrain" and number for number, (method, _) in enumerate(methods_of(context.config))
    )


def measures(part: Part, state: str) -> bool:
    """Whether that part is measured of that state."""
    if state == CONTROL:
        return part.name in ("losses", "questions")
    return part.states == "all" or state != "base"


def _measure(part: Part, state: str, made: Sequence[str], settings: ProofSection) -> Stage:
    return Stage(
        f"{part.name} {state}", f"{part.title.lower()}: {state.replace('_', ' ')}", ("label", *made),
        (f"proof/{part.name}/{state}",), _inputs(part, state, settings), _run(part, state, settings),
        applies=lambda context: cannot(part, state, context) is None,
    )  # fmt: skip


def _inputs(part: Part, state: str, settings: ProofSection) -> Callable[[RunContext], Any]:
    def inputs(context: RunContext) -> Any:
        twin = context.config.never_knew
        needs_twin = twin.model is not None and (part.never_knew or state == NEVER_KNEW)
        return {
            "version": part.version,
            "material": material_inputs(context, part.reads),
            "settings": _settings(part, settings),
            "concept": [list(context.concept.words), context.concept.inflections, context.concept.language],
            "model": rank_inputs(context)["model"],
            "dtype": context.config.base_model.dtype,
            "never_knew": context.model_fingerprint(str(twin.model), twin.revision) if needs_twin else None,
            "cut": cutting(context, state),
            "seed": context.config.seed,
            **context.rules(),
        }

    return inputs


def _settings(part: Part, settings: ProofSection) -> dict[str, Any]:
    """What the part depends on; a whole race goes without saying, as in runs from before there was another one."""
    found = settings.model_dump(include=set(part.settings))
    return {name: value for name, value in found.items() if (name, value) != ("race", "whole")}


def _run(part: Part, state: str, settings: ProofSection) -> Callable[[RunContext, Path], Summary]:
    def run(context: RunContext, folder: Path) -> Summary:
        import pandas as pd

        subject = _subject(part, state, context)
        try:
            frames = part.compute(subject, material(context), settings, context.progress)
        except InputError as error:  # it cannot be done with this model or text: the other parts can
            frames = {REASON: pd.DataFrame({"part": [part.title], "state": [state], "reason": [str(error)]})}
        save_frames(folder / "proof" / part.name / state, frames)
        if REASON in frames:
            return {REASON: frames[REASON]["reason"][0]}
        return {name: len(frame) for name, frame in frames.items()}

    return run


def save_frames(folder: Path, frames: Frames) -> None:
    """Each frame as a parquet file under its name."""
    for name, frame in frames.items():
        write_file(folder / f"{name}.parquet", partial(frame.to_parquet, index=False))


def _subject(part: Part, state: str, context: RunContext) -> Subject:
    has_twin = context.config.never_knew.model is not None
    beside = {"base", state, *([NEVER_KNEW] if part.never_knew and has_twin else [])}
    loaded = {name: context.model(name, beside=beside) for name in sorted(beside)}
    recipe = _recipe(context, state, loaded[state].map.shapes)
    return Subject(
        state=state,
        loaded=loaded[state],
        base=loaded["base"],
        never_knew=loaded.get(NEVER_KNEW),
        mask=recipe.mask if recipe is not None else None,
        seed=context.config.seed,
        rows=recipe.rows if recipe is not None else None,
    )


def _recipe(context: RunContext, state: str, shapes: Any) -> "Recipe | None":
    from unlearning_core.edits.recipe import Recipe

    name = cutting(context, state)
    folder = context.run.file(name, "recipe") if name is not None else None
    return Recipe.load(folder, shapes) if folder is not None else None


def _control() -> Stage:
    method = METHODS["retrain"]

    def inputs(context: RunContext) -> Any:
        values = method.depends_on(context.config.retraining, context.config.seed) | other_sense_inputs(context)
        return values | {"model": rank_inputs(context)["model"]}

    def run(context: RunContext, folder: Path) -> Summary:
        given = method_input(method, context, folder, state=CONTROL)
        try:
            return method.make(given, context.config.retraining)
        finally:
            context.forget_models()

    return Stage(CONTROL, "retraining the base without a cut", ("label", "filter"), (f"models/{CONTROL}",), inputs, run)


def _verdict_inputs(quick: bool) -> Callable[[RunContext], Any]:
    def inputs(context: RunContext) -> Any:
        proof = context.config.proof
        return {
            "thresholds": proof.thresholds.model_dump(),
            "reference": proof.reference,
            "states": states_of(context.config),
            "quick": quick,
            "version": VERDICT_VERSION,
        }

    return inputs


VERDICT_VERSION = 5
"""Raised when the same measurements give another verdict."""


def _verdict(quick: bool) -> Callable[[RunContext, Path], Summary]:
    def run(context: RunContext, folder: Path) -> Summary:
        from unlearning_core.runs.proof_standing import measured

        current = measured(context.run)
        metrics = proof_metrics(context, current)
        found = judged(context, metrics, quick=quick or "quick" in current.values())
        write_json(folder / "proof" / "metrics.json", metrics)
        write_json(folder / "verdict.json", found)
        return {state: one["verdict"] for state, one in found["states"].items()}

    return run
