"""How progress is put into words."""

import pytest

from unlearning_core.progress import Progress, describe_progress, duration


@pytest.mark.parametrize(
    ("update", "seconds", "begun_at", "words"),
    [
        (Progress("ranking", 0), 0, 0, "ranking"),
        (Progress("ranking", 120, 480, "sentences"), 0.5, 0, "ranking: 120 of 480 sentences"),
        (Progress("ranking", 120, 480, "sentences"), 3, 0, "ranking: 120 of 480 sentences, 40 a second, 9 s left"),
        # What was there before the watching began does not count towards the rate.
        (Progress("ranking", 120, 480, "sentences"), 3, 60, "ranking: 120 of 480 sentences, 20 a second, 18 s left"),
        (Progress("training", 5, 25, "steps"), 20, 0, "training: 5 of 25 steps, 4.0 s each, 80 s left"),
        (Progress("loading", 5e8, 1e9, "bytes"), 10, 0, "loading: 500 MB of 1,000 MB, 50 MB a second, 10 s left"),
        (Progress("reading", 3000, None, "texts"), 2, 0, "reading: 3,000 texts, 1,500 a second"),
    ],
)
def test_progress_in_words(update: Progress, seconds: float, begun_at: float, words: str) -> None:
    assert describe_progress(update, seconds, begun_at) == words


def test_durations() -> None:
    assert [duration(seconds) for seconds in (8.4, 200, 4800)] == ["8 s", "3 min", "1 h 20 min"]
