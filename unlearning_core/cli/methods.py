"""`unlearn methods`: what can be done to a model."""

from unlearning_core.cli.options import print_table


def methods_command() -> None:
    """List the methods that make one model out of another, for the config's key `methods`."""
    from unlearning_core.methods.registry import method_table

    print_table(method_table())
