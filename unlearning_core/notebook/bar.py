"""How far it is, below the cell that works: one line that is gone when the work is done.

tqdm's bar for notebooks needs ipywidgets, and without them writes lines on standard error that a saved notebook keeps.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.progress import Progress, ProgressCallback, describe_progress

_SECONDS = 0.3
"""Between two drawings."""


class NotebookBar:
    """Draws the latest report as one line of HTML; `close` takes it away."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._task = ""
        self._started = self._drawn = self._begun_at = 0.0

    def __call__(self, update: Progress) -> None:
        """Draw `update`, not more often than is worth it."""
        now = time.monotonic()
        if update.task != self._task:
            self._task, self._started, self._drawn, self._begun_at = update.task, now, 0.0, update.done
        if now - self._drawn < _SECONDS:
            return
        self._drawn = now
        self.say(describe_progress(update, now - self._started, self._begun_at), update)

    def say(self, line: str, update: Progress | None = None) -> None:
        """Show a sentence in the bar's place."""
        from html import escape

        known = update is not None and update.total
        bar = f'<progress value="{update.done}" max="{update.total}"></progress> ' if update and known else ""
        self._show({"text/plain": line, "text/html": f"{bar}<small>{escape(line)}</small>"})

    def close(self) -> None:
        """Leave nothing behind."""
        if self._handle is not None:
            self._show({"text/plain": "", "text/html": ""})

    def _show(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class TerminalBar(TerminalProgress):
    """The command line's, which also says a sentence."""

    def say(self, line: str) -> None:
        """Print it on standard error, between two drawings."""
        self.close()
        print(line, file=self.stream, flush=True)


@contextmanager
def told(listener: ProgressCallback | None) -> Iterator[tuple[ProgressCallback, Any]]:
    """(who hears how far it is, who is told a sentence): `listener`, or a bar below the cell or in the terminal."""
    bar = NotebookBar() if in_notebook() else TerminalBar()
    try:
        yield listener or bar, bar.say
    finally:
        bar.close()


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, in a notebook of whatever kind."""
    import sys

    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
