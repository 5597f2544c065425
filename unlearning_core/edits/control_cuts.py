"""Cuts that a cut is compared with: from the bottom of its ranking, and of as many neurons drawn at random."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask, Shapes

if TYPE_CHECKING:
    import pandas as pd


def bottom_first(ranking: pd.DataFrame) -> pd.DataFrame:
    """The ranking upside down; protected neurons stay last. Sites that were ranked apart stay apart."""
    turned = ranking.assign(_last=_protected(ranking), _down=-ranking["rank"])
    turned = turned.sort_values(["_last", "_down"], kind="stable")
    apart = bool(ranking["rank"].duplicated().any())
    turned["rank"] = turned.groupby("site").cumcount() if apart else np.arange(len(turned))
    return turned.drop(columns=["_last", "_down"])


def random_like(mask: Mask, ranking: pd.DataFrame, seed: int | list[int]) -> Mask:
    """A random cut with as many neurons in every layer of every site as `mask` cuts there.

    Drawn from the neurons of `ranking`; protected ones only where a layer has too few others. With one seed the
    cut for a smaller mask is part of that for a larger one.
    """
    drawn = ranking[["site", "layer", "index"]].assign(last=_protected(ranking))
    # In an order of their own, so that the draw does not depend on the ranking.
    drawn = drawn.sort_values(["site", "layer", "index"], kind="stable", ignore_index=True)
    drawn["luck"] = np.random.default_rng(seed).random(len(drawn))
    drawn = drawn.sort_values(["last", "luck"], kind="stable", ignore_index=True)
    place = drawn.groupby(["site", "layer"]).cumcount().to_numpy()
    kept = {}
    for site, mine in mask.kept.items():
        here = (drawn["site"] == site).to_numpy()
        layer, index = drawn["layer"].to_numpy()[here], drawn["index"].to_numpy()[here]
        cut = place[here] < (~mine).sum(axis=1)[layer]
        chosen = np.ones(mine.shape, dtype=bool)
        chosen[layer[cut], index[cut]] = False
        kept[site] = chosen
    return Mask(kept)


def _protected(ranking: pd.DataFrame) -> pd.Series:
    import pandas as pd

    return ranking.get("protected", pd.Series(False, index=ranking.index)).astype(bool)


def shuffled_cut(cut: CutSettings, seed: int, ranking: pd.DataFrame, shapes: Shapes) -> Mask:
    """As many neurons as `cut` takes, by a shuffled ranking; protected neurons stay last.

    Neurons that it takes because they were picked by hand are replaced, each by one of the same site and layer.

    Raises:
        InputError: as `CutSettings.mask`.
    """
    import pandas as pd

    share = replace(cut, picked_neurons=())
    drawn = share.mask(ranking.assign(rank=_shuffled_ranks(cut, seed, ranking)), shapes)
    if not cut.picked_neurons:
        return drawn
    ranked, keys = share.mask(ranking, shapes), ["site", "layer", "index"]
    added = Mask(
        {
            site: kept | ~ranked.kept.get(site, np.ones_like(kept))
            for site, kept in cut.mask(ranking, shapes).kept.items()
        }
    )
    pool = cut.pool(ranking, shapes)
    taken = pd.MultiIndex.from_frame(pool[keys]).isin(pd.MultiIndex.from_frame(drawn.neurons()[keys]))
    return drawn & random_like(added, pool[~taken], seed)


def _shuffled_ranks(cut: CutSettings, seed: int, ranking: pd.DataFrame) -> Int64[np.ndarray, " neurons"]:
    """The ranks of `ranking` dealt anew; those of layers with shares of their own stay there, so all counts do."""
    luck = np.random.default_rng(seed).permutation(len(ranking))
    # Neurons that write the attention sink stay last, as in the ranking: without them no model writes a sentence.
    luck += len(ranking) * _protected(ranking).to_numpy()
    groups = np.zeros(len(ranking), np.int64)
    if cut.layer_ratios:
        candidates = cut.candidates(ranking)
        groups[ranking.index.get_indexer(candidates.index)] = 1 + cut.follows_ratio(candidates).to_numpy()
    ranks = np.argsort(np.argsort(ranking["rank"].to_numpy(), kind="stable"))
    dealt = np.empty_like(ranks)
    for group in np.unique(groups):
        places = np.flatnonzero(groups == group)
        dealt[places[np.argsort(luck[places])]] = np.sort(ranks[places])
    return dealt
