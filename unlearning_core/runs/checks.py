"""What can be known before the work of a run begins is refused then, and not when its stage comes an hour later."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.evaluation.prompts import check_prompts, prompt_ids
from unlearning_core.files import PROGRAM
from unlearning_core.methods.registry import methods_of
from unlearning_core.runs.cut_size import cut_size

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from unlearning_core.models.inspection import ModelInfo
    from unlearning_core.runs.context import RunContext

WITHOUT_MODEL = frozenset({"label", "filter", "report", "push"})
"""Stages that load no model."""

NO_TEXT = (
    "The config names no text: give neural_probing.sentences, or neural_probing.tokens_input_path with "
    f"labels_input_path. No text at hand? `{PROGRAM} sentences` lets the model write it."
)


@dataclass(frozen=True)
class TextSetting:
    """A text that the settings name.

    Attributes:
        stage: the one that reads it; its first word.
        field: of the config.
        value: what is written there.
        options: how it is read (`read_texts`).
    """

    stage: str
    field: str
    value: str
    options: dict[str, Any]


def check_start(context: "RunContext", pending: Collection[str]) -> None:
    """Refuse what the stages `pending`, those that have work to do, would refuse later.

    The base model is loaded first where one of them works with it; it stays in the context.

    Raises:
        InputError: a word list, text, prompt, layer, neuron or figure cannot be used; names the setting.
        WorkFailed: there is not enough memory or disk space.
    """
    from unlearning_core.runs.room import check_room

    check_settings(context, pending)
    if any(name.startswith("distance ") for name in pending):
        check_never_knew(context.config)
    for method, parameters in methods_of(context.config):
        # A training that is there already reports nothing, but a tracker that is named and missing is a mistake.
        if method.name in pending or method.name == "retrain":
            method.check(parameters, context.progress)
    first = next((name for name in pending if name not in WITHOUT_MODEL), "")
    if first in ("rank", "search", "prune") or first.endswith(" base"):
        loaded = context.model("base") if first.endswith(" base") else context.ranked_base()
        check_model(context.config, loaded.info, loaded.tokenizer)
    check_room(context, pending)


def check_settings(context: "RunContext", pending: Collection[str]) -> dict[str, list[str]]:
    """What can be checked without any model; returns the first texts of each source, by the setting's name.

    Raises:
        InputError: a word list, text or prompt cannot be used, or nothing could be pushed; names the setting.
    """
    config, kinds = context.config, {name.partition(" ")[0] for name in pending}
    if "label" in kinds:
        check_words(context)
        if not (config.neural_probing.sentences or config.neural_probing.tokens_input_path):
            raise InputError(NO_TEXT)
    if "push" in kinds:
        check_push(config)
    if kinds & {"measure", "distance"} and config.test_prompts:  # without any they follow the concept
        check_prompts(config.test_prompts)
    if "questions" in kinds:
        check_questions(config, context.source)
    return check_texts(config, kinds, context.source)


def check_words(context: "RunContext") -> None:
    """Read the concept's words and its neighbours.

    Raises:
        InputError: a list cannot be used, a word is in both, or there is no such language; names the setting.
    """
    from unlearning_core.concepts.lemmas import language_code

    with _Of("neural_probing.language"):
        language_code(context.config.neural_probing.language)
    with _Of("neural_probing.concept_definition"):
        _ = context.concept
    with _Of("neural_probing.neighbours"):
        _ = context.neighbours


def texts_named(config: ExperimentConfig) -> Iterator[TextSetting]:
    """The texts that the stages read, in their order."""
    probing, training, twin = config.neural_probing, config.retraining, config.never_knew
    given: list[tuple[str, str, str | None, dict[str, Any]]] = [
        (
            "label", "neural_probing.sentences", None if probing.tokens_input_path else probing.sentences,
            {"split": probing.sentences_split, "column": probing.sentences_column}
            | probing.sentences_reading.model_dump(),
        ),
        (
            "label", "neural_probing.retain_corpus", probing.retain_corpus,
            {"split": probing.retain_corpus_split, "column": probing.retain_corpus_column}
            | probing.retain_corpus_reading.model_dump(),
        ),
        (
            "label", "neural_probing.neighbour_corpus", probing.neighbour_corpus,
            {"split": probing.neighbour_corpus_split, "column": probing.neighbour_corpus_column}
            | probing.neighbour_corpus_reading.model_dump(),
        ),
    ]  # fmt: skip
    reading: dict[str, Any] = {
        "split": training.dataset_split, "column": training.dataset_column, **training.dataset_reading.model_dump()
    }  # fmt: skip
    for name in ("train_dataset_path", "val_dataset_path"):
        given.append(("filter", f"retraining.{name}", getattr(training, name), reading))
    given.append(("filter", "retraining.dataset", None if training.train_dataset_path else training.dataset, reading))
    if not (training.train_dataset_path or training.dataset):
        # It then trains on the sentences without the concept.
        given += [("filter", field, value, options) for _, field, value, options in given[:2]]
    if training.objective == "distill":
        given.append(("retrain", "retraining.other_sense_texts", training.other_sense_texts, {}))
    for name in ("forget_texts", "neighbour_texts", "retain_texts"):
        value = getattr(twin, name) if twin.model is not None else None
        given.append(("distance", f"never_knew.{name}", value, {"only": twin.texts_only}))
    yield from (TextSetting(stage, field, value, options) for stage, field, value, options in given if value)


def check_texts(
    config: ExperimentConfig, kinds: Collection[str], source: Callable[[str], str] = str
) -> dict[str, list[str]]:
    """The first three texts of each source that these kinds of stages read, by field.

    Raises:
        InputError: one is not there, cannot be read or has no such column; names the setting.
    """
    from unlearning_core.concepts.texts import read_texts

    first: dict[str, list[str]] = {}
    for text in texts_named(config):
        if text.stage in kinds:
            with _Of(text.field):
                first[text.field] = list(read_texts(source(text.value), limit=3, **text.options))
    probing, twin = config.neural_probing, config.never_knew
    if "label" in kinds:
        for name in ("tokens_input_path", "labels_input_path"):
            place = getattr(probing, name)
            if place and not Path(source(place)).is_file():
                raise InputError(f"neural_probing.{name}: {place} does not exist. Give the path of that file.")
    if "distance" in kinds and twin.model is not None and twin.questions:
        from unlearning_core.evaluation.truth_ratio import read_questions

        with _Of("never_knew.questions"):
            read_questions(Path(source(twin.questions)), twin.questions_only)
    return first


def check_questions(config: ExperimentConfig, source: Callable[[str], str] = str) -> None:
    """Read the questions that the settings name; raises InputError that names the setting."""
    from unlearning_core.evaluation.question_sets import read_question_set

    if config.proof.questions is not None:
        with _Of("proof.questions"):
            read_question_set(Path(source(config.proof.questions)))


def check_proof(config: ExperimentConfig, source: Callable[[str], str] = str) -> None:
    """Look at everything that the settings name for an evaluation.

    Raises:
        InputError: a file is not there or cannot be read; names the setting.
    """
    from unlearning_core.concepts.texts import read_texts

    check_questions(config, source)
    for name in ("prompts", "other_sense_texts", "other_texts", "attack_texts", "attack_other_texts"):
        value = getattr(config.proof, name)
        if value is not None:
            with _Of(f"proof.{name}"):
                list(read_texts(source(value), limit=3))


class _Of:
    """Puts the name of a setting before what is wrong with its value."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InputError) and not str(error).startswith(self.field):
            raise InputError(f"{self.field}: {error}") from error


def check_model(config: ExperimentConfig, info: "ModelInfo", tokenizer: "PreTrainedTokenizerFast | None") -> int:
    """Compare with the model what the settings say of it; returns how many neurons are cut, of a fixed ratio.

    Args:
        tokenizer: None leaves the length of the prompts unchecked.

    Raises:
        InputError: a figure, site, layer, neuron or length does not fit the model, a prompt fills its context, or the
            ratio is so small that it cuts nothing.
    """
    _check_figures(config, info)
    if tokenizer is not None:
        _check_kept(config, tokenizer)
        ends = {tokenizer.eos_token_id} - {None}
        for number, prompt in enumerate(config.test_prompts, 1):
            prompt_ids(tokenizer, prompt, number, ends, info.context)
    asked = config.retraining.max_length
    retrains = any(method.name == "retrain" for method, _ in methods_of(config))
    if retrains and asked and info.context and asked > info.context:
        raise InputError(
            f"retraining.max_length is {asked}, but {info.source} has positions for {info.context} tokens; use "
            f"{info.context} or fewer, or leave it out."
        )
    return cut_size(config, info)


def _check_kept(config: ExperimentConfig, tokenizer: "PreTrainedTokenizerFast") -> None:
    """The tokens whose rows are not to be reset: a typing error there would go unseen."""
    vocabulary = tokenizer.get_vocab()
    for token in config.neural_probing.token_rows.kept:
        if token not in vocabulary and len(tokenizer.encode(token, add_special_tokens=False)) != 1:
            raise InputError(
                f"neural_probing.token_rows.kept names {token!r}, which is no token of this model. Write it as the "
                "list of tokens does (recipe/tokens.parquet, the Prune page), or leave it out."
            )


def _check_figures(config: ExperimentConfig, info: "ModelInfo") -> None:
    """The optional figures of the config, the seed system's."""
    section, site = config.base_model, config.neural_probing.site
    if section.model_type not in (None, info.model_type):
        raise InputError(
            f"base_model.model_type is {section.model_type!r}, but {section.base_model_path} is a "
            f"{info.model_type!r} model. Write {info.model_type!r} or leave the key out."
        )
    if section.num_layers not in (None, info.layers):
        raise InputError(
            f"base_model.num_layers is {section.num_layers}, but {section.base_model_path} has {info.layers}. Write "
            f"{info.layers} or leave the key out."
        )
    hidden, width = info.hidden, info.shapes.get(site, (0, None))[1]
    if section.neurons_per_layer not in (None, hidden, width):
        raise InputError(
            f"base_model.neurons_per_layer is {section.neurons_per_layer}, but {section.base_model_path} has "
            f"{hidden} (its hidden size; the site {site!r} has {width}). Write {hidden} or leave the key out."
        )


def check_never_knew(config: ExperimentConfig) -> None:
    """Look at the never-knew model without reading its weights.

    Raises:
        InputError: it cannot be had; names the setting.
    """
    from unlearning_core.models.inspection import inspect_model

    section, base = config.never_knew, config.base_model
    if section.model is not None:
        with _Of("never_knew.model"):
            inspect_model(
                section.model,
                revision=section.revision,
                **base.how_to_load(),
            )


def check_push(config: ExperimentConfig) -> None:
    """Refuse a name that the Hub would not take, or a push that nobody is logged in for.

    Raises:
        InputError: one of these, or the Hub is switched off by HF_HUB_OFFLINE.
    """
    check_repository(str(config.push_to_hub))


def check_repository(name: str, *, sending: bool = True, called: str = "push_to_hub") -> None:
    """Refuse a name that the Hub would not take and, before something is sent, a push that nobody is logged in for.

    Args:
        called: what the person knows the name by: a setting, or an argument of a command.

    Raises:
        InputError: one of these, or the Hub is switched off by HF_HUB_OFFLINE.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{called} is {name!r}, which is no name on the Hub: {error} Write owner/name.") from error
    if "/" not in name:
        raise InputError(f"{called} is {name!r}, without an owner. Write owner/name, such as my-account/{name}.")
    if not sending:
        return
    if constants.HF_HUB_OFFLINE:
        raise InputError(f"{called} is {name!r}, but HF_HUB_OFFLINE switches the Hub off. Unset it, or do not send.")
    if get_token() is None:
        raise InputError(f"{called} is {name!r}, but nobody is logged in. Run `hf auth login` and run again.")
