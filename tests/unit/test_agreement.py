"""The agreement of two rankings, against sets and loops over pairs."""

import itertools

import numpy as np
import pandas as pd
import pytest

from unlearning_core.errors import InputError
from unlearning_core.neurons.agreement import Agreement, AgreementMatrix

SHAPE = (3, 14)


def ranking(seed: int, shape: tuple[int, int] = SHAPE, site: str = "mlp") -> pd.DataFrame:
    """Every neuron with a random score, best first; the two with the smallest index are protected and stand last."""
    layer, index = (part.ravel() for part in np.indices(shape))
    frame = pd.DataFrame({"site": site, "layer": layer, "index": index})
    frame["score"] = np.random.default_rng(seed).normal(size=len(frame))
    frame["protected"] = (layer == 0) & (index < 2)
    frame = frame.sort_values(["protected", "score"], ascending=[True, False], ignore_index=True)
    return frame.assign(rank=np.arange(len(frame)))


def keys(frame: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(frame["layer"], frame["index"], strict=True))


@pytest.fixture
def pair() -> tuple[pd.DataFrame, pd.DataFrame]:
    return ranking(0), ranking(1).sample(frac=1, random_state=0)  # the order of the lines says nothing


def test_overlap_is_the_intersection_of_the_tops(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    one, other = pair
    found = Agreement.of(one, other)
    for first in range(1, len(one) + 1):
        shared = set(keys(one[one["rank"] < first])) & set(keys(other[other["rank"] < first]))
        overlap = found.overlap(first)
        assert (overlap.first, overlap.both) == (first, len(shared))
        assert overlap.share == len(shared) / first
        assert overlap.chance == pytest.approx(first / 42)


def test_the_curve_ends_with_all_and_agrees_with_each_overlap(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found = Agreement.of(*pair)
    curve = found.curve()
    assert curve["first"].iloc[0] == 1
    assert curve.iloc[-1].tolist() == [42, 42, 1.0, 1.0]
    assert curve["first"].is_monotonic_increasing
    assert curve["first"].is_unique
    for row in curve.itertuples():
        assert (row.both, row.share) == (found.overlap(row.first).both, found.overlap(row.first).share)


@pytest.mark.slow
def test_chance_is_what_random_rankings_share() -> None:
    shared = [Agreement.of(ranking(seed), ranking(seed + 1)).overlap(10).share for seed in range(0, 800, 2)]
    # 400 draws of a hypergeometric share with mean 10 / 42; the protected two never stand in a top, so of 40.
    assert np.mean(shared) == pytest.approx(10 / 40, abs=0.02)


def test_spearman_is_one_minus_the_squared_distances(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    one, other = pair
    place = dict(zip(keys(other), other["rank"], strict=True))
    squares = sum((rank - place[key]) ** 2 for key, rank in zip(keys(one), one["rank"], strict=True))
    n = len(one)
    assert Agreement.of(one, other).correlation() == pytest.approx(1 - 6 * squares / (n * (n**2 - 1)))


def test_the_weighted_correlation_counts_pairs_by_how_high_they_stand(
    pair: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    one, other = pair
    place = dict(zip(keys(other), other["rank"], strict=True))
    ranks = np.array([(rank, place[key]) for key, rank in zip(keys(one), one["rank"], strict=True)])
    found = []
    for by in range(2):  # Vigna 2015: each pair counts 1 / (1 + rank) of either, by one ranking and by the other
        agreed = counted = 0.0
        for a, b in itertools.combinations(ranks, 2):
            weight = 1 / (1 + a[by]) + 1 / (1 + b[by])
            agreed += weight * np.sign((a[0] - b[0]) * (a[1] - b[1]))
            counted += weight
        found.append(agreed / counted)
    assert Agreement.of(one, other).weighted_correlation() == pytest.approx(np.mean(found))


def test_a_ranking_agrees_with_itself_and_is_opposed_to_itself_upside_down() -> None:
    one = ranking(0)
    turned = one.assign(rank=one["rank"].to_numpy()[::-1])
    same, opposite = Agreement.of(one, one), Agreement.of(one, turned)
    assert same.overlap(7).share == same.correlation() == pytest.approx(same.weighted_correlation()) == 1.0
    assert opposite.overlap(21).both == 0
    assert opposite.overlap(22).both == 2
    assert opposite.correlation() == pytest.approx(-1.0)
    assert opposite.weighted_correlation() == pytest.approx(-1.0)


def test_the_tops_are_told_apart(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    one, other = pair
    both, only_one, only_other = Agreement.of(one, other).tops(12)
    mine, theirs = (set(keys(frame[frame["rank"] < 12])) for frame in pair)
    assert set(keys(both)) == mine & theirs
    assert set(keys(only_one)) == mine - theirs
    assert set(keys(only_other)) == theirs - mine
    assert (both["rank_one"] + both["rank_other"]).is_monotonic_increasing
    assert only_other["rank_other"].is_monotonic_increasing
    row = both.iloc[0]
    there = other[(other["layer"] == row["layer"]) & (other["index"] == row["index"])].iloc[0]
    assert (row["rank_other"], row["score_other"]) == (there["rank"], there["score"])


@pytest.mark.parametrize(
    "other", [ranking(1, (3, 13)), ranking(1, (2, 21)), ranking(1, site="head")], ids=["width", "layers", "site"]
)
def test_rankings_of_other_neurons_are_refused(other: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"different neurons.*Compare rankings of the same model"):
        Agreement.of(ranking(0), other)


def test_a_ranking_with_a_rank_twice_is_refused() -> None:
    twice = ranking(1)
    twice.loc[3, "rank"] = 4
    with pytest.raises(InputError, match="second ranking does not give its 42 neurons the ranks 0 to 41"):
        Agreement.of(ranking(0), twice)


@pytest.mark.parametrize("first", [0, 43])
def test_a_top_that_is_not_there_is_refused(first: int) -> None:
    with pytest.raises(InputError, match="from 1 to 42"):
        Agreement.of(ranking(0), ranking(1)).overlap(first)


def test_a_matrix_has_each_pairs_rank_correlation_and_overlap_by_hand() -> None:
    rankings = {name: ranking(seed).sample(frac=1, random_state=seed) for name, seed in (("a", 0), ("b", 1), ("c", 2))}
    rankings["b upside down"] = rankings["b"].assign(rank=41 - rankings["b"]["rank"])
    found = AgreementMatrix.of(rankings)
    assert found.names == tuple(rankings)
    correlations, overlaps = found.correlations(), found.overlaps(10)
    for (i, one), (j, other) in itertools.product(enumerate(rankings.values()), repeat=2):
        ranks = [dict(zip(keys(frame), frame["rank"], strict=True)) for frame in (one, other)]
        squares = sum((ranks[0][key] - ranks[1][key]) ** 2 for key in ranks[0])
        assert correlations[i, j] == pytest.approx(1 - 6 * squares / (42 * (42**2 - 1)))  # Spearman 1904
        tops = [{key for key, rank in one.items() if rank < 10} for one in ranks]
        assert overlaps[i, j] == len(tops[0] & tops[1]) / 10
    assert correlations[1, 3] == pytest.approx(-1)
    with pytest.raises(InputError, match="from 1 to 42"):
        found.overlaps(43)


def test_a_matrix_of_one_ranking_agrees_with_itself_and_other_neurons_are_refused() -> None:
    alone = AgreementMatrix.of({"a": ranking(0)})
    assert alone.correlations().tolist() == [[pytest.approx(1.0)]]
    assert alone.overlaps(5).tolist() == [[1.0]]
    with pytest.raises(InputError, match="different neurons"):
        AgreementMatrix.of({"a": ranking(0), "b": ranking(0, (2, 14))})
