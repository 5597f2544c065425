"""Several visitors of the Prune page at once: how long each waits for words and numbers after a move of the slider.

All press a key at the same moment, `rounds` times, each in a tab of its own; then one of them alone, in the same
minute on the same server. The share between the two says what company costs, whatever else the machine does.
"""

import statistics
from collections.abc import Callable

from bench.browser import Tab


def sessions(new_tab: Callable[[], Tab], address: str, count: int, rounds: int) -> dict[str, float]:
    """Figures of `count` visitors on the Prune page at `address`.

    Returns:
        Seconds, median and 95th percentile of all, median of one alone; and how many times longer company makes it.
    """
    tabs = [new_tab() for _ in range(count)]
    for number, tab in enumerate(tabs):
        # Each at a place of its own, within the range up to 10 %: what one has had computed is there for the others.
        tab.open(f"{address}&ratio={0.012 + 0.011 * number:.4f}")
        tab.move_slider()  # what is remembered of the base is written before
    together: list[float] = []
    for _ in range(rounds):
        pressed = [tab.press_slider() for tab in tabs]
        together += [tab.seconds_since(press)[1] for tab, press in zip(tabs, pressed, strict=True)]
    alone = [tabs[0].move_slider()[1] for _ in range(rounds)]
    for tab in tabs:
        tab.close()
    one, all_of_them = statistics.median(alone), statistics.median(together)
    return {
        "sessions_slider_seconds": all_of_them,
        "sessions_slider_95_percent_seconds": sorted(together)[int(0.95 * (len(together) - 1) + 0.5)],
        "one_session_slider_seconds": one,
        "sessions_over_one_ratio": all_of_them / one,
    }
