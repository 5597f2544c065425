"""How work is asked to stop: by a signal or by a file in the job's folder."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ShouldStop = Callable[[], bool]
STOP_FILE = "stop"


def never() -> bool:
    """Nobody asks."""
    return False


@contextmanager
def stop_on_signals() -> Iterator[ShouldStop]:
    """Turn Ctrl-C and SIGTERM into an answer of True; a second Ctrl-C interrupts at once.

    Outside the main thread, where Python delivers no signals, the answer stays False.
    """
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
