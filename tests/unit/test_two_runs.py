"""Two runs beside each other: their differences, held against published figures and against numpy."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from unlearning_core.config.reading import build_config
from unlearning_core.evaluation.measurement import Measurement
from unlearning_core.evaluation.ratio import Estimate, difference
from unlearning_core.evaluation.registry import METRICS
from unlearning_core.figures.two_runs import two_runs
from unlearning_core.reports.two_runs import either, metrics_of_two, paired_differences
from unlearning_core.runs.manifest import kind_of
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.run import Run


def share(hits: int, of: int) -> Estimate:
    """A share with its Wilson interval."""
    interval = binomtest(hits, of).proportion_ci(0.95, method="wilson")
    return Estimate(hits / of, interval=(interval.low, interval.high))


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    # Newcombe 1998 (Statistics in Medicine 17), table II, method 10, cases (a) and (c).
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)],
)
def test_the_interval_of_a_difference_of_shares_is_newcombes(
    ours: tuple[int, int], theirs: tuple[int, int], low: float, high: float
) -> None:
    found = difference(share(*theirs), share(*ours))
    assert found.value == pytest.approx(ours[0] / ours[1] - theirs[0] / theirs[1])
    assert found.ends == pytest.approx((low, high), abs=1e-4)
    swapped = difference(share(*ours), share(*theirs))
    assert swapped.ends == pytest.approx((-high, -low), abs=1e-4)


def test_the_error_of_a_difference_is_that_of_two_independent_draws() -> None:
    draws = np.random.default_rng(0).normal([2.0, 5.0], [0.3, 0.4], size=(200_000, 2))
    found = difference(Estimate(2.0, 0.3), Estimate(5.0, 0.4))
    assert found.value == 3.0
    assert found.stderr == pytest.approx(np.diff(draws, axis=1).std(), rel=0.01)
    assert found.ends == pytest.approx((3 - 1.96 * 0.5, 3 + 1.96 * 0.5))
    assert difference(Estimate(1.0), Estimate(2.0, 0.1)).ends is None
    assert difference(Estimate(1.0), Estimate(2.0, interval=(1.5, 2.5))).ends is None


def test_metrics_of_two_runs_stand_beside_each_other_with_what_either_has() -> None:
    one = {"base": {"retain_nll": 1.0, "retain_nll_stderr": 0.1, "concept_nll": None}}
    other = {"base": {"concept_nll": 2.0}, "pruned": {"retain_nll": 3.0}}
    assert metrics_of_two(one, other).values.tolist() == [
        ["Concept loss (nats/token)", "base", "", "2.000", "", ""],
        ["Loss on other text, all sentences (nats/token)", "base", "1.000 ± 0.196", "", "", ""],
        ["Loss on other text, all sentences (nats/token)", "pruned", "", "3.000", "", ""],
    ]
    assert metrics_of_two({}, {}).empty


@pytest.mark.parametrize(
    ("name", "second", "told"),
    [
        ("concept_nll", 2.5, ("+0.500 ± 0.277", "second")),  # more is better
        ("concept_nll", 1.5, ("-0.500 ± 0.277", "first")),
        ("concept_nll", 2.2, ("+0.200 ± 0.277", "not sure")),
        ("retain_nll", 2.5, ("+0.500 ± 0.277", "first")),  # less is better
        ("concept_nll", 2.0, ("+0.000 ± 0.277", "")),
    ],
)
def test_a_run_is_called_better_only_where_the_interval_does_not_hold_zero(
    name: str, second: float, told: tuple[str, str]
) -> None:
    values = [{"pruned": {name: value, f"{name}_stderr": 0.1}} for value in (2.0, second)]
    (row,) = metrics_of_two(*values).to_dict("records")
    assert (row["difference"], row["better"]) == told


def test_a_difference_without_errors_calls_neither_better() -> None:
    (row,) = metrics_of_two({"base": {"concept_nll": 1.0}}, {"base": {"concept_nll": 2.0}}).to_dict("records")
    assert (row["difference"], row["better"]) == ("+1.000", "")


def sentences(seed: int, harder: float = 0.0, count: int = 40) -> pd.DataFrame:
    """Sentences, some of them without the concept, whose losses vary much from one to the next."""
    common, own = np.random.default_rng(7), np.random.default_rng(seed)
    level = common.normal(3, 2, count)
    found: dict[str, object] = {"text": [f"sentence {number}" for number in range(count)]}
    for kind, tokens in (("concept", common.integers(0, 3, count)), ("retain", common.integers(4, 9, count))):
        nats = tokens * (level + harder + own.normal(0, 0.05, count))
        found |= {f"{kind}_tokens": tokens, f"{kind}_nats": nats, f"{kind}_hits": tokens // 2}
    return pd.DataFrame(found)


def measured(root: Path, **states: pd.DataFrame) -> Run:
    """A run with these measurements, and models that are there in name."""
    run = create_run(build_config({"neural_probing": {"concept_definition": ["chair"]}}), root)
    for state, frame in states.items():
        finish(run, f"measure {state}", Path(f"measurements/{state}.parquet"), frame.to_parquet)
        if state == "pruned":
            finish(run, "prune", Path("models/pruned/config.json"), lambda path: path.write_text("{}"))
    return run


def finish(run: Run, step: str, name: Path, write: Callable[[Path], object]) -> None:
    """Give a stage a result with that one file."""
    key = f"{step.replace(' ', '-')}-{run.id}"
    with run.store.build(kind_of(step), key, then=lambda artifact: run.point(step, artifact)) as build:
        (build.folder / name).parent.mkdir(parents=True)
        write(build.folder / name)


def test_losses_on_the_same_sentences_are_compared_sentence_by_sentence(tmp_path: Path) -> None:
    base = sentences(0)
    first, second = sentences(1), sentences(2, harder=0.03)
    one, other = measured(tmp_path, base=base, pruned=first), measured(tmp_path, base=base, pruned=second)
    found = paired_differences(one, other)["pruned"]
    tokens = first["retain_tokens"].to_numpy()
    change = (second["retain_nats"] - first["retain_nats"]).to_numpy()
    value = change.sum() / tokens.sum()
    residuals = change - value * tokens
    stderr = math.sqrt(len(tokens) / (len(tokens) - 1) * (residuals @ residuals)) / tokens.sum()
    assert found["retain_nll"].value == pytest.approx(value)
    assert found["retain_nll"].stderr == pytest.approx(stderr)
    # A change against the same base differs by as much as the losses do.
    assert found["retain_delta"] == found["retain_nll"]
    assert found["forget_delta"] == found["concept_nll"]
    free = first["concept_tokens"].to_numpy() == 0
    assert found["apart_delta"].value == pytest.approx(change[free].sum() / tokens[free].sum())
    # As independent ones, whose losses vary from sentence to sentence, the two could not be told apart.
    values = [
        {"pruned": {"retain_nll": mean.value, "retain_nll_stderr": mean.stderr}}
        for mean in (Measurement(frame).nll("retain") for frame in (first, second))
    ]
    alone, paired = metrics_of_two(*values), metrics_of_two(*values, {"pruned": found})
    assert (alone["better"].item(), paired["better"].item()) == ("not sure", "first")


def test_losses_on_other_sentences_or_of_another_base_are_not_paired(tmp_path: Path) -> None:
    one = measured(tmp_path, base=sentences(0), pruned=sentences(1))
    shorter = measured(tmp_path, base=sentences(0, count=39), pruned=sentences(1, count=39))
    assert paired_differences(one, shorter) == {"base": {}, "pruned": {}}
    other_base = measured(tmp_path, base=sentences(5), pruned=sentences(2))
    assert set(paired_differences(one, other_base)["pruned"]) == {"concept_nll", "retain_nll", "apart_nll"}


def test_the_chart_of_two_runs_draws_both_with_their_intervals() -> None:
    one = {
        "base": {"concept_nll": 1.0, "concept_nll_stderr": 0.1},
        "pruned": {"concept_nll": 4.0, "concept_nll_low": 3.0, "concept_nll_high": 6.0},
    }
    other = {"base": {"concept_nll": 2.0}, "npo": {"concept_nll": 5.0}}
    assert list(either(one, other)) == ["base", "pruned", "npo"]
    first, second = two_runs([one, other], ["ours", "theirs"], [METRICS["concept_nll"]]).data
    assert (first.name, list(first.x), list(first.y)) == ("ours", ["base", "pruned"], [1.0, 4.0])
    assert list(first.error_y.array) == pytest.approx([0.196, 2.0])
    assert list(first.error_y.arrayminus) == pytest.approx([0.196, 1.0])
    assert (second.name, list(second.x), list(second.y)) == ("theirs", ["base", "npo"], [2.0, 5.0])
    assert list(second.error_y.array) == [0, 0]
    assert first.marker.color != second.marker.color
    assert first.marker.pattern.shape != second.marker.pattern.shape
