"""What attacks on the weights leave: the concept's loss before, and after each thing that was done."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.relearning import Probe


def loss_row(probe: Probe, meter: Meter, weights: str) -> dict[str, Any]:
    """One measurement of the model that the meter is made for.

    Args:
        weights: what was done to its weights, in a word or two.
    """
    return {"weights": weights, **probe.measure(meter)}


def losses_table(rows: Sequence[dict[str, Any]], probe: Probe) -> pd.DataFrame:
    """`weights`, what `Probe.measure` gives, `base_nats`, `forgotten_nats` (nats a token)."""
    columns = ["weights", "concept_nats", "concept_stderr", "retain_nats", "unrelated_nats"]
    table = pd.DataFrame(list(rows), columns=columns)
    return table.assign(base_nats=probe.gap.base, forgotten_nats=probe.gap.forgotten)
