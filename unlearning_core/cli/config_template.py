"""A starter's config with a comment above every key, for a person to begin from."""

import json
import types
import typing
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from unlearning_core.config import DEFAULT_STARTER, starter_config
from unlearning_core.files import ROOT


def commented_starter(name: str = DEFAULT_STARTER) -> str:
    """A starter's config as JSON: every key with its value, above it a `_key` comment that is ignored on reading.

    Raises:
        InputError: no starter has this name.
    """
    config = starter_config(name)
    return json.dumps(_commented(config, shorten_paths=True), indent=4, ensure_ascii=False) + "\n"


def _commented(section: BaseModel, *, shorten_paths: bool) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            values[name] = _commented(value, shorten_paths=shorten_paths)
            continue
        choices = _choices(field.annotation)
        values[f"_{name}"] = (field.description or "") + (f" ({', '.join(choices)})" if choices else "")
        if shorten_paths and isinstance(value, str) and value.startswith(str(ROOT)):
            value = Path(value).relative_to(ROOT).as_posix()
        values[name] = value
    return values


def _choices(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is Literal:
        return [str(choice) for choice in typing.get_args(annotation)]
    if isinstance(annotation, types.UnionType):
        return [choice for part in typing.get_args(annotation) for choice in _choices(part)]
    return []
