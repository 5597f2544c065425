"""How a run ended, as text for a terminal: the metrics of every step, and what each of them writes."""

from collections.abc import Mapping
from typing import Any

ROWS = (
    *("concept_nll", "forget_delta", "retain_nll", "retain_delta"),
    *("neighbour_nll", "neighbour_delta", "rest_nll", "rest_delta"),
    *("concept_accuracy", "retain_accuracy", "neighbour_accuracy", "rest_accuracy"),
    *("concept_words_per_100", "forget_quality", "forget_quality_statistic"),
    *("never_knew_kl_forget", "never_knew_kl_neighbour", "never_knew_kl_retain"),
)
"""Rows of the table, in order; those that no step has (no neighbours, no never-knew model) are left out."""


def print_outcome(run: Any) -> None:
    """What a search found, the metrics as a table and one continuation of every prompt and step."""
    if run.config.search.forget is not None:
        print("\n" + run.search()["sentence"])
    print("\n" + table(run.metrics()))
    generations = run.generations()
    for index, first in enumerate(generations["base"]):
        if first["sample"] == 0:
            print(f"\n{first['prompt']}")
            for step, texts in generations.items():
                print(f"  {step:>9}: {' '.join(texts[index]['text'].split())}")
    print()


def table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """A line a metric, a column a step."""
    lines = [f"{'':24}" + "".join(f"{step:>20}" for step in metrics)]
    for row in ROWS:
        cells = [in_figures(values.get(row), values.get(f"{row}_stderr")) for values in metrics.values()]
        if any(cells):
            lines.append(f"{row:24}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def in_figures(value: float | None, error: float | None) -> str:
    """A number with its standard error, or nothing; one without, if too small for three decimals, has an exponent."""
    if value is None:
        return ""
    if error is not None:
        return f"{value:.3f} ± {error:.3f}"
    return f"{value:.0e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"
