"""`unlearn starter`: the models that come with the workbench."""

from unlearning_core.cli.options import Bar, Starter
from unlearning_core.config.schema import DEFAULT_STARTER
from unlearning_core.models.sources.starters import prepare


def starter_command(name: Starter = DEFAULT_STARTER, /, *, progress: Bar) -> None:
    """Check a starter model, and unpack it where it comes as one file."""
    print(prepare(name, progress))
