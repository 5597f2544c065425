"""`unlearn sweep`: what a run's ranking does at every share that is cut."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from unlearning_core.cli.options import Bar, RunFolder, SentenceCount, open_folder

if TYPE_CHECKING:
    import pandas as pd


def sweep_command(
    run: RunFolder,
    /,
    *,
    ratios: Annotated[tuple[float, ...], Parameter(metavar="R ...", consume_multiple=1)] = (),
    per_layer: Annotated[bool | None, Parameter(negative="--whole")] = None,
    protect_layers: Annotated[tuple[int, ...] | None, Parameter(metavar="L ...", consume_multiple=True)] = None,
    draws: int = 3,
    seed: int = 0,
    sentences: SentenceCount = 100,
    ranking: Path | None = None,
    progress: Bar,
) -> None:
    """Cut a run's ranking at 0.1 % to 20 %: top, bottom and random curves.

    The run's neurons must be ranked. Prints the folder of the curves as its last line.

    Args:
        ratios: shares to cut, 0 to 1.
        per_layer: the same share of every layer, or whole: the ranking alone decides (default: as in the run).
        protect_layers: layers of which nothing is cut, or none (default: as in the run).
        draws: random cuts at every ratio.
        seed: of the random cuts.
        sentences: held-out sentences of each kind at most.
        ranking: another ranking of these neurons, cut from its top alone.
    """
    from unlearning_core.evaluation.sweep import RATIOS, SweepSettings, to_frame
    from unlearning_core.runs.cuts import cut_settings
    from unlearning_core.runs.sweep import RunSweep

    opened = open_folder(run)
    cut = cut_settings(opened.config)
    settings = SweepSettings(
        ratios=ratios or RATIOS,
        draws=draws,
        seed=seed,
        per_layer=cut.per_layer if per_layer is None else per_layer,
        protected_layers=cut.protected_layers if protect_layers is None else protect_layers,
        excluded_neurons=cut.excluded_neurons,
        picked_neurons=cut.picked_neurons,
        layer_ratios=cut.layer_ratios,
    )
    found = RunSweep(opened, settings, sentences, ranking, cut.token_rows)
    summary = found.compute(progress)
    progress.close()
    print(curves_table(to_frame(found.points()), summary))
    assert found.artifact is not None
    print(found.artifact.folder)


def curves_table(points: "pd.DataFrame", summary: dict[str, Any]) -> str:
    """The curves as a table for a terminal, forget / retain delta in nats a token, and what they say.

    Where there are neighbours, a last column has what the cut from the top costs them.
    """
    from unlearning_core.evaluation.curves import curve
    from unlearning_core.evaluation.ratio import format_value
    from unlearning_core.evaluation.sweep import ORDERS

    curves = {order: curve(points, order) for order in ORDERS}
    top, heads = curves["top"], [*ORDERS, *(["top, neighbours"] if curves["top"].has_neighbours else [])]
    lines = [f"{'cut':>8}{'neurons':>9}" + "".join(f"{head:>18}" for head in heads)]
    for ratio, neurons, near in zip(top.ratios, top.neurons, top.neighbour, strict=True):
        cells = [(found.at("forget", ratio), found.at("retain", ratio)) for found in curves.values()]
        texts = ["-" if math.isnan(forget) else f"{forget:.3f} / {retain:.3f}" for forget, retain in cells]
        texts += [f"{near:.3f}"] if top.has_neighbours else []
        lines.append(f"{100 * ratio:>7.3g}%{neurons:>9.0f}" + "".join(f"{text:>18}" for text in texts))
    sign = "" if summary["budget_reached"] else "at least "
    suggested = summary["suggested_ratio"]
    lines += [
        f"Selectivity: {sign}{format_value(summary['selectivity'], summary['selectivity_stderr'])} nats forgotten at "
        f"{summary['budget']} nats on other text, cutting {100 * summary['selectivity_ratio']:.2g} % (± half a 95 % "
        "interval)",
        f"Suggested ratio: {'none: nothing is forgotten' if suggested is None else f'{suggested:.4g}'}",
    ]
    return "\n".join(lines)
