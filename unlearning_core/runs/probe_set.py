"""The few held-out sentences that are measured while a model learns, and where the base model stands on them."""

from pathlib import Path

from unlearning_core.concepts.labelled_files import read_labelled, write_labelled
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

EACH = 24
"""How many of them hold the concept, and how many do not."""


def write_probe_set(context: RunContext) -> Path:
    """Choose them from the held-out sentences, by the run's seed; returns their file."""
    few = context.sentences("held_out").take(EACH, EACH, context.config.seed)
    path = _file(context.run)
    write_labelled(path, few.items)
    return path.resolve()


def base_levels(run: Run) -> dict[str, float]:
    """{"concept", "retain"}: the base model's mean loss on exactly these sentences, nats a token; the second on those
    without the concept, where there are some.

    Empty while the base model has not been measured or the sentences have not been chosen.
    """
    from unlearning_core.evaluation.measurement import Measurement

    measured = run.measurement("base")
    if measured is None or not _file(run).is_file():
        return {}
    wanted = {item.text for item in read_labelled(_file(run))}
    rows = measured.sentences[measured.sentences["text"].isin(wanted)]
    if len(rows) < len(wanted):
        # It was measured on other sentences: the levels would be those of another set.
        return {}
    found = Measurement(rows)
    return {"concept": found.nll("concept").value, "retain": (found.apart or found).nll("retain").value}


def _file(run: Run) -> Path:
    return run.work_folder("probe_set") / "sentences.jsonl"
