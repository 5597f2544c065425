"""The few held-out sentences that are measured while a model learns, and where the base model stands on them."""

import pandas as pd

from unlearning_core.concepts.labelled_files import read_labelled, write_labelled
from unlearning_core.runs.run import Run
from unlearning_core.runs.context import RunContext

PROBE_SET = "data/watched.jsonl"
"""Their file in the run folder."""

EACH = 24
"""How many of them hold the concept, and how many do not."""


def write_probe_set(context: RunContext) -> None:
    """Choose them from the held-out sentences, by the run's seed."""
    few = context.sentences("held_out").take(EACH, EACH, context.config.seed)
    write_labelled(context.run.folder / PROBE_SET, few.items)


def base_levels(run: Run) -> dict[str, float]:
    """{"concept", "retain"}: the base model's mean loss on exactly these sentences, nats a token.

    Empty while the base model has not been measured or the sentences have not been chosen.
    """
    from unlearning_core.evaluation.likelihood import Measurement

    path = run.folder / "measurements" / "base.parquet"
    if not path.is_file() or not (run.folder / PROBE_SET).is_file():
        return {}
    table, wanted = pd.read_parquet(path), {item.text for item in read_labelled(run.folder / PROBE_SET)}
    rows = table[table["text"].isin(wanted)]
    if len(rows) < len(wanted):
        # It was measured on other sentences: the levels would be those of another set.
        return {}
    found = Measurement.from_sentences(rows)
    return {"concept": found.concept_nll, "retain": found.retain_nll}
