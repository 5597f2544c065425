"""A ranking as a file: read back by pandas and pyarrow it says what the ranking said."""

import io

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from scipy import stats

from unlearning_core.rankers.registry import RANKERS
from unlearning_core.reports.ranking_table import as_csv, as_parquet, heatmap_table, ranking_table

SHAPE = (3, 14)
QUANTITY = RANKERS["mutual_information"].quantity


@pytest.fixture
def ranking() -> pd.DataFrame:
    """Random scores; the lines stand in no order."""
    layer, index = (part.ravel() for part in np.indices(SHAPE))
    frame = pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "protected": (layer == 0) & (index < 2)})
    frame["score"] = np.random.default_rng(0).normal(size=len(frame))
    frame = frame.sort_values(["protected", "score"], ascending=[True, False], ignore_index=True)
    return frame.assign(rank=np.arange(len(frame))).sample(frac=1, random_state=0)


def test_a_file_read_back_has_every_neuron_with_rank_from_1_and_its_number_under_its_name(
    ranking: pd.DataFrame,
) -> None:
    table = ranking_table(ranking, QUANTITY)
    read = pd.read_csv(io.BytesIO(as_csv(table)))
    assert list(read.columns) == [
        "rank", "site", "layer", "neuron", "mutual_information", "sd_from_layer_mean", "percentile", "protected",
    ]  # fmt: skip
    assert read["rank"].tolist() == list(range(1, 43))
    own = ranking.sort_values("rank")
    for name, column in (("layer", "layer"), ("neuron", "index"), ("mutual_information", "score")):
        np.testing.assert_array_equal(read[name], own[column])
    assert read["protected"].tolist() == own["protected"].tolist()
    for layer, rows in read.groupby("layer"):
        expected = stats.zscore(ranking.loc[ranking["layer"] == layer].sort_values("rank")["score"])
        np.testing.assert_allclose(rows["sd_from_layer_mean"], expected, rtol=1e-9)
    # Of 42 the share that stands behind: 41 of 42 for the first, none for the last.
    behind = [stats.percentileofscore(-read["rank"], -place, kind="strict") for place in read["rank"]]
    np.testing.assert_allclose(read["percentile"], behind, rtol=1e-9)
    parquet = pyarrow.parquet.read_table(io.BytesIO(as_parquet(table))).to_pandas()
    pd.testing.assert_frame_equal(parquet, table)


def test_a_neuron_of_an_expert_is_named_by_it(ranking: pd.DataFrame) -> None:
    named = ranking.assign(expert=ranking["index"] // 7, neuron=ranking["index"] % 7)
    table = ranking_table(named, QUANTITY)
    assert (table["expert"] * 7 + table["neuron_of_expert"] == table["neuron"]).all()


def test_the_grid_of_the_heatmap_is_a_line_a_layer_in_deviations_from_its_mean(ranking: pd.DataFrame) -> None:
    read = pd.read_csv(io.BytesIO(as_csv(heatmap_table(ranking, "mlp"))))
    assert list(read.columns) == ["layer", *map(str, range(14))]
    for row in read.itertuples(index=False):
        own = ranking[ranking["layer"] == row.layer].sort_values("index")["score"]
        np.testing.assert_allclose(row[1:], stats.zscore(own), rtol=1e-9)


def test_every_method_calls_its_number_what_it_is() -> None:
    keys = [ranker.quantity.key for ranker in RANKERS.values()]
    assert not {"score", "value", "rank"} & set(keys)
    assert all(key.isidentifier() for key in keys)
    assert all(ranker.quantity.meaning.endswith(".") for ranker in RANKERS.values())
    assert QUANTITY.title == "mutual information (nats)"
    assert QUANTITY.written(0.12345) == "0.123 nats"
    assert [RANKERS["probeless"].quantity.written(value) for value in (0.5, 306.94, -1117.4, 2e9)] == [
        "0.5", "307", "-1,117", "2e+09",
    ]  # fmt: skip
