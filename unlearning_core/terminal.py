"""The progress bar of the command line: what is done, how fast, how long still; quiet when nobody watches."""

import sys
import time

from unlearning_core.progress import Progress


class TerminalProgress:
    """Draws one line on standard error, or a line every 15 seconds where standard error is not a terminal."""

    def __init__(self) -> None:
        self.stream = sys.stderr
        self.live = self.stream.isatty()
        self._task = ""
        self._started = self._drawn = 0.0

    def __call__(self, update: Progress) -> None:
        """Draw `update`, not more often than is worth it."""
        now = time.monotonic()
        if update.task != self._task:
            self.close()
            self._task, self._started, self._drawn = update.task, now, 0.0
            if not self.live:
                print(update.task, file=self.stream, flush=True)
        finished = update.total is not None and update.done >= update.total
        if not finished and now - self._drawn < (0.2 if self.live else 15):
            return
        self._drawn = now
        line = describe(update, now - self._started)
        if self.live:
            print(f"\r\x1b[2K{line}", end="", file=self.stream, flush=True)
        elif update.done:
            print(line, file=self.stream, flush=True)

    def close(self) -> None:
        """End the line that is being drawn."""
        if self.live and self._task:
            print(file=self.stream, flush=True)
        self._task = ""


def describe(update: Progress, seconds: float) -> str:
    """One line: task, share done, count, rate and time left."""
    line = update.task
    rate = update.done / seconds if seconds > 0.5 and update.done else 0.0
    if update.total:
        share = min(1.0, update.done / update.total)
        line += f"  [{'#' * round(20 * share):<20}] {100 * share:3.0f} %  {_count(update.done)}/{_count(update.total)}"
    elif update.done:
        line += f"  {_count(update.done)}"
    line += f" {update.unit}" if update.unit and update.done else ""
    if rate:
        line += f", {_count(rate)} {update.unit or 'steps'}/s" if rate >= 1 else f", {rate:.2f} {update.unit}/s"
        if update.total and update.done < update.total:
            line += f", {duration((update.total - update.done) / rate)} left"
    return line


def duration(seconds: float) -> str:
    """Seconds in words: 8 s, 3 min 20 s, 1 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
