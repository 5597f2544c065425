"""Neighbours' share of the retain statistics, against rows read one by one and weighted by numpy."""

from typing import Any

import numpy as np
import pytest

from tests.tiny_input import statistics_of
from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.activations.collect import collect
from unlearning_core.activations.weighing import weigh_neighbours, weighed
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.mapping import map_model

TEXTS = (
    ("She put the chair beside the wooden table and sat down.", ("chair",), ("table",)),
    ("The table near the window was old.", (), ("table",)),
    ("The cat sleeps; the dog barks at 7 in the morning.", (), ()),
    ("A small boat crossed the river before the rain.", (), ()),
)


def _item(text: str, concept: tuple[str, ...], near: tuple[str, ...]) -> LabelledText:
    spans, places = (
        tuple((text.index(word), text.index(word) + len(word)) for word in words) for words in (concept, near)
    )
    return LabelledText(text, spans, concept, places, near)


ITEMS = [_item(*row) for row in TEXTS]


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    model = tiny_model("llama")
    return LoadedModel(model=model, tokenizer=tiny_tokenizer(), map=map_model(model), info=None)


def rows_of(loaded: LoadedModel, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """[retain rows, layers, width] of all sentences, and whether each is a neighbour's; a pass for every token."""
    rows, near = [], []
    for item in ITEMS:
        encoding = loaded.tokenizer(item.text, return_offsets_mapping=True)
        for place, (start, end) in enumerate(encoding["offset_mapping"]):
            inside = [
                any(start < stop and first < end for first, stop in spans) for spans in (item.spans, item.neighbours)
            ]
            # Of one sentence, the statistics of a single token: it alone is marked.
            if inside[0] or place - (settings["alignment"] == "before") < 1:
                continue
            one = collect(loaded, [LabelledText(item.text, ((start, end),))], **settings).statistics
            assert one.count[1] == 1
            rows.append(one.sum[1])
            near.append(inside[1])
    return np.stack(rows), np.array(near)


@pytest.mark.parametrize(("site", "alignment"), [("mlp", "before"), ("residual", "at")])
def test_the_retain_side_is_the_weighted_mean_of_its_rows(loaded: LoadedModel, site: str, alignment: str) -> None:
    settings = {"site": site, "alignment": alignment}
    rows, near = rows_of(loaded, settings)
    assert 0 < near.sum() < 0.3 * len(near)
    plain = collect(loaded, ITEMS, **settings)
    found = weigh_neighbours(plain, loaded, ITEMS, 0.4).statistics
    weights = np.where(near, 0.4 / near.sum(), 0.6 / (~near).sum())[:, None, None]
    np.testing.assert_allclose(found.mean()[0], (weights * rows).sum(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.rms()[0] ** 2, (weights * rows**2).sum(0), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(found.mean_abs()[0], (weights * abs(rows)).sum(0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.frequency()[0], (weights * (rows > 0)).sum(0), rtol=1e-4, atol=1e-7)
    assert found.count.tolist() == plain.statistics.count.tolist()
    for name in ("sum", "sumsq", "sumabs", "positive", "min", "max"):
        np.testing.assert_array_equal(getattr(found, name)[1], getattr(plain.statistics, name)[1])


def test_a_share_they_have_already_or_no_neighbour_changes_nothing(loaded: LoadedModel) -> None:
    plain = collect(loaded, ITEMS)
    assert weigh_neighbours(plain, loaded, ITEMS, 0.0) is plain
    assert weigh_neighbours(plain, loaded, [LabelledText(item.text, item.spans) for item in ITEMS], 0.5) is plain
    assert weigh_neighbours(plain, loaded, ITEMS, 0.01).statistics is plain.statistics


def test_what_cannot_be_negative_stays_so_where_all_of_it_is_the_neighbours() -> None:
    rows = np.zeros((10, 1, 1))
    rows[:2] = 0.1
    whole = statistics_of(rows, np.zeros(10, int))
    near = statistics_of(rows * (1 + 1e-12), np.array([1, 1] + [0] * 8))
    found = weighed(whole, near, 0.5)
    assert found.sumsq.min() >= 0
    assert found.rms()[0, 0, 0] == pytest.approx(0.1 * 0.5**0.5)


@pytest.mark.parametrize("aggregation", ["token", "average", "first"])
def test_a_neighbour_in_a_word_of_the_concept_is_no_retain_row(loaded: LoadedModel, aggregation: str) -> None:
    text = "The chair/table stood beside the old window near the river."
    item = _item(text, ("chair",), ("table",))
    settings = {"site": "mlp", "alignment": "before", "aggregation": aggregation}
    plain = collect(loaded, [item, ITEMS[2]], **settings)
    found = weigh_neighbours(plain, loaded, [item, ITEMS[2]], 0.5)
    assert found.statistics is plain.statistics
