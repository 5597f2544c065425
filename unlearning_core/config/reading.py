"""A config from its file: every error names its field, paths are found, and the seed system's keys are accepted."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from unlearning_core.config.schema import DEFAULT_STARTER, PATH, ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import PROGRAM, ROOT
from unlearning_core.logs import holds_secret
from unlearning_core.reading import read_json, shown_key

STARTERS = ROOT / "data" / "starters"
"""One ready-made config a starter model: what `run` without a file uses."""


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
    values = read_json(path, unique=True, mend="Correct the file there, or save it again as UTF-8.")
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
        problems = error.errors(include_url=False, include_context=False)
        more = [f"{origin}: {len(problems) - _SHOWN} more settings are wrong."] if len(problems) > _SHOWN else []
        told = _each_list_once([_sentence(origin, one) for one in problems[:_SHOWN]])
        raise InputError("\n".join(told + more)) from error
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


def changed(config: ExperimentConfig, changes: Mapping[str, Any], *, origin: str) -> ExperimentConfig:
    """`config` with other values, by `section.key` or by a key at its top.

    Args:
        origin: what an error begins with.

    Raises:
        InputError: a key is unknown or goes through something that is no section, or a value is wrong.
    """
    values = config.model_dump()
    for key, value in changes.items():
        *sections, name = key.split(".")
        place = values
        for section in sections:
            place = place.get(section)  # type: ignore[assignment]
            if not isinstance(place, dict):
                raise InputError(f"{origin}: {key} is not a known key; {section} is no section with keys.")
        place[name] = value
    return build_config(values, origin=origin, folder=Path.cwd())


def _names_ranker_alone(assignments: Sequence[str]) -> bool:
    names = [assignment.partition("=")[0].strip() for assignment in assignments]
    of_method = [name for name in names if name.startswith("neural_probing.ranker_parameters")]
    return "neural_probing.ranker" in names and not of_method


def find_path(text: str, folder: Path) -> str:
    """`text` itself, or where it lies in `folder` or `ROOT` when it is a relative path that exists there."""
    path = Path(text).expanduser()
    if not text.strip():  # an empty path would be the working folder
        return text
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
        elif holds_secret(value):
            raise InputError(
                f"{origin}: {prefix}{name} holds what looks like an access token. Remove it from the config; log in "
                "with `hf auth login` or set HF_TOKEN instead."
            )


_KNOWN = "Known here: "
_SHOWN = 5
"""Wrong settings that are told one by one."""

_NEURONS = 'neurons as [[site, layer, index], ...], a site being mlp, head or residual: [["mlp", 3, 17]]'
_FORMS = {
    "picked_neurons": _NEURONS,
    "excluded_neurons": _NEURONS,
    "layer_ratios": 'layers, from 0, each with its share from 0 to 1: {"3": 0.02}',
    "dropped_senses": 'pairs of words that stand in one sentence: [["chair", "meeting"]]',
}
"""What a setting with lists in lists holds: the library that checks it would speak of tuples."""

_FREE = ("ranker_parameters", "questions_only", "texts_only", "methods")
"""Keys whose value is a dictionary of a person's own."""


def _without_comments(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_comments(value) if isinstance(value, dict) and key not in _FREE else value
        for key, value in values.items()
        if not key.startswith("_")
    }


def _sentence(origin: str, problem: Any) -> str:
    field = ".".join(shown_key(part) for part in problem["loc"] if part not in ("str", "list[str]"))
    if problem["type"] == "extra_forbidden":
        known = known_keys(problem["loc"][:-1])
        name = str(problem["loc"][-1])
        nearest = difflib.get_close_matches(name[:80], known, n=1, cutoff=0)
        prefix = ".".join(str(part) for part in problem["loc"][:-1])
        hint = f"{prefix}.{nearest[0]}" if prefix else nearest[0]
        return f"{origin}: {field} is not a known key; did you mean {hint}? {_KNOWN}{', '.join(known)}."
    seen = json.dumps(problem.get("input"), default=str)
    if form := next((_FORMS[part] for part in problem["loc"] if part in _FORMS), None):
        field = field.removesuffix(".[key]")  # pydantic's own word for a name that is wrong
        return f"{origin}: {field} is {seen[:200]}; expected {form}. Correct it and run again."
    expected = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{origin}: {field} is {seen[:200]}; {expected}. Correct it and run again."


def _each_list_once(sentences: list[str]) -> list[str]:
    """The sentences, a list of known keys only the first time that it comes."""
    found, seen = list[str](), set[str]()
    for sentence in sentences:
        said, mark, keys = sentence.partition(_KNOWN)
        found.append(said.rstrip() if mark and keys in seen else sentence)
        seen.add(keys)
    return found


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
