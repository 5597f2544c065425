"""`unlearn COMMAND ...`, also `python -m unlearning_core COMMAND ...`: what the pages do, without a screen."""

import difflib
import logging
import re
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from cyclopts import App, CoercionError, CycloptsError, Parameter, Token, convert

from unlearning_core import __version__, distributed
from unlearning_core.cli.progress_bar import TerminalProgress, show_log
from unlearning_core.concepts import reading
from unlearning_core.errors import InputError, Stopped, WorkbenchError
from unlearning_core.logs import quiet_libraries, redact, start_app_log

log = logging.getLogger(__name__)


def _shown(default: Any) -> Any:
    """A default for a help text; that a flag is not given, or a list empty, says nothing."""
    return None if default is False or default == () else default


def _converted(kind: Any, tokens: Sequence[Token]) -> Any:
    """As cyclopts converts, but a fraction is no whole number: it would be rounded."""
    for token in tokens:
        if int in (kind, *get_args(kind)) and not re.fullmatch(r"[+-]?\d+", token.value):
            raise CoercionError(token=token, target_type=int)
    return convert(kind, tokens)


app = App(
    name="unlearn",
    help="Concept unlearning in language models.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(converter=_converted, negative=(), show_default=_shown),
)
for place, name in enumerate(
    (
        "auto run resume evaluate audit benchmark label filter sentences questions config starter report sweep search "
        "export import_run gguf push rankers methods families smallworld"
    ).split()
):
    command_name = name.partition("_")[0]  # a module cannot be called import
    app.command(getattr(import_module(f"unlearning_core.cli.{name}"), f"{name}_command"), name=command_name)
    app[command_name].sort_key = place
for name in ("relearn", "attack"):
    app.command(getattr(import_module("unlearning_core.cli.evaluate"), f"{name}_command"), name=name)
    app[name].sort_key = 2.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a person's mistake, 1 for a failure or a stop."""
    words = in_full(list(sys.argv[1:] if argv is None else argv))
    try:
        command, given, not_options = app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        asked = " ".join(["unlearn", *(error.command_chain or ()), "--help"])
        return _say(f"{error} `{asked}` says more.", InputError.exit_code)
    except InputError as error:  # of options that check themselves
        return _say(str(error), error.exit_code)
    if isinstance(getattr(command, "__self__", None), App):  # help or version: nothing to log
        command(*given.args, **given.kwargs)
        return 0 if {"--help", "-h", "--version"} & set(words) else InputError.exit_code
    progress = TerminalProgress()
    shown = show_log(reading.log, progress)
    try:
        _stop_on_terminate()
        start_app_log()
        quiet_libraries()
        log.info("command: %s", " ".join(words))
        command(*given.args, **given.kwargs, **dict.fromkeys(not_options, progress))
        return 0
    except BaseException as error:
        progress.close()
        return _explain(error)
    finally:
        reading.log.removeHandler(shown)
        progress.close()
        distributed.disconnect()


def in_full(words: list[str]) -> list[str]:
    """`MODEL CONCEPT ...` as `auto MODEL CONCEPT ...`.

    What is nearly a command's name is a slip and no model; `smallworld` is a model where what follows is none of its
    own commands.
    """
    first, second = (*words, "", "")[:2]
    if not second or first.startswith("-") or second.startswith("-"):
        return words
    if first in app:
        own = [name for name in app[first] if not name.startswith("-")]
        return words if not own or _nearly(second, own) else ["auto", *words]
    return words if _nearly(first, app) and not Path(first).exists() else ["auto", *words]


def _nearly(word: str, names: Iterable[str]) -> bool:
    return bool(difflib.get_close_matches(word, list(names), n=1, cutoff=0.65))


def _stop_on_terminate() -> None:
    """A polite kill stops like Ctrl-C: what is finished is kept and said."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def _explain(error: BaseException) -> int:
    """Say in one line what went wrong; the traceback of an unexpected error goes to the log alone."""
    if isinstance(error, SystemExit | BrokenPipeError):
        raise error
    if isinstance(error, KeyboardInterrupt):
        error = Stopped("Stopped. Run the same command again to go on.")
    if isinstance(error, WorkbenchError):
        log.error("%s", error)
        return _say(str(error), error.exit_code)
    log.error("unexpected error", exc_info=error)
    text = " ".join(str(error).split())[:500]
    return _say(
        f"{type(error).__name__}: {text} (an unexpected error; logs/app.log has more)", WorkbenchError.exit_code
    )


def _say(sentence: str, exit_code: int) -> int:
    print(redact(sentence), file=sys.stderr)
    return exit_code
