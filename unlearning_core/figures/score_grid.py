"""Scores of a ranking as a grid of layers by neurons, and that grid made small enough to be drawn."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

OrderBy = Literal["index", "score"]


def score_matrix(ranking: pd.DataFrame, site: str, column: str = "score") -> np.ndarray:
    """The scores of a ranking as float64 [layers, width]; NaN where the ranking holds no such neuron.

    Args:
        ranking: columns site, layer, index and `column`.
        site: whose neurons.
        column: what is taken of them instead: rank.

    Raises:
        ValueError: the ranking holds no neuron of `site`.
    """
    rows = ranking[ranking["site"] == site]
    if rows.empty:
        raise ValueError(f"the ranking holds no neuron of site {site!r}")
    layers, indices = rows["layer"].to_numpy(), rows["index"].to_numpy()
    matrix = np.full((layers.max() + 1, indices.max() + 1), np.nan)
    matrix[layers, indices] = rows[column].to_numpy(np.float64)
    return matrix


def marks_of(ranking: pd.DataFrame, some: pd.DataFrame) -> np.ndarray:
    """Bool [layers, width] of the ranking's neurons: whether one is among `some` of its rows."""
    marks = np.zeros((int(ranking["layer"].max()) + 1, int(ranking["index"].max()) + 1), bool)
    marks[some["layer"], some["index"]] = True
    return marks


def standardise(scores: np.ndarray) -> np.ndarray:
    """Each layer of [layers, width] with its own mean taken off, over its own standard deviation; NaN stays NaN.

    A few layers are of another scale, and only after this can they be compared. A layer of equal scores becomes zeros.
    """
    mean = np.nanmean(scores, axis=1, keepdims=True)
    deviation = np.nanstd(scores, axis=1, keepdims=True)
    # A layer of equal scores has a deviation of rounding errors.
    flat = deviation <= 1e-9 * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)
    return np.where(flat, scores * 0.0, (scores - mean) / np.where(flat, 1.0, deviation))


@dataclass(frozen=True)
class Bins:
    """[layers, width] scores as the cells that are drawn.

    Attributes:
        values: float [layers, cells], the strongest score of each cell.
        neurons: int [layers, cells], the index of the neuron that has it; -1 where a cell holds none.
        cells: int [layers, width], the cell that each neuron is drawn in.
        size: neurons in a cell at most.
    """

    values: np.ndarray
    neurons: np.ndarray
    cells: np.ndarray
    size: int


def bin_scores(scores: np.ndarray, most_cells: int, order_by: OrderBy = "index") -> Bins:
    """Gather neighbours until at most `most_cells` cells are left; a cell shows its strongest neuron, so none is lost.

    Args:
        scores: [layers, width], NaN where there is no neuron.
        order_by: neighbours by index, or by descending score within the layer.
    """
    layers, width = scores.shape
    size = max(1, math.ceil(width / max(1, most_cells // layers)))
    low = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-low, axis=1, kind="stable") if order_by == "score" else np.tile(np.arange(width), (layers, 1))
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(width)[None], axis=1)
    columns = math.ceil(width / size)
    padded = np.full((layers, columns * size), -np.inf)
    padded[:, :width] = np.take_along_axis(low, order, axis=1)
    best = padded.reshape(layers, columns, size).argmax(axis=2) + np.arange(columns) * size
    values = np.take_along_axis(padded, best, axis=1)
    neurons = np.take_along_axis(order, np.minimum(best, width - 1), axis=1)
    empty = np.isneginf(values)
    return Bins(np.where(empty, np.nan, values), np.where(empty, -1, neurons), place // size, size)
