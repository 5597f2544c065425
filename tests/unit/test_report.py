"""The table behind metrics.json."""

import json

import pandas as pd
import pytest

from unlearning_core.errors import InputError
from unlearning_core.evaluation.likelihood import Measurement
from unlearning_core.evaluation.never_knew import Distance
from unlearning_core.evaluation.ratio import Estimate
from unlearning_core.evaluation.table import metrics_table
from unlearning_core.reports.terminal import in_figures, table


def _stage(concept_nats: list[float], retain_nats: list[float], first: str = "a") -> Measurement:
    table = {
        "text": [first, "b", "c"],
        "concept_tokens": [2, 1, 0],
        "concept_nats": concept_nats,
        "concept_hits": [1, 0, 0],
        "retain_tokens": [4, 4, 8],
        "retain_nats": retain_nats,
        "retain_hits": [2, 1, 3],
    }
    return Measurement.from_sentences(pd.DataFrame(table))


BASE = _stage([4.0, 3.0, 0.0], [8.0, 10.0, 22.0])
PRUNED = _stage([8.0, 5.0, 0.0], [9.0, 10.0, 23.0])
RETRAINED = _stage([7.0, 5.0, 0.0], [7.0, 10.0, 21.0])


def test_every_stage_has_the_agreed_keys_each_with_its_standard_error() -> None:
    words = {stage: Estimate(4.0, 0.5) for stage in ("base", "pruned", "retrained")}
    table = metrics_table({"base": BASE, "pruned": PRUNED, "retrained": RETRAINED}, words)
    means = {"concept_nll", "retain_nll", "concept_accuracy", "retain_accuracy", "concept_words_per_100"}
    deltas = {"forget_delta", "retain_delta"}
    for stage, names in (("base", means), ("pruned", means | deltas), ("retrained", means | deltas)):
        assert names | {f"{name}_stderr" for name in names} <= table[stage].keys()
    assert not deltas & table["base"].keys()


def test_deltas_are_against_base_and_by_token() -> None:
    table = metrics_table({"base": BASE, "pruned": PRUNED, "retrained": RETRAINED})
    assert table["pruned"]["forget_delta"] == pytest.approx((13 - 7) / 3)
    assert table["pruned"]["retain_delta"] == pytest.approx(2 / 16)
    assert table["pruned"]["forget_per_retain"] == pytest.approx(16.0)
    assert table["retrained"]["retain_delta"] == pytest.approx(-2 / 16)
    assert table["retrained"]["forget_per_retain"] is None
    assert "concept_words_per_100" not in table["base"]


def test_the_table_is_strict_json_even_where_something_cannot_be_estimated() -> None:
    table = metrics_table({"base": BASE}, {"base": Estimate(float("nan"), float("nan"))})
    written = json.loads(json.dumps(table, allow_nan=False))
    assert written["base"]["concept_words_per_100"] is None


def test_stages_on_different_sentences_are_refused() -> None:
    with pytest.raises(InputError, match="different held-out sentences"):
        metrics_table({"base": BASE, "pruned": _stage([8.0, 5.0, 0.0], [9.0, 10.0, 23.0], first="other")})


def test_without_a_base_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="base"):
        metrics_table({"pruned": PRUNED})


def _distance(ratios: list[float], sets: list[str]) -> Distance:
    questions = {
        "prompt": ["q"] * len(ratios),
        "truth_ratio": ratios,
        "never_knew_truth_ratio": [0.1, 0.2, 0.3][: len(ratios)],
    }
    texts = {
        "set": sets,
        "text": ["t"] * len(sets),
        "tokens": [2] * len(sets),
        "nats": [float(n) for n in range(len(sets))],
    }
    return Distance(pd.DataFrame(questions), pd.DataFrame(texts))


def test_a_distance_adds_what_was_measured_and_nothing_else() -> None:
    words = {"base": Estimate(4.0, 0.5)}
    plain = metrics_table({"base": BASE}, words)["base"]
    both = metrics_table({"base": BASE}, words, {"base": _distance([0.4, 0.5, 0.6], ["forget", "forget", "retain"])})
    added = {key: value for key, value in both["base"].items() if key not in plain}
    # Three against three that do not overlap: 2 of the 20 ways to part six numbers are as extreme.
    assert added.pop("forget_quality") == pytest.approx(2 / 20)
    assert added == {
        "forget_quality_statistic": 1.0,
        "never_knew_kl_forget": 1 / 4,
        "never_knew_kl_forget_stderr": pytest.approx(1 / 4),
        "never_knew_kl_retain": 1.0,
        "never_knew_kl_retain_stderr": None,
    }
    assert "forget_quality" not in metrics_table({"base": BASE}, words, {"base": _distance([], ["retain"])})["base"]


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (1.5, 0.25, "1.500 ± 0.250"), (3e-30, None, "3e-30"), (0.0, 0.0, "0.000 ± 0.000"), (-2.0, None, "-2.000"),
        (None, None, ""), (0.0006, None, "0.001"), (-0.0001, 0.002, "-0.000 ± 0.002"),
    ],
)  # fmt: skip
def test_figures_of_the_terminal(value: float | None, error: float | None, written: str) -> None:
    assert in_figures(value, error) == written


def test_the_terminals_table_leaves_out_what_no_step_has() -> None:
    plain = {"base": {"concept_nll": 1.0}, "pruned": {"concept_nll": 2.0, "forget_delta": 1.0}}
    assert [line.split()[0] for line in table(plain).splitlines()] == ["base", "concept_nll", "forget_delta"]
