"""`unlearn rankers`: the ranking methods there are."""

from unlearning_core.cli.options import print_table


def rankers_command() -> None:
    """List the ranking methods, for neural_probing.ranker."""
    from unlearning_core.rankers.registry import ranker_table

    print_table(ranker_table())
