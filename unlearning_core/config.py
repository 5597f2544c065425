"""The experiment as one JSON file: every error names its field, and the seed system's keys are accepted."""

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from unlearning_core.errors import InputError
from unlearning_core.files import PROGRAM, ROOT
from unlearning_core.logs import redact

STARTERS = ROOT / "data" / "starters"
"""One ready-made config a starter model: what `run` without a file uses."""

DEFAULT_STARTER = "smallworld"
"""The starter that `run` uses when neither a config nor a starter is named."""

PATH = "path"
"""Marks a field that may hold the path of a file or folder: a relative one is looked up when a config is read."""

Location = Annotated[str | None, PATH]


class Section(BaseModel):
    """A part of the config; unknown keys are refused, so that a typing error cannot silently do nothing."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class BaseModelSection(Section):
    """Which model is edited."""

    base_model_path: Annotated[str, PATH] = Field(
        DEFAULT_STARTER, min_length=1, description="a folder, a .gguf file, a Hub id or a starter"
    )
    model_type: str | None = Field(None, description="checked against the model (gpt2, llama, ...)")
    neurons_per_layer: int | None = Field(None, description="checked against the model's hidden size or site width")
    num_layers: int | None = Field(None, description="checked against the model")
    revision: str | None = Field(None, description="branch, tag or commit of a Hub model")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0, mps")
    dtype: str = Field("auto", description="auto, float32, bfloat16, float16")
    allow_pickle: bool = Field(False, description="also load pytorch_model.bin; only from someone you trust")


class NeuralProbingSection(Section):
    """What the concept is, where it occurs, how its neurons are found and how many are cut."""

    concept_definition: Annotated[str | list[str], PATH] = Field(
        "data/target_words.txt", description="a file of concept words (one a line, commas or CSV), or a list of words"
    )
    inflections: bool = Field(True, description="also match inflected forms (sit -> sat, sitting)")
    language: str = Field("en", description="language of the inflections")
    tokens_input_path: Location = Field(None, description="tokens file in the seed's and NeuroX's format")
    labels_input_path: Location = Field(None, description="labels file that goes with it")
    target_label: str = Field("target", description="the label of concept tokens in the labels file")
    activations_label: str | None = Field(None, description="a short name for the run folder")
    sentences: Location = Field(None, description="sentences when there is no tokens file: file, folder or dataset")
    sentences_split: str | None = Field(None, description="split of that dataset")
    sentences_column: str | None = Field(None, description="text column of that dataset or CSV")
    retain_corpus: Location = Field(None, description="more text without the concept, to rank against and measure on")
    neighbours: Annotated[str | list[str] | None, PATH] = Field(
        None, description="words near the concept that must stay, a file or a list: ranked against, measured apart"
    )
    neighbour_corpus: Location = Field(
        None, description="more text about neighbours; without words of theirs all of it counts as such"
    )
    neighbour_corpus_split: str | None = Field(None, description="split of that dataset")
    neighbour_corpus_column: str | None = Field(None, description="text column of that dataset or CSV")
    neighbour_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="share of neighbours in the text that is ranked against, by weight; 0: as they come",
    )
    dropped_sentences: list[str] = Field(default_factory=list, description="sentences of these that are left out")
    dropped_words: list[str] = Field(
        default_factory=list, description="concept words, or forms of them, whose sentences are left out"
    )
    dropped_senses: list[tuple[str, str]] = Field(
        default_factory=list, description='["chair", "meeting"]: left out where both stand in a sentence'
    )
    max_concept_sentences: int = Field(600, ge=2, description="sentences with the concept that are used at most")
    max_retain_sentences: int = Field(600, ge=0, description="sentences without it that are ranked against at most")
    held_out: float = Field(0.25, gt=0, lt=1, description="fraction of the sentences kept for measuring only")
    site: Literal["mlp", "head", "residual"] = Field("mlp", description="which kind of neuron")
    alignment: Literal["before", "at"] = Field("before", description="read where the word is predicted, or at it")
    aggregation: Literal["token", "average", "first", "last"] = Field("token", description="sub-words to words")
    skip_first_position: bool = Field(True, description="leave the attention sink at position 0 out of all statistics")
    protect_massive: bool = Field(True, description="never cut the neurons that write the attention sink")
    ranker: str = Field("combined", description="ranking method; the command `rankers` lists them")
    ranker_parameters: dict[str, Any] = Field(default_factory=dict, description="that method's own parameters")
    prune_ratio: float = Field(0.003, ge=0, le=1, description="fraction of the ranked neurons that is cut")
    per_layer: bool = Field(False, description="cut the same fraction of every layer instead of the overall top")
    protected_layers: list[int] = Field(
        default_factory=list, description="layers, from 0, of which nothing is cut; the ratio is of all others"
    )
    excluded_neurons: list[tuple[Literal["mlp", "head", "residual"], int, int]] = Field(
        default_factory=list, description='["mlp", 3, 17] is site, layer, index of a neuron that no cut touches'
    )


class SearchSection(Section):
    """The smallest cut that forgets enough at a bearable price, in place of a fixed prune ratio."""

    forget: float | None = Field(
        None, gt=0, description="nats a concept token to forget at least; none: neural_probing.prune_ratio is cut"
    )
    retain: float = Field(0.05, ge=0, description="nats a token that everything else, neighbours too, may lose at most")
    sentences: int = Field(100, ge=2, description="held-out sentences with, and as many without the concept")


class RetrainingSection(Section):
    """How the pruned model recovers on text without the concept."""

    enabled: bool = Field(True, description="false stops after pruning")
    train_dataset_path: Location = Field(None, description="training text; filtered of the concept once more")
    val_dataset_path: Location = Field(None, description="validation text; filtered too")
    dataset: Location = Field(None, description="or one dataset to filter and split; none: the retain sentences")
    dataset_column: str | None = Field(None, description="its text column")
    max_train_texts: int | None = Field(None, ge=1, description="training texts at most")
    num_train_epochs: float = Field(1, ge=1e-6, le=10_000, description="passes over the text")
    max_steps: int | None = Field(None, ge=1, le=2**31, description="stop after so many optimizer steps")
    learning_rate: float = Field(2e-5, ge=1e-12, le=1, description="peak learning rate (2e-5 is usual)")
    weight_decay: float = Field(0.01, ge=0, le=10, description="AdamW weight decay")
    warmup_ratio: float = Field(0.05, ge=0, le=0.999, description="fraction of the steps that warm up")
    batch_size: int = Field(4, ge=1, le=65_536, description="texts an optimizer step, over all devices together")
    max_length: int | None = Field(
        None, ge=2, le=1_048_576, description="tokens a sequence; none: the model's own, at most 512"
    )
    keep_pruned: bool = Field(True, description="hold cut neurons at zero; false lets them regrow")
    measure_while_learning: bool = Field(True, description="measure a few sentences on the way, in 5 % of the time")
    checkpoint_steps: int = Field(100, ge=1, le=2**31, description="optimizer steps between checkpoints")


class MethodSection(Section):
    """One step of what is done to the model."""

    name: str = Field(min_length=1, description="a method; `unlearn methods` lists them")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the method's own parameters")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class EvaluationSection(Section):
    """How much is measured."""

    max_sentences: int = Field(150, ge=2, description="held-out sentences with, and as many without the concept")


class NeverKnewSection(Section):
    """What the models are compared with: one that was trained without the concept, as if it had been forgotten."""

    model: Location = Field(None, description="a model of the same vocabulary that never knew; none: no comparison")
    revision: str | None = Field(None, description="branch, tag or commit of a Hub model")
    questions: Location = Field(None, description="JSON lines: prompt, paraphrase (right answer), perturbed (wrong)")
    questions_only: dict[str, Any] = Field(default_factory=dict, description="fields that a question must have")
    forget_texts: Location = Field(None, description="text about the concept: file, folder or dataset")
    neighbour_texts: Location = Field(None, description="text about what stands near it")
    retain_texts: Location = Field(None, description="text about everything else")
    texts_only: dict[str, Any] = Field(default_factory=dict, description="fields that a text must have (JSON lines)")
    max_questions: int = Field(400, ge=2, description="questions at most, drawn by the seed")
    max_texts: int = Field(200, ge=2, description="texts of each kind at most, drawn by the seed")


class GenerationSection(Section):
    """How the test prompts are continued."""

    temperature: float = Field(0.8, ge=0, le=1000, description="0 is greedy")
    top_p: float = Field(0.95, gt=0, le=1, description="probability mass sampled from")
    max_new_tokens: int = Field(40, ge=1, le=100_000, description="length of a continuation")
    samples: int = Field(3, ge=1, le=10_000, description="continuations a prompt")
    seed: int = Field(0, ge=0, lt=2**32, description="of the samples")


class ExperimentConfig(Section):
    """A whole experiment; `ExperimentConfig()` is not runnable until it names sentences or a tokens file."""

    base_model: BaseModelSection = Field(default_factory=BaseModelSection)
    neural_probing: NeuralProbingSection = Field(default_factory=NeuralProbingSection)
    search: SearchSection = Field(default_factory=SearchSection)
    retraining: RetrainingSection = Field(default_factory=RetrainingSection)
    methods: list[MethodSection] | None = Field(
        None, description='what is done to the model, in order, as ["prune", "retrain"]; none: these two'
    )
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    never_knew: NeverKnewSection = Field(default_factory=NeverKnewSection)
    generation: GenerationSection = Field(default_factory=GenerationSection)
    test_prompts: list[str] = Field(
        default_factory=lambda: [
            "Paris is the capital city of",
            "I'm tired, I need to rest on this",
            "Q: What is a chair? A:",
            "Q: What is a uuisen? A:",
        ],
        description="continued by the base, the pruned and the retrained model",
    )
    output_dir: str = Field("runs", description="where run folders are made")
    seed: int = Field(0, ge=0, lt=2**32, description="of splits, samples and training")
    push_to_hub: str | None = Field(None, description="Hub id to push the retrained model to, with the Hub's own login")


def load_config(path: Path) -> ExperimentConfig:
    """Read a config file; relative paths in it are found from the working folder, its own folder or `ROOT`.

    Raises:
        InputError: the file is missing, not UTF-8, not JSON, or a field is unknown or wrong.
    """
    values = read_config_values(path)
    return build_config(values, origin=str(path), folder=path.resolve().parent)


def read_config_values(path: Path) -> dict[str, Any]:
    """The raw values of a config file, without `_comment` keys; raises InputError as `load_config` does."""
    if not path.is_file():
        raise InputError(
            f"Config file {path} does not exist. Give the path of a JSON file, or write a starter with "
            f"`{PROGRAM} config > config.json`."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and try again.") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}. Mend the file there."
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds a {type(values).__name__}; expected a JSON object with a base_model section.")
    return _without_comments(values)


def starter_names() -> list[str]:
    """The starters that have a ready-made experiment, the default first."""
    return sorted((file.stem for file in STARTERS.glob("*.json")), key=lambda name: (name != DEFAULT_STARTER, name))


def starter_file(name: str) -> Path:
    """Where the ready-made experiment of a starter model is; raises InputError with the names there are."""
    if name not in starter_names():
        raise InputError(f"--starter {name}: there is no such starter. Known: {', '.join(starter_names())}.")
    return STARTERS / f"{name}.json"


def starter_config(name: str) -> ExperimentConfig:
    """The ready-made experiment of a starter model; raises InputError with the names there are."""
    return load_config(starter_file(name))


def build_config(values: dict[str, Any], *, origin: str = "config", folder: Path | None = None) -> ExperimentConfig:
    """Check `values` and resolve the paths in them; raises InputError that names the field."""
    try:
        config = ExperimentConfig.model_validate(values)
    except ValidationError as error:
        raise InputError("\n".join(_sentence(origin, problem) for problem in error.errors())) from error
    _refuse_secrets(config, origin)
    for section, given, needed in (
        ("neural_probing", "tokens_input_path", "labels_input_path"),
        ("neural_probing", "labels_input_path", "tokens_input_path"),
        ("retraining", "val_dataset_path", "train_dataset_path"),
    ):
        if getattr(getattr(config, section), given) and not getattr(getattr(config, section), needed):
            raise InputError(f"{origin}: {section}.{given} is given without {section}.{needed}; give both.")
    if folder is not None:
        _resolve_paths(config, folder)
    return config


def override(values: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Apply `section.key=value` assignments; a value is read as JSON where it is JSON, else as text.

    Another ranker without parameters of its own takes its defaults, not what stood there for the one before.

    Raises:
        InputError: an assignment has no `=`, or goes through something that is not a section.
    """
    probing = values.get("neural_probing")
    if isinstance(probing, dict) and _names_ranker_alone(assignments):
        probing.pop("ranker_parameters", None)  # they are another method's
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise InputError(f"--set {assignment}: expected KEY=VALUE, for example neural_probing.prune_ratio=0.05.")
        *sections, name = key.strip().split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"--set {assignment}: {section} is a value, not a section with keys.")
        try:
            place[name] = json.loads(text)
        except json.JSONDecodeError:
            place[name] = text
    return values


def _names_ranker_alone(assignments: Sequence[str]) -> bool:
    names = [assignment.partition("=")[0].strip() for assignment in assignments]
    of_method = [name for name in names if name.startswith("neural_probing.ranker_parameters")]
    return "neural_probing.ranker" in names and not of_method


def find_path(text: str, folder: Path) -> str:
    """`text` itself, or where it lies in `folder` or `ROOT` when it is a relative path that exists there."""
    path = Path(text).expanduser()
    if path.is_absolute() or path.exists():
        return str(path.resolve()) if path.exists() else str(path)
    for base in (folder, ROOT):
        if (base / path).exists():
            return str((base / path).resolve())
    return text


def _resolve_paths(section: BaseModel, folder: Path) -> None:
    from unlearning_core.models.sources.starters import STARTERS as NAMED

    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            _resolve_paths(value, folder)
        # A starter's name wins over a folder that happens to be called the same.
        elif PATH in field.metadata and isinstance(value, str) and value not in NAMED:
            setattr(section, name, find_path(value, folder))


def locations(section: BaseModel) -> list[str]:
    """Every file, folder, dataset or model that the settings name."""
    found: list[str] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found += locations(value)
        elif PATH in field.metadata and isinstance(value, str):
            found.append(value)
    return found


def _refuse_secrets(section: BaseModel, origin: str, prefix: str = "") -> None:
    """A config is kept in the run folder and in the log, so an access token must not stand in it."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            _refuse_secrets(value, origin, f"{prefix}{name}.")
        elif isinstance(value, str) and redact(value) != value:
            raise InputError(
                f"{origin}: {prefix}{name} holds what looks like an access token. Remove it from the config; log in "
                "with `hf auth login` or set HF_TOKEN instead."
            )


_FREE = ("ranker_parameters", "questions_only", "texts_only", "methods")
"""Keys whose value is a dictionary of a person's own."""


def _without_comments(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_comments(value) if isinstance(value, dict) and key not in _FREE else value
        for key, value in values.items()
        if not key.startswith("_")
    }


def _sentence(origin: str, problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"] if part not in ("str", "list[str]"))
    if problem["type"] == "extra_forbidden":
        known = known_keys(problem["loc"][:-1])
        name = str(problem["loc"][-1])
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
        prefix = ".".join(str(part) for part in problem["loc"][:-1])
        hint = f"{prefix}.{nearest[0]}" if prefix else nearest[0]
        return f"{origin}: {field} is not a known key; did you mean {hint}? Known here: {', '.join(known)}."
    seen = json.dumps(problem.get("input"), default=str)
    expected = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{origin}: {field} is {seen[:200]}; {expected}. Correct it and run again."


def known_keys(location: tuple[Any, ...]) -> list[str]:
    """The keys that the section at `location` has; a number in it is a place in a list of sections."""
    section: type[BaseModel] = ExperimentConfig
    for part in location:
        if field := section.model_fields.get(str(part)):
            section = next(_sections(field.annotation), section)
    return list(section.model_fields)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
