"""How long a search may take, and what is left of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from unlearning_core.errors import Stopped
from unlearning_core.progress import Progress, ProgressCallback

OVER = 1.15
"""Times the time of the search after which what is being tried is stopped."""


@dataclass
class Clock:
    """The time of a search, which is a part of the time of the whole.

    Attributes:
        budget: seconds that the whole may take; None: as long as it takes.
        before: seconds that went into what comes before the search: words, text, ranking.
        spent: seconds that the search took before it was stopped and called again.
        after: seconds that are kept for what comes after it: the verdict.
        stopped: whether it is the clock that stopped what was last watched, and not a person.
    """

    budget: float | None
    before: float = 0.0
    spent: float = 0.0
    after: float = 0.0
    now: Callable[[], float] = time.monotonic
    stopped: bool = field(init=False, default=False)
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.now()

    @property
    def used(self) -> float:
        """Seconds of the search, those of earlier calls too."""
        return self.spent + self.now() - self._begun

    @property
    def window(self) -> float | None:
        """Seconds that the search may take; None: as long as it takes."""
        return None if self.budget is None else max(0.0, self.budget - self.before - self.after)

    def has(self, seconds: float, share: float = 1.0) -> bool:
        """Whether so many seconds more fit into a share of the search's time."""
        return self.window is None or self.used + seconds <= share * self.window

    @property
    def over(self) -> bool:
        """Whether what is being tried is stopped too."""
        return self.window is not None and self.used > OVER * self.window

    def watching(self, progress: ProgressCallback) -> ProgressCallback:
        """Pass progress on, until the time is over for what is being tried too: that is then stopped."""
        self.stopped = False

        def report(update: Progress) -> None:
            if self.over:
                self.stopped = True
                raise Stopped("The time for the search is over. What was being tried can go on.")
            progress(update)

        return report
