"""`unlearn config`: a config to begin from, or what one may hold."""

import json
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from unlearning_core.cli.options import OutputFile, Starter, print_or_write
from unlearning_core.config.reading import starter_config
from unlearning_core.config.schema import DEFAULT_STARTER, PATH, ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT


def config_command(
    *, starter: Starter = DEFAULT_STARTER, schema: bool = False, output: OutputFile | None = None
) -> None:
    """Print a config to begin from, with a comment above every key.

    Args:
        schema: print the JSON schema of every key instead.
        output: write there instead of printing.
    """
    if output is not None and output.exists():
        raise InputError(f"--output {output} is there already; give another name or delete it.")
    text = json.dumps(ExperimentConfig.model_json_schema(), indent=2) + "\n" if schema else commented_starter(starter)
    print_or_write(text, output)


def commented_starter(name: str = DEFAULT_STARTER) -> str:
    """A starter's config as JSON: every key with its value, above it a `_key` comment that is ignored on reading.

    Raises:
        InputError: no starter has this name.
    """
    return json.dumps(_commented(starter_config(name)), indent=4, ensure_ascii=False) + "\n"


def _commented(section: BaseModel) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in section.model_dump().items():
        field, inner = type(section).model_fields[name], getattr(section, name)
        if isinstance(inner, BaseModel):
            values[name] = _commented(inner)
            continue
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        values[f"_{name}"] = (field.description or "") + (f" ({', '.join(choices)})" if choices else "")
        # A path from the root, for the file may go to another machine.
        inside = PATH in field.metadata and isinstance(value, str) and Path(value).is_relative_to(ROOT)
        values[name] = Path(value).relative_to(ROOT).as_posix() if inside else value
    return values
