"""What the rows of the tournament come to: each way to rank over all models and concepts, and against the seed's.

Selectivities are averaged geometrically, because models differ by orders of magnitude; one below `FLOOR` counts as
`FLOOR`, so that a method that forgets nothing (or teaches) makes no ratio infinite. Standard errors are over concepts:
the same concept on several models is one observation, the mean over those models.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.rankers_rows import MARKS, Entry
from unlearning_core.config.schema import NeuralProbingSection

FLOOR = 0.01
"""Nats: the least selectivity that a ratio is taken of."""

SEED_RANKER, SEED_ALIGNMENT = "probeless", "at"
"""The seed system's method; compared at the same site as the default."""

EXACT = "ablation"
"""The ranker whose order is exact, where it is registered: the overlap of all others is with its first neurons."""

KEYS = ["ranker", "site", "alignment"]
CASE = ["model", "concept"]


def default_entry() -> Entry:
    """The way to rank that a config gets which says nothing."""
    probing = NeuralProbingSection()
    return Entry(probing.ranker, probing.site, probing.alignment)


def with_overlap(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with `overlap`: the share of a row's first neurons that the exact order has among as many, or None.

    The exact order is that of the same model, concept, site and alignment.
    """
    exact = {_place(row): set(row["top"]) for row in rows if row["ranker"] == EXACT}
    return [
        row | {"overlap": len(exact[_place(row)] & set(row["top"])) / len(row["top"]) if _place(row) in exact else None}
        for row in rows
    ]


def _place(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["model"], row["concept"], row["site"], row["alignment"])


def summarise(rows: Sequence[dict[str, Any]], default: Entry) -> dict[str, Any]:
    """`default`, `geomean_over_seed` and `methods`: a line a way to rank, the most selective first; JSON-able.

    `geomean_over_seed` is None where no model and concept has both the default's row and the seed's.
    """
    if not rows:
        return {"default": vars(default), "geomean_over_seed": None, "methods": []}
    # Rows of earlier files have no marks.
    table = pd.DataFrame([dict.fromkeys(MARKS) | row for row in rows])
    table = table.drop(columns=["forget", "retain", "ratios", "top"])
    table["log"] = np.log(table["selectivity"].clip(lower=FLOOR))
    seed = table[(table["ranker"] == SEED_RANKER) & (table["alignment"] == SEED_ALIGNMENT)]
    groups = table.groupby(KEYS, sort=False)
    methods = [dict(zip(KEYS, key, strict=True)) | _figures(group, seed) for key, group in groups]
    methods.sort(key=lambda method: -method["geomean"])
    wanted = vars(default)
    mine = next((method for method in methods if {key: method[key] for key in KEYS} == wanted), wanted)
    return {"default": mine, "geomean_over_seed": mine.get("over_seed"), "methods": methods}


def _figures(group: pd.DataFrame, seed: pd.DataFrame) -> dict[str, Any]:
    beside = group.merge(seed[[*CASE, "site", "log"]], on=[*CASE, "site"], suffixes=("", "_seed"))
    (mean, error), (area, area_error) = (_over_concepts(group, column) for column in ("selectivity", "area"))
    figures = {
        "rows": len(group),
        "concepts": group["concept"].nunique(),
        "selectivity": mean,
        "selectivity_stderr": error,
        **_geometric("geomean", *_over_concepts(group, "log")),
        **_geometric("over_seed", *_over_concepts(beside.assign(ratio=beside["log"] - beside["log_seed"]), "ratio")),
        "area": area,
        "area_stderr": area_error,
        **{name: _over_concepts(group.dropna(subset=[name]), name)[0] for name in ("overlap", *MARKS)},
        "seconds": float(group["seconds"].mean()),
        "times_forward": float(group["times_forward"].median()),
    }
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in figures.items()}


def _geometric(name: str, log: float, error: float) -> dict[str, float]:
    """A geometric mean and its 95 % interval, from the mean of logarithms and its standard error."""
    ends = {"_low": log - 1.96 * error, "_high": log + 1.96 * error, "": log}
    return {f"{name}{end}": math.exp(value) for end, value in ends.items()}


def _over_concepts(group: pd.DataFrame, column: str) -> tuple[float, float]:
    """(mean, standard error) of the concepts' means over their models; NaN of nothing."""
    means = group.groupby("concept")[column].mean().astype(float)
    if means.empty:
        return math.nan, math.nan
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else math.nan


def in_markdown(summary: dict[str, Any]) -> str:
    """The methods as a table; the default's line is bold. Marks against known neurons come last, if any."""
    names = (*KEYS, "selectivity, nats", "geometric mean", "x seed (95 %)", "area", "overlap", "s", "x forward")
    marks = [name for name in MARKS if any(method[name] is not None for method in summary["methods"])]
    names = (*names, *(name.replace("_", " ") for name in marks))
    head = [f"| {' | '.join(names)} |", f"|---|---|---|{'--:|' * (len(names) - len(KEYS))}"]
    lines = (_line(method, method == summary["default"], marks) for method in summary["methods"])
    return "\n".join([*head, *lines])


def _line(method: dict[str, Any], is_default: bool, marks: Sequence[str]) -> str:
    mark = "**" if is_default else ""
    interval = f" ({_number(method['over_seed_low'])} to {_number(method['over_seed_high'])})"
    cells = [
        f"{mark}{method['ranker']}{mark}",
        method["site"],
        method["alignment"],
        f"{method['selectivity']:.2f}" + _number(method["selectivity_stderr"], " ± {:.2f}"),
        _number(method["geomean"]),
        _number(method["over_seed"]) + (interval if method["over_seed_low"] is not None else ""),
        _number(method["area"]),
        _number(method["overlap"], "{:.0%}"),
        f"{method['seconds']:.1f}",
        f"{method['times_forward']:.1f}",
        *(_number(method[name], "{:.1%}") for name in marks),
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str = "") -> str:
    """Two digits unless a form is given; nothing for None."""
    return "" if value is None else (form or ("{:.2g}" if abs(value) < 10 else "{:.0f}")).format(value)
