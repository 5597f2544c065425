"""Ablation sweeps: against measuring each cut by hand; what a sweep draws, leaves out, keeps and goes on from."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.tiny_models import tiny
from unlearning_core.cli.sweep import curves_table
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.control_cuts import bottom_first, random_like
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError, Stopped
from unlearning_core.evaluation.likelihood import Meter, measure
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.evaluation.sweep import Point, SweepSettings, sweep, to_frame
from unlearning_core.progress import Progress
from unlearning_core.runs.sweep import summarise

LAYERS, WIDTH = 3, 48
SHAPES = {"mlp": (LAYERS, WIDTH)}
THINGS = ("table", "window", "river", "cat")
ITEMS = [LabelledText(f"She put the chair beside the {thing}.", ((12, 17),), ("chair",)) for thing in THINGS]
ITEMS += [LabelledText(f"A small {thing} crossed the river.") for thing in ("boat", "dog", "cat")]


def ranking_of(seed: int = 0, protected: int = 0) -> pd.DataFrame:
    """Every MLP neuron in a random order; the last `protected` of it are protected."""
    layer, index = np.divmod(np.random.default_rng(seed).permutation(LAYERS * WIDTH), WIDTH)
    rank = np.arange(LAYERS * WIDTH)
    flags = rank >= len(rank) - protected
    return pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "rank": rank, "protected": flags})


def per_layer(mask: Mask) -> list[int]:
    return (~mask.kept["mlp"]).sum(axis=1).tolist()


@pytest.fixture(scope="module")
def meter() -> Meter:
    return Meter(tiny("llama"), ITEMS)


def test_top_and_bottom_points_are_the_cuts_measured_one_by_one(meter: Meter) -> None:
    ranking = ranking_of()
    points = sweep(meter, ranking, SweepSettings(ratios=(0.05, 0.25), draws=1, stop_at=math.inf))
    base = measure(meter.loaded, ITEMS)
    for order, neurons in (("top", ranking), ("bottom", ranking.iloc[::-1])):
        for ratio in (0.05, 0.25):
            count = round(ratio * len(ranking))
            chosen = list(neurons.head(count)[["site", "layer", "index"]].itertuples(index=False, name=None))
            after = measure(meter.loaded, ITEMS, mask=Mask.from_neurons(SHAPES, chosen))
            (point,) = points[(points["order"] == order) & (points["ratio"] == ratio)].to_dict("records")
            assert point["neurons"] == count
            for name, kind in (("forget", "concept"), ("retain", "retain")):
                delta = nll_delta(base, after, kind)
                assert point[name] == pytest.approx(delta.value, abs=1e-6)
                assert point[f"{name}_stderr"] == pytest.approx(delta.stderr, abs=1e-6)


def test_neighbours_are_measured_apart_where_there_are_any(meter: Meter) -> None:
    ranking, settings = ranking_of(), SweepSettings(ratios=(0.25,), draws=1, stop_at=math.inf)
    assert sweep(meter, ranking, settings)[["neighbour", "neighbour_stderr"]].isna().all(axis=None)
    places = [item.text.find("river") for item in ITEMS]
    items = [
        replace(item, neighbours=((place, place + len("river")),) if place >= 0 else ())
        for item, place in zip(ITEMS, places, strict=True)
    ]
    near = sweep(Meter(meter.loaded, items), ranking, settings, orders=("top",))
    assert near["neighbour"].iloc[0] == near["neighbour_stderr"].iloc[0] == 0
    chosen = list(ranking.head(36)[["site", "layer", "index"]].itertuples(index=False, name=None))
    # The neighbours as a concept of their own: what is measured of one then is measured of the other.
    apart = [LabelledText(item.text, item.neighbours) for item in items]
    base = measure(meter.loaded, apart)
    delta = nll_delta(base, measure(meter.loaded, apart, mask=Mask.from_neurons(SHAPES, chosen)), "concept")
    assert near["neighbour"].iloc[1] == pytest.approx(delta.value, abs=1e-6)
    assert near["neighbour_stderr"].iloc[1] == pytest.approx(delta.stderr, abs=1e-6)


def test_the_table_for_a_terminal_has_a_column_of_neighbours_where_there_are_any() -> None:
    for near in (math.nan, 0.3):
        rows = [Point("top", 0, r, 10, f, 0.1, 0.1 * f, 0.1, f * near) for r, f in ((0.0, 0.0), (0.1, 1.0))]
        head, _, line, *_ = curves_table(to_frame(rows), summarise(to_frame(rows))).splitlines()
        assert head.endswith("top, neighbours") == line.endswith("0.300") == math.isfinite(near)


def test_a_point_is_read_back_as_it_was_and_one_of_before_there_were_neighbours_too() -> None:
    whole = Point("top", 0, 0.1, 5, 1.0, math.nan, 0.1, 0.01, 0.3, 0.02)
    assert str(Point.from_dict(json.loads(json.dumps(whole.to_dict())))) == str(whole)
    older = {name: value for name, value in whole.to_dict().items() if not name.startswith("neighbour")}
    assert math.isnan(Point.from_dict(older).neighbour)


def test_a_cut_of_nothing_changes_nothing_and_is_always_there(meter: Meter) -> None:
    points = sweep(meter, ranking_of(), SweepSettings(ratios=(0.1,), draws=2))
    nothing = points[points["ratio"] == 0]
    assert sorted(zip(nothing["order"], nothing["draw"], strict=True)) == [
        ("bottom", 0), ("random", 0), ("random", 1), ("top", 0),
    ]  # fmt: skip
    assert not nothing[["neurons", "forget", "retain", "forget_stderr", "retain_stderr"]].to_numpy().any()


@pytest.mark.parametrize("protected", [0, 100])
def test_random_cuts_take_as_many_neurons_of_every_layer(protected: int) -> None:
    ranking = ranking_of(protected=protected)
    for ratio in (0.02, 0.2, 0.6):
        mask = CutSettings(ratio).mask(ranking, SHAPES)
        drawn = [random_like(mask, ranking, [0, draw]) for draw in range(3)]
        assert all(per_layer(one) == per_layer(mask) for one in drawn)
        assert len({one.digest() for one in drawn}) == 3
        assert random_like(mask, ranking.sample(frac=1, random_state=1), [0, 1]) == drawn[1]


def test_random_cuts_spare_protected_neurons_and_grow() -> None:
    ranking = ranking_of(protected=30)
    safe = ranking[ranking["protected"]]
    small, large = (random_like(CutSettings(ratio).mask(ranking, SHAPES), ranking, 5) for ratio in (0.1, 0.5))
    assert large.kept["mlp"][safe["layer"], safe["index"]].all()
    assert not large.kept["mlp"][~small.kept["mlp"]].any()


def test_upside_down_the_least_relevant_come_first_and_protected_ones_last() -> None:
    ranking = ranking_of(protected=20)
    turned = bottom_first(ranking).sort_values("rank")
    free, safe = ranking[~ranking["protected"]], ranking[ranking["protected"]]
    expected = pd.concat([free.iloc[::-1], safe.iloc[::-1]])
    assert turned[["layer", "index"]].to_numpy().tolist() == expected[["layer", "index"]].to_numpy().tolist()
    assert turned["rank"].tolist() == list(range(len(ranking)))


def test_sites_ranked_apart_are_turned_and_drawn_apart() -> None:
    one = ranking_of(seed=1)
    both = pd.concat([one, one.assign(site="head")], ignore_index=True)
    shapes = {"mlp": (LAYERS, WIDTH), "head": (LAYERS, WIDTH)}
    mask = CutSettings(0.1).mask(bottom_first(both), shapes)
    alone = CutSettings(0.1).mask(bottom_first(one), SHAPES)
    assert (mask.kept["mlp"] == alone.kept["mlp"]).all()
    assert (mask.kept["head"] == alone.kept["mlp"]).all()
    drawn = random_like(mask, both, 0)
    assert per_layer(drawn) == per_layer(mask)
    assert (drawn.kept["mlp"] != drawn.kept["head"]).any()


def test_protected_layers_lose_nothing_in_any_order() -> None:
    ranking = ranking_of()
    settings = CutSettings(0.5, protected_layers=(0, 2))
    mask = settings.mask(ranking, SHAPES)
    assert per_layer(mask) == [0, WIDTH // 2, 0]
    assert per_layer(random_like(mask, settings.candidates(ranking), 0)) == [0, WIDTH // 2, 0]


@pytest.mark.parametrize(("layers", "said"), [((3,), "names layer 3"), ((0, 1, 2), "All 3 layers")])
def test_layers_that_cannot_be_protected_are_named(layers: tuple[int, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CutSettings(0.1, protected_layers=layers).mask(ranking_of(), SHAPES)


def test_an_order_ends_where_the_rest_is_broken(meter: Meter) -> None:
    ranking = ranking_of()
    ratios = (0.1, 0.3, 0.5, 0.9)
    whole = sweep(meter, ranking, SweepSettings(ratios=ratios, draws=1, stop_at=math.inf))
    top = whole[whole["order"] == "top"]
    limit = float(top["retain"].iloc[1:].max()) - 1e-9
    short = sweep(meter, ranking, SweepSettings(ratios=ratios, draws=1, stop_at=limit))
    first = int(np.argmax(top["retain"].to_numpy() > limit))
    assert short[short["order"] == "top"]["ratio"].tolist() == top["ratio"].tolist()[: first + 1]


def test_a_stopped_sweep_goes_on_without_measuring_again(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SweepSettings(ratios=(0.1, 0.2), draws=2, stop_at=math.inf)
    whole = sweep(meter, ranking_of(), settings)
    kept: list[Point] = []

    def stop(update: Progress) -> None:
        if update.done == 5:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        sweep(meter, ranking_of(), settings, on_point=kept.append, progress=stop)
    calls = []
    real = Meter.measure
    monkeypatch.setattr(Meter, "measure", lambda *given, **named: calls.append(given) or real(*given, **named))
    again = sweep(meter, ranking_of(), settings, known=[Point.from_dict(point.to_dict()) for point in kept])
    assert len(kept) == 5
    # Ratio 0 costs nothing: 2 ratios x (top + 2 random + bottom), less the 2 cuts from the top that were kept.
    assert len(calls) == 6
    pd.testing.assert_frame_equal(again, whole)


def test_a_standard_error_that_is_none_survives_json() -> None:
    point = Point("top", 0, 0.1, 3, 1.0, math.nan, 0.1, 0.2)
    back = Point.from_dict(point.to_dict())
    assert point.to_dict()["forget_stderr"] is None
    pd.testing.assert_frame_equal(to_frame([back]), to_frame([point]))


@pytest.mark.parametrize(("wrong", "said"), [({"ratios": (1.5,)}, "ratios has 1.5"), ({"draws": 0}, "draws is 0")])
def test_settings_out_of_range_are_named(wrong: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        SweepSettings(**wrong)
