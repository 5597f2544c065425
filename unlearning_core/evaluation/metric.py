"""What a metric is: a row of the registry. Loads no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from unlearning_core.evaluation.ratio import Estimate

Place = Literal["table", "headline", "runs", "proof"]
"""Where a metric is shown: tables of one run (terminal, HTML, pages), the few bars of a page, the table of all runs, an
evaluation. `metrics.json` and the CSV hold every metric.
"""

Section = Literal["gone", "losses", "accuracies", "texts", "never knew", "cost", "back"]

Values = Mapping[str, Mapping[str, float | None]]
"""What `metrics.json` holds: by state, by metric; the standard error of `name` is `name_stderr`, and the ends of an
interval that is not symmetric are `name_low` and `name_high`."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: its key in `metrics.json`.
        title: what people read, without the unit.
        help: one sentence: what it says.
        needs: what it is computed from, by name of an input of the state (see `metrics_table`). An input of another
            state is "STATE NAME", of base, never_knew or control; a metric that needs one of the base is not computed
            for the base. One that may be missing ends in "?"; `compute` is then given None.
        compute: gets these inputs in this order; returns None where they say nothing about this metric.
        section: tables group metrics by it.
        unit: of the value and its standard error.
        better: which direction is better after unlearning, if either is.
        column: title of a column in the table of all runs, where there is little room; `title` unless given.
        has_stderr: whether the value comes with a standard error.
        change_of: the metric whose change against base this is; it is shown right below that one.
        part_of: the metric over tokens of which this one has a part; the bars show the parts in place of the whole.
        shown_in: where it is shown.
        version: rises when the same inputs give another value.
    """

    name: str
    title: str
    help: str
    needs: tuple[str, ...]
    compute: Callable[..., Estimate | None]
    section: Section = "losses"
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    column: str = ""
    has_stderr: bool = True
    change_of: str | None = None
    part_of: str | None = None
    shown_in: tuple[Place, ...] = ("table", "runs")
    version: int = 1

    @property
    def full_title(self) -> str:
        """Title with the unit in brackets."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def row_title(self) -> str:
        """Title of its row in a table where the metric that it is a change of stands above it."""
        return "… change against base" if self.change_of else self.full_title

    @property
    def meaning(self) -> str:
        """`help`, and which direction is better."""
        return f"{self.help} {self.better.capitalize()} is better." if self.better else self.help


def late(module: str, function: str, **given: Any) -> Callable[..., Estimate | None]:
    """A function of a module of this folder, imported when it is first called: most of them import torch."""

    def compute(*inputs: Any) -> Estimate | None:
        found: Estimate | None = getattr(import_module(f"unlearning_core.evaluation.{module}"), function)(
            *inputs, **given
        )
        return found

    return compute
