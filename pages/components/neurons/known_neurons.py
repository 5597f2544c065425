"""How many of a ranking's first neurons are true ones, for models of which that is known."""

import pandas as pd

from pages.components.marked_text import escaped
from unlearning_core.models.ground_truth import ground_truth
from unlearning_core.rankers.marks import applies, mark


def told(source: str, ranking: pd.DataFrame) -> str | None:
    """A line of Markdown; None where nothing is known of the model `source`, or the ranking is of another site.

    Raises:
        InputError: the model's file of known neurons cannot be read, or is not of this ranking.
    """
    truth = ground_truth(source)
    if truth is None or not applies(ranking, truth):
        return None
    marks = mark(ranking, truth)
    return (
        f"Where this model keeps *{escaped(truth.concept)}* is known: in {marks.known:,} of {len(ranking):,} neurons. "
        f"**Of the first {marks.known:,} of this ranking {marks.found:,} are among them**; by chance "
        f"{marks.known * marks.chance:.0f} would be."
    )
