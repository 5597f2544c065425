"""The progress bar of the command line: what is done, how fast, how long still; quiet when nobody watches."""

import logging
import sys
import time

from unlearning_core.logs import redact
from unlearning_core.progress import Progress, describe_progress


class TerminalProgress:
    """Draws one line on standard error, or a line every 15 seconds where standard error is not a terminal."""

    def __init__(self) -> None:
        self.stream = sys.stderr
        self.live = self.stream.isatty()
        self._task = ""
        self._started = self._drawn = self._begun_at = self._told = 0.0

    def __call__(self, update: Progress) -> None:
        """Draw `update`, not more often than is worth it."""
        now = time.monotonic()
        if update.task != self._task:
            self.close()
            self._task, self._started, self._drawn, self._begun_at = update.task, now, 0.0, update.done
            self._told = -1.0
            if not self.live:
                print(update.task, file=self.stream, flush=True)
        finished = update.total is not None and update.done >= update.total
        if not finished and now - self._drawn < (0.2 if self.live else 15):
            return
        if not self.live and update.done == self._told:  # a worker says again and again that it is done
            return
        self._drawn, self._told = now, update.done
        line = _bar(update) + describe_progress(update, now - self._started, self._begun_at)
        if self.live:
            print(f"\r\x1b[2K{line}", end="", file=self.stream, flush=True)
        elif update.done:
            print(line, file=self.stream, flush=True)

    def close(self) -> None:
        """End the line that is being drawn."""
        if self.live and self._task:
            print(file=self.stream, flush=True)
        self._task = ""


class _ShownLog(logging.Handler):
    """Prints what is logged on standard error, each sentence once, between two drawings of the bar."""

    def __init__(self, progress: TerminalProgress) -> None:
        super().__init__(logging.INFO)
        self._progress = progress
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        sentence = redact(record.getMessage())
        if sentence not in self._said:
            self._said.add(sentence)
            self._progress.close()
            print(sentence, file=self._progress.stream, flush=True)


def show_log(log: logging.Logger, progress: TerminalProgress) -> logging.Handler:
    """Show a log to the person while a command runs; returns the handler, to be removed from it."""
    handler = _ShownLog(progress)
    log.addHandler(handler)
    return handler


def _bar(update: Progress) -> str:
    if not update.total:
        return ""
    share = min(1.0, update.done / update.total)
    return f"[{'#' * round(20 * share):<20}] {100 * share:3.0f} %  "
