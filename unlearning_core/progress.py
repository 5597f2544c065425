"""How long work says how far it is, to whoever listens: a bar in the terminal, a bar on a page, an event file."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report.

    Attributes:
        task: what is being done, in words a person reads ("ranking neurons").
        done: units finished so far.
        total: units in all, or None while that is unknown.
        unit: what is counted ("sentences", "tokens", "steps", "bytes").
    """

    task: str
    done: float
    total: float | None = None
    unit: str = ""


ProgressCallback = Callable[[Progress], None]
"""Called from the thread that works, often (cheap to call). It may raise `errors.Stopped` to stop the work."""


def silent(progress: Progress) -> None:
    """Listen to nothing: the default callback."""


def describe_progress(update: Progress, seconds: float, begun_at: float = 0.0) -> str:
    """One line for a person: "ranking neurons: 120 of 480 sentences, 40 a second, 9 s left".

    Args:
        update: the latest report of the task.
        seconds: how long the task has been watched.
        begun_at: what was done already when the watching began.
    """
    text = update.task
    if update.total:
        text += f": {_amount(update.done, update.unit)} of {_amount(update.total, update.unit)}"
    elif update.done:
        text += f": {_amount(update.done, update.unit)}"
    text += f" {update.unit}" if update.unit not in ("", "bytes") and (update.total or update.done) else ""
    rate = (update.done - begun_at) / seconds if seconds > 1 else 0.0
    if rate > 0:
        text += f", {_amount(rate, update.unit)} a second" if rate >= 1 else f", {1 / rate:.1f} s each"
        if update.total and update.done < update.total:
            text += f", {duration((update.total - update.done) / rate)} left"
    return text


def _amount(number: float, unit: str) -> str:
    if unit == "bytes":
        return f"{number / 1e6:,.0f} MB"
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def duration(seconds: float) -> str:
    """Seconds in words: "45 s", "3 min", "1 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, thing: str) -> str:
    """ "1 layer", "12 layers"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """Bytes in words: "1.2 GB", "30.0 MB", "2 kB"."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} GB"
    return f"{number / 1e6:.1f} MB" if number >= 1e5 else f"{number / 1e3:.0f} kB"
