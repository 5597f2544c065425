"""The commands, one file each, and the program that they are commands of."""

from unlearning_core.cli.app import main

__all__ = ["main"]
