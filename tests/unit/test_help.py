"""Every command explains itself: a stray % in a help text would end in a traceback instead."""

import argparse
from collections.abc import Iterator

import pytest

from unlearning_core.cli.main import parser


def every(command: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield command
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from every(below)


@pytest.mark.parametrize("command", every(parser()), ids=lambda command: command.prog.split(maxsplit=1)[-1])
def test_help_is_printed(command: argparse.ArgumentParser) -> None:
    assert command.format_help().startswith("usage:")
