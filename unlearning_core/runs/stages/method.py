"""A method as a stage of a run: it is given what it needs of the run, and makes the next state of the model."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.methods.method import Method, MethodInput
from unlearning_core.methods.registry import methods_of
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import cut_settings, found_ratio, new_recipe
from unlearning_core.runs.other_sense import other_sense_inputs, write_learnt
from unlearning_core.runs.probe_set import write_probe_set
from unlearning_core.runs.quiz import write_quiz
from unlearning_core.runs.stages.stage import Summary
from unlearning_core.runs.store import digest
from unlearning_core.runs.token_rows import row_inputs, run_concept_tokens

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel


def method_inputs(method: Method) -> Callable[[RunContext], Any]:
    """What the result of the method depends on, beside the stages before it."""

    def inputs(context: RunContext) -> Any:
        values = method.depends_on(parameters_of(method, context), context.config.seed)
        if _is_searched(method, context):  # only then: runs with a fixed ratio stay up to date
            values = values | {"found": found_ratio(context)}
        if method.name == "retrain":
            values = values | other_sense_inputs(context)
        if method.name == "prune" and (rows := row_inputs(context, cut_settings(context.config).token_rows)):
            values = values | {"token_rows_of": rows}
        first = methods_of(context.config)[0][0].name == method.name
        if first and "rank" not in method.needs:  # nothing before it says of which model it is
            values = values | {"model": context.base_fingerprint, "dtype": context.config.base_model.dtype}
        return values

    return inputs


def parameters_of(method: Method, context: RunContext) -> BaseModel:
    """The method's parameters as the config has them, or a search found them."""
    parameters = next(given for chosen, given in methods_of(context.config) if chosen.name == method.name)
    if not _is_searched(method, context):
        return parameters
    return parameters.model_copy(update={str(method.searched): found_ratio(context)})


def _is_searched(method: Method, context: RunContext) -> bool:
    return method.searched is not None and found_ratio(context) is not None


def apply_method(method: Method) -> Callable[[RunContext, Path], Summary]:
    """The stage that makes the method's state of the model."""

    def run(context: RunContext, folder: Path) -> Summary:
        given = method_input(method, context, folder)
        try:
            return method.make(given, parameters_of(method, context))
        finally:
            context.forget_models()

    return run


def method_input(method: Method, context: RunContext, folder: Path, *, state: str | None = None) -> MethodInput:
    """What the method is given of the run: the state before it, or the base for another `state` than its own."""
    methods = [chosen for chosen, _ in methods_of(context.config)]
    place = [chosen.name for chosen in methods].index(method.name)
    earlier = methods[:place] if state is None else []
    before = earlier[-1].state if earlier else "base"
    run = context.run

    def load() -> "LoadedModel":
        # A model in memory may be the dashboard's, shared by every visitor: only a copy of our own is changed.
        context.forget_models()
        return context.model(before)

    def load_ranked() -> "LoadedModel":
        context.forget_models()
        return context.ranked_base() if before == "base" else context.model(before)

    def saved() -> Path:
        context.forget_models()
        return context.saved_model(before)

    def base_saved() -> Path:
        context.forget_models()
        return context.saved_model("base")

    def quiz() -> Path | None:
        try:
            return write_quiz(context)
        except (InputError, WorkFailed) as error:  # no training ends for want of a quiz
            _log.warning("No quiz is asked while it learns: %s", error)
            return None
        finally:
            context.forget_models()

    def recipe() -> Path | None:
        cutting = [chosen for chosen in earlier if "recipe" in chosen.leaves]
        return run.file(cutting[-1].name, "recipe") if cutting else None

    fingerprints = [run.fingerprint(name) for name in (*(chosen.name for chosen in earlier), *method.needs)]
    return MethodInput(
        before=before,
        state=state or method.state,
        fingerprint=digest([method_inputs(method)(context), fingerprints]),
        words=context.concept.words,
        seed=context.config.seed,
        device=context.config.base_model.device,
        prompts=context.test_prompts,
        load=load,
        load_ranked=load_ranked,
        saved=saved,
        base_saved=base_saved,
        ranking=run.ranking,
        sentences=context.sentences,
        sentences_file=lambda: run.sentences_file("train"),
        other_sense=lambda: write_learnt(context),
        text=run.training_text,
        probe_sentences=lambda: write_probe_set(context),
        quiz=quiz,
        quiz_put={"quiz_chat": context.config.proof.chat, "quiz_tokens": context.config.proof.answer_tokens},
        recipe=recipe,
        concept_tokens=lambda tokenizer, settings: run_concept_tokens(context, tokenizer, settings),
        new_recipe=lambda mask, cut, rows: new_recipe(context, cut, mask, rows),
        folder=folder,
        # `retraining/` is the folder that people and scripts know a retraining by.
        work=run.training_folder
        if method.name == "retrain" and state is None
        else run.work_folder(state or method.name),
        progress=context.progress,
    )
