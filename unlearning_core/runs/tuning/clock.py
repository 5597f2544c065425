"""How long a search may take, and what is left of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from unlearning_core.errors import Stopped
from unlearning_core.progress import Progress, ProgressCallback

OVER = 1.15
"""Times the budget after which what is being tried is stopped: a search ends within a fifth beyond its time."""


@dataclass
class Clock:
    """The time of a search.

    Attributes:
        budget: seconds that it may take in all; None: as long as it takes.
        spent: seconds that it took before it was stopped and called again.
    """

    budget: float | None
    spent: float = 0.0
    now: Callable[[], float] = time.monotonic
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.now()

    @property
    def used(self) -> float:
        """Seconds, those of earlier calls too."""
        return self.spent + self.now() - self._begun

    def has(self, seconds: float, share: float = 1.0) -> bool:
        """Whether so many seconds more fit into a share of the budget."""
        return self.budget is None or self.used + seconds <= share * self.budget

    @property
    def over(self) -> bool:
        """Whether what is being tried is stopped too."""
        return self.budget is not None and self.used > OVER * self.budget

    def watching(self, progress: ProgressCallback) -> ProgressCallback:
        """Pass progress on, until the time is over for what is being tried too: that is then stopped."""

        def report(update: Progress) -> None:
            if self.over:
                raise Stopped("The time for the search is over. What was being tried can go on.")
            progress(update)

        return report
