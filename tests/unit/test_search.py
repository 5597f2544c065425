"""The smallest cut that works: against measuring a cut of every number of neurons one by one."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny_models import tiny
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError, Stopped
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.evaluation.search import MOST, Search, Target, search
from unlearning_core.evaluation.sweep import Point, SweepSettings, sweep
from unlearning_core.progress import Progress

LAYERS, WIDTH = 3, 48
NEURONS = LAYERS * WIDTH
THINGS = ("table", "window", "river")
TEXTS = [f"The {thing} stood by the chair." for thing in THINGS]
ITEMS = [LabelledText(text, ((text.index("chair"), text.index(".")),), ("chair",)) for text in TEXTS]
ITEMS += [LabelledText(f"A small {thing} crossed the river.") for thing in ("boat", "dog")]

Deltas = tuple[np.ndarray, np.ndarray]
"""Forget and retain delta by number of neurons cut, 0 to all."""


@pytest.fixture(scope="module")
def meter() -> Meter:
    return Meter(tiny("llama"), ITEMS)


@pytest.fixture(scope="module")
def ranking(meter: Meter) -> pd.DataFrame:
    """Every MLP neuron, those first whose cut alone raises the concept's loss most."""
    gains = []
    for layer in range(LAYERS):
        for index in range(WIDTH):
            alone = meter.measure(Mask.from_neurons({"mlp": (LAYERS, WIDTH)}, [("mlp", layer, index)]))
            gains.append((nll_delta(meter.base, alone, "concept").value, layer, index))
    gains.sort(reverse=True)
    layer, index = [gain[1] for gain in gains], [gain[2] for gain in gains]
    return pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "rank": range(NEURONS)})


@pytest.fixture(scope="module")
def deltas(meter: Meter, ranking: pd.DataFrame) -> Deltas:
    forget, retain = [0.0], [0.0]
    for count in range(1, NEURONS + 1):
        chosen = list(ranking.head(count)[["site", "layer", "index"]].itertuples(index=False, name=None))
        after = meter.measure(Mask.from_neurons({"mlp": (LAYERS, WIDTH)}, chosen))
        forget.append(nll_delta(meter.base, after, "concept").value)
        retain.append(nll_delta(meter.base, after, "retain").value)
    return np.array(forget), np.array(retain)


def smallest_of(deltas: Deltas, target: Target) -> int | None:
    """The fewest neurons that reach the target, of all there are."""
    fits = np.flatnonzero((deltas[0] >= target.forget) & (deltas[1] <= target.retain))
    return int(fits[0]) if len(fits) else None


def targets(deltas: Deltas) -> list[Target]:
    """Some that are easy, some that are hard, some that nothing reaches."""
    forget, retain = deltas
    return [
        Target(share * float(forget.max()), float(np.quantile(retain.clip(0), part)))
        for share in (0.1, 0.4, 0.7, 0.95, 1.5)
        for part in (0.05, 0.3, 1.0)
    ]


@pytest.mark.slow
def test_with_a_measurement_for_every_count_it_is_the_smallest_there_is(
    meter: Meter, ranking: pd.DataFrame, deltas: Deltas
) -> None:
    steady = np.diff(deltas[0]).min() >= 0 and np.diff(deltas[1]).min() >= 0
    assert not steady, "the case is worth something only where the losses rise unsteadily"
    known: list[Point] = []
    expected = [smallest_of(deltas, target) for target in targets(deltas)]
    assert {None} < set(expected)
    for target, fewest in zip(targets(deltas), expected, strict=True):
        found = search(meter, ranking, target, most=NEURONS, known=known, on_point=known.append)
        assert (found.smallest.neurons if found.smallest else None) == fewest
        assert found.untried == 0
        if fewest is None:
            within = deltas[1] <= target.retain
            assert found.best.forget == pytest.approx(deltas[0][within].max(), abs=1e-6)
            enough = deltas[0] >= target.forget
            cheapest = found.cheapest.retain if found.cheapest else math.inf
            assert cheapest == pytest.approx(deltas[1][enough].min(initial=math.inf), abs=1e-6)


def test_few_measurements_find_a_cut_that_works_and_cannot_be_made_smaller_by_one(
    meter: Meter, ranking: pd.DataFrame, deltas: Deltas
) -> None:
    forget, retain = deltas
    for target in targets(deltas):
        found = search(meter, ranking, target)
        points = [point for point in found.points if point.neurons]
        assert len(points) <= MOST
        for point in points:
            assert point.forget == pytest.approx(forget[point.neurons], abs=1e-6)
            assert point.retain == pytest.approx(retain[point.neurons], abs=1e-6)
        if found.smallest is not None:
            count = found.smallest.neurons
            assert target.reached_by(found.smallest)
            assert not (forget[count - 1] >= target.forget and retain[count - 1] <= target.retain)
            assert found.untried == count - 1 - sum(point.neurons < count for point in points)
        else:
            assert smallest_of(deltas, target) is None, "one that works was overlooked"


def test_standard_errors_are_those_of_the_paired_differences(meter: Meter, ranking: pd.DataFrame) -> None:
    found = search(meter, ranking, Target(0.1, 5.0))
    assert found.smallest is not None
    chosen = list(ranking.head(found.smallest.neurons)[["site", "layer", "index"]].itertuples(index=False, name=None))
    after = meter.measure(Mask.from_neurons({"mlp": (LAYERS, WIDTH)}, chosen))
    assert found.smallest.forget_stderr == pytest.approx(nll_delta(meter.base, after, "concept").stderr)
    assert found.smallest.retain_stderr == pytest.approx(nll_delta(meter.base, after, "retain").stderr)


@pytest.mark.parametrize(
    ("cut", "most"),
    [
        (CutSettings(0.3, per_layer=True), WIDTH),
        (CutSettings(0.3, protected_layers=(0, 1)), WIDTH),
        (CutSettings(0.3, excluded_neurons=(("mlp", 0, 1), ("mlp", 2, 7))), NEURONS - 2),
    ],
)
def test_a_cut_lies_where_the_settings_allow_it(
    meter: Meter, ranking: pd.DataFrame, cut: CutSettings, most: int
) -> None:
    target = Target(0.02, 5.0)
    found = search(meter, ranking, target, cut, most=NEURONS)
    masks = [
        CutSettings(step / most, cut.per_layer, cut.protected_layers, cut.excluded_neurons) for step in range(most + 1)
    ]
    for settings in masks[1:]:
        mask = settings.mask(ranking, meter.loaded.map.shapes)
        after = meter.measure(mask)
        forget, retain = (nll_delta(meter.base, after, kind).value for kind in ("concept", "retain"))
        if forget >= target.forget and retain <= target.retain:
            break
    assert found.smallest is not None
    assert found.smallest.neurons == mask.cut
    assert (
        CutSettings(found.smallest.ratio, *list(vars(cut).values())[1:]).mask(ranking, meter.loaded.map.shapes) == mask
    )


def test_what_was_measured_before_is_not_measured_again(
    meter: Meter, ranking: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = sweep(meter, ranking, SweepSettings(draws=1, stop_at=math.inf))
    known = [Point(**row) for row in curve.to_dict("records")]
    kept: list[Point] = []

    def stop(update: Progress) -> None:
        if update.done == 5:
            raise Stopped("enough")

    target = Target(50.0, 5.0)
    with pytest.raises(Stopped):
        search(meter, ranking, target, known=known, on_point=kept.append, progress=stop)
    assert len(kept) == 5
    calls: list[object] = []
    real = Meter.measure
    monkeypatch.setattr(Meter, "measure", lambda *given, **named: calls.append(given) or real(*given, **named))
    again: list[Point] = []
    found = search(meter, ranking, target, known=[*known, *kept], on_point=again.append)
    assert len(calls) == len(again)
    counts = [point.neurons for point in found.points]
    assert len(set(counts)) == len(counts)
    top = {point.neurons for point in known if point.order == "top"}
    assert top | {point.neurons for point in kept} <= set(counts)
    assert all(low < high for low, high in pairwise(counts))


def point(neurons: int, forget: float, retain: float) -> Point:
    return Point("top", 0, neurons / 1000, neurons, forget, 0.01, retain, math.nan)


def test_the_sentence_has_the_neighbours_part_of_the_price() -> None:
    points = (Point("top", 0, 0.0, 0, 0.0, 0.0, 0.0, 0.0), Point("top", 0, 0.04, 40, 1.2, 0.01, 0.03, 0.0, 0.4, 0.05))
    assert Search(Target(1.0, 0.05), points, 1000, 0).sentence.endswith(
        "costs 0.030 ± 0.000, its neighbours 0.400 ± 0.098 (± half a 95 % interval)."
    )


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([point(40, 1.2, 0.03)], "takes 40 of 1,000 neurons (4 %): it forgets 1.200 ± 0.020 and costs 0.030 (± half"),
        ([point(40, 0.7, 0.03), point(80, 1.2, 0.3)], "the most is 0.700 ± 0.020, for 0.030, with 40 of"),
        ([point(40, 0.7, 0.03), point(80, 1.2, 0.3)], "1 nats cost at least 0.300, with 80 of"),
        ([point(40, -0.1, 0.3)], "no cut within that budget forgets anything; no cut that was measured forgets 1 nats"),
    ],
)
def test_the_sentence_says_how_close_it_came(points: list[Point], said: str) -> None:
    nothing = Point("top", 0, 0.0, 0, 0.0, 0.0, 0.0, 0.0)
    assert said in Search(Target(1.0, 0.05), (nothing, *points), 1000, 0).sentence


@pytest.mark.parametrize(
    ("forget", "retain", "said"),
    [(0.0, 0.1, "forget is 0"), (math.nan, 0.1, "forget is nan"), (1.0, -0.1, "retain is -")],
)
def test_a_target_out_of_range_is_named(forget: float, retain: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Target(forget, retain)


@pytest.fixture(scope="module")
def rows(meter: Meter) -> TokenRows:
    """Rows of the word "chair" under which it is never foreseen: they point away from every hidden state."""
    model, tokenizer = meter.loaded.model, meter.loaded.tokenizer
    ids = np.unique(tokenizer(" chair", add_special_tokens=False)["input_ids"])
    with torch.no_grad():
        states = model.model(**tokenizer([item.text for item in ITEMS][:1], return_tensors="pt")).last_hidden_state
    away = -states[0].mean(0).numpy()
    return TokenRows(ids, 1.0, model.model.embed_tokens.weight.detach().numpy().mean(0), away)


def test_rows_that_reach_the_target_need_no_neuron(meter: Meter, ranking: pd.DataFrame, rows: TokenRows) -> None:
    after = meter.measure(rows=rows)
    forget, retain = (nll_delta(meter.base, after, kind).value for kind in ("concept", "retain"))
    assert forget > 0.5
    found = search(meter, ranking, Target(forget - 0.1, max(0.0, retain) + 0.1), rows=rows)
    assert found.works
    assert found.smallest == found.points[0]
    assert (found.points[0].neurons, found.untried) == (0, 0)
    assert found.points[0].forget == pytest.approx(forget, abs=1e-6)


def test_every_cut_of_a_search_and_a_sweep_is_measured_with_the_rows(
    meter: Meter, ranking: pd.DataFrame, rows: TokenRows
) -> None:
    found = search(meter, ranking, Target(50.0, 50.0), rows=rows, most=4)
    assert found.points[0].neurons == 0
    table = sweep(meter, ranking, SweepSettings(ratios=(0.1,), draws=1, stop_at=math.inf), rows=rows)
    assert set(table.loc[table["neurons"] == 0, "forget"]) == {found.points[0].forget}
    for neurons, forget in [(p.neurons, p.forget) for p in found.points] + [
        *zip(*[table.loc[table["order"] == "top", name] for name in ("neurons", "forget")], strict=True)
    ]:
        chosen = list(ranking.head(neurons)[["site", "layer", "index"]].itertuples(index=False, name=None))
        after = meter.measure(Mask.from_neurons({"mlp": (LAYERS, WIDTH)}, chosen), rows=rows)
        assert forget == pytest.approx(nll_delta(meter.base, after, "concept").value, abs=1e-6)


def test_rows_that_cost_more_than_the_budget_are_no_cut_that_works(
    meter: Meter, ranking: pd.DataFrame, rows: TokenRows
) -> None:
    every = TokenRows(np.arange(1, 300), 1.0, rows.target_in, rows.target_out)
    found = search(meter, ranking, Target(50.0, 0.0), rows=every, most=1)
    assert found.points[0].retain > 0
    assert not found.works
    assert "no cut within that budget forgets anything" in found.sentence
