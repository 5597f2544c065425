"""`unlearn families`: the model families whose neurons are known by name."""

from unlearning_core.cli.options import print_table
from unlearning_core.models.architectures import family_table


def families_command() -> None:
    """List the model families that are known; others are probed."""
    print_table(family_table())
