"""`unlearn config`: a config to begin from, or what one may hold."""

import json
from pathlib import Path

from unlearning_core.cli.config_template import commented_starter
from unlearning_core.cli.options import Starter, print_or_write
from unlearning_core.config import DEFAULT_STARTER, ExperimentConfig
from unlearning_core.errors import InputError


def config_command(*, starter: Starter = DEFAULT_STARTER, schema: bool = False, output: Path | None = None) -> None:
    """Print a config to begin from, with a comment above every key.

    Args:
        schema: print the JSON schema of every key instead.
        output: write there instead of printing.
    """
    if output is not None and output.exists():
        raise InputError(f"--output {output} is there already; give another name or delete it.")
    text = json.dumps(ExperimentConfig.model_json_schema(), indent=2) + "\n" if schema else commented_starter(starter)
    print_or_write(text, output)
