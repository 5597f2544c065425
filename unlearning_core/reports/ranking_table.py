"""A ranking to take along: as a table of neurons, and as the grid that the heatmap shows."""

import io

import numpy as np
import pandas as pd

from unlearning_core.figures.score_grid import score_matrix, standardise
from unlearning_core.neurons.neuron import expert_columns
from unlearning_core.rankers.registry import Quantity


def ranking_table(ranking: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """A line a neuron, the first rank first.

    Args:
        ranking: columns site, layer, index, score, rank, protected; in a mixture of experts also expert and neuron.
        quantity: what the scores are.

    Returns:
        rank (from 1), site, layer, neuron (its index in the layer; in a mixture of experts `expert` and
        `neuron_of_expert` follow), the score as `quantity.key`, sd_from_layer_mean (its distance from the mean of its
        layer, in standard deviations of the layer), percentile (share of all ranked neurons that stand behind it, in
        percent: the first of N has 100 (N - 1) / N) and protected.
    """
    rows = ranking.sort_values("rank", kind="stable", ignore_index=True)
    ranks = rows["rank"].to_numpy() + 1
    experts = {name: "expert" if name == "expert" else "neuron_of_expert" for name in expert_columns(rows)}
    table = {"rank": ranks, "site": rows["site"], "layer": rows["layer"], "neuron": rows["index"]}
    table |= {title: rows[name] for name, title in experts.items()}
    table |= {
        quantity.key: rows["score"],
        "sd_from_layer_mean": _deviations(rows),
        "percentile": 100.0 * (len(rows) - ranks) / len(rows),
        "protected": rows["protected"],
    }
    return pd.DataFrame(table)


def heatmap_table(ranking: pd.DataFrame, site: str) -> pd.DataFrame:
    """A line a layer (column `layer`) and a column a neuron, "0", "1" and so on: the numbers that the colours show.

    They are the distance of a neuron's score from the mean of its layer, in standard deviations of the layer; empty
    where there is no neuron.
    """
    drawn = standardise(score_matrix(ranking, site))
    columns = [str(index) for index in range(drawn.shape[1])]
    table = pd.DataFrame(drawn, columns=columns)
    table.insert(0, "layer", range(len(drawn)))
    return table


def as_csv(table: pd.DataFrame) -> bytes:
    """The table as UTF-8 text with commas, all digits of each number."""
    return table.to_csv(index=False, lineterminator="\r\n").encode()


def as_parquet(table: pd.DataFrame) -> bytes:
    """The table as a Parquet file."""
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _deviations(rows: pd.DataFrame) -> np.ndarray:
    found = np.zeros(len(rows))
    for site in rows["site"].unique():
        own = (rows["site"] == site).to_numpy()
        found[own] = standardise(score_matrix(rows, site))[rows["layer"][own], rows["index"][own]]
    return found
