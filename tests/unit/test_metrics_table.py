"""The registry of metrics, the table behind metrics.json, and every place that shows a metric."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.reading import build_config
from unlearning_core.errors import InputError
from unlearning_core.evaluation.measurement import Measurement
from unlearning_core.evaluation.never_knew import Distance
from unlearning_core.evaluation.ratio import Estimate, format_value
from unlearning_core.evaluation.registry import METRICS, Metric, headline, metrics_table, shown
from unlearning_core.figures.metric_bars import metric_bars
from unlearning_core.files import write_json
from unlearning_core.reports.csv import metrics_csv
from unlearning_core.reports.run_report import html_report
from unlearning_core.reports.run_table import run_table
from unlearning_core.reports.terminal import table
from unlearning_core.reports.two_runs import metrics_of_two
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.stages.measure import report_inputs


def _measured(concept_nats: list[float], retain_nats: list[float], first: str = "a") -> Measurement:
    table = {
        "text": [first, "b", "c"],
        "concept_tokens": [2, 1, 0],
        "concept_nats": concept_nats,
        "concept_hits": [1, 0, 0],
        "retain_tokens": [4, 4, 8],
        "retain_nats": retain_nats,
        "retain_hits": [2, 1, 3],
    }
    return Measurement(pd.DataFrame(table))


BASE = _measured([4.0, 3.0, 0.0], [8.0, 10.0, 22.0])
PRUNED = _measured([8.0, 5.0, 0.0], [9.0, 10.0, 23.0])
RETRAINED = _measured([7.0, 5.0, 0.0], [7.0, 10.0, 21.0])


SEATS = Matcher(Concept(("chair",)))
AGREED = [
    *("concept_nll", "retain_nll", "concept_accuracy", "retain_accuracy", "apart_nll"),
    *("concept_tokens", "retain_tokens"),
    *("concept_words_per_100", "forget_delta", "retain_delta", "apart_delta", "forget_per_retain"),
]


def table_of(*measurements: Measurement, **more: Any) -> dict[str, dict[str, float | None]]:
    named = zip(("base", "pruned", "retrained"), measurements, strict=False)
    return metrics_table({state: {"measurement": found} | more for state, found in named})


def test_every_state_has_the_agreed_keys_in_their_order_each_with_its_standard_error() -> None:
    table = table_of(BASE, PRUNED, RETRAINED, texts=["A chair.", "Nothing here."], matcher=SEATS)
    without = {"concept_tokens", "retain_tokens", "forget_per_retain"}
    keys = [key for name in AGREED for key in ([name] if name in without else [name, f"{name}_stderr"])]
    assert list(table["pruned"]) == list(table["retrained"]) == keys
    assert list(table["base"]) == [key for key in keys if "delta" not in key and key != "forget_per_retain"]
    assert table["base"]["concept_words_per_100"] == pytest.approx(25)
    assert json.dumps(table["base"]["retain_tokens"]) == "16"


def test_deltas_are_against_base_and_by_token() -> None:
    table = table_of(BASE, PRUNED, RETRAINED)
    assert table["pruned"]["forget_delta"] == pytest.approx((13 - 7) / 3)
    assert table["pruned"]["retain_delta"] == pytest.approx(2 / 16)
    assert table["pruned"]["forget_per_retain"] == pytest.approx(16.0)
    assert table["retrained"]["retain_delta"] == pytest.approx(-2 / 16)
    assert table["retrained"]["forget_per_retain"] is None
    assert "concept_words_per_100" not in table["base"]


def test_the_cost_is_read_where_the_concept_is_not_spoken_of() -> None:
    table = table_of(BASE, PRUNED, RETRAINED)
    assert [table[state]["apart_nll"] for state in ("base", "pruned", "retrained")] == [22 / 8, 23 / 8, 21 / 8]
    assert [table[state]["apart_delta"] for state in ("pruned", "retrained")] == [1 / 8, -1 / 8]
    everywhere = Measurement(BASE.sentences.head(2))
    assert not {"apart_nll", "apart_delta"} & set(table_of(everywhere, everywhere)["pruned"])


def test_the_table_is_strict_json_even_where_something_cannot_be_estimated() -> None:
    alone = Measurement(BASE.sentences.head(1))
    written = json.loads(json.dumps(table_of(alone, texts=[], matcher=SEATS), allow_nan=False))
    assert written["base"]["concept_words_per_100"] is None
    assert written["base"]["concept_nll_stderr"] is None


def test_states_on_different_sentences_are_refused() -> None:
    with pytest.raises(InputError, match="different held-out sentences"):
        table_of(BASE, _measured([8.0, 5.0, 0.0], [9.0, 10.0, 23.0], first="other"))


def test_without_a_base_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="base"):
        metrics_table({"pruned": {"measurement": PRUNED}})


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
    plain = table_of(BASE)["base"]
    both = table_of(BASE, distance=_distance([0.4, 0.5, 0.6], ["forget", "forget", "retain"]))["base"]
    added = {key: value for key, value in both.items() if key not in plain}
    # Three against three that do not overlap: 2 of the 20 ways to part six numbers are as extreme.
    assert added.pop("forget_quality") == pytest.approx(2 / 20)
    assert added == {
        "forget_quality_statistic": 1.0,
        "never_knew_kl_forget": 1 / 4,
        "never_knew_kl_forget_stderr": pytest.approx(1 / 4),
        "never_knew_kl_retain": 1.0,
        "never_knew_kl_retain_stderr": None,
    }
    assert "forget_quality" not in table_of(BASE, distance=_distance([], ["retain"]))["base"]


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (1.5, 0.25, "1.500 ± 0.490"), (3e-30, None, "3e-30"), (0.0, 0.0, "0.000 ± 0.000"), (-2.0, None, "-2.000"),
        (None, None, ""), (0.0006, None, "0.001"), (-0.0001, 0.002, "-0.000 ± 0.004"), (1.0, math.nan, "1.000"),
    ],
)  # fmt: skip
def test_a_value_is_written_with_half_its_95_percent_interval(
    value: float | None, error: float | None, written: str
) -> None:
    assert format_value(value, error) == written


def test_the_terminals_table_leaves_out_what_no_state_has_and_says_what_an_interval_is() -> None:
    plain = {"base": {"concept_nll": 1.0, "retain_nll": 2.0}, "pruned": {"concept_nll": 2.0, "forget_delta": 1.0}}
    assert [line.split()[0] for line in table(plain).splitlines()] == [
        *("base", "concept_nll", "forget_delta", "retain_nll"),
    ]
    assert "95 % interval" in table({"base": {"concept_nll": 1.0, "concept_nll_stderr": 0.1}}).splitlines()[-1]


def test_tables_are_read_by_section_with_each_change_below_what_changed() -> None:
    every = {"base": dict.fromkeys(METRICS, 1.0)}
    assert [metric.name for metric in shown(every, "table")] == [
        *("questions_answered", "questions_exact"),
        *("concept_nll", "forget_delta", "retain_nll", "retain_delta", "apart_nll", "apart_delta"),
        *("neighbour_nll", "neighbour_delta", "rest_nll", "rest_delta"),
        *("concept_accuracy", "retain_accuracy", "neighbour_accuracy", "rest_accuracy"),
        *("concept_words_per_100", "forget_quality", "forget_quality_statistic"),
        *("never_knew_kl_forget", "never_knew_kl_neighbour", "never_knew_kl_retain"),
    ]


def test_the_headline_has_the_parts_of_a_loss_in_place_of_the_whole() -> None:
    plain = dict.fromkeys(("concept_nll", "retain_nll", "concept_words_per_100", "forget_quality"), 1.0)
    assert [metric.name for metric in headline({"base": plain})] == [
        "concept_nll",
        "retain_nll",
        "concept_words_per_100",
    ]
    parts = plain | dict.fromkeys(("neighbour_nll", "rest_nll", "apart_nll"), 1.0)
    assert [metric.name for metric in headline({"base": parts})] == [
        *("concept_nll", "apart_nll", "neighbour_nll", "concept_words_per_100"),
    ]
    asked = parts | {"questions_exact": 0.5}
    assert [metric.name for metric in headline({"base": asked})] == [
        *("questions_exact", "concept_nll", "apart_nll", "neighbour_nll"),
    ]


def test_a_metric_is_one_row_of_the_registry_and_is_shown_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    toy = Metric(
        "longest", "Longest text", "Characters of the longest text written.", ("texts",),
        lambda texts: Estimate(max(map(len, texts)), 0.5), section="texts", unit="characters", column="Longest",
        shown_in=("table", "headline", "runs"),
    )  # fmt: skip
    monkeypatch.setitem(METRICS, "longest", toy)
    states = ("base", "pruned", "distilled")
    metrics = metrics_table(
        {state: {"measurement": BASE, "texts": ["a" * length]} for length, state in enumerate(states, 5)}
    )
    assert [metrics[state]["longest"] for state in states] == [5, 6, 7]
    assert metrics["pruned"]["longest_stderr"] == 0.5
    (line,) = [line for line in table(metrics).splitlines() if line.startswith("longest ")]
    assert line.split()[1:4] == ["5.000", "±", "0.980"]
    page = html_report("T", ["chair"], metrics, {}, lambda text: [], about={}, settings={})
    assert "Longest text (characters)<small>Characters of the longest text written.</small>" in page
    assert "6.000 ± 0.980" in page
    assert "distilled,longest,7,0.5" in metrics_csv(metrics).splitlines()
    assert list(metric_bars(metrics)["Longest text (characters)"].data[0].x) == [5, 6, 7]
    run = create_run(build_config({"neural_probing": {"concept_definition": ["chair"]}}), tmp_path)
    with run.store.build("report", "f", then=lambda artifact: run.point("report", artifact)) as build:
        write_json(build.folder / "metrics.json", metrics)
    row = run_table([run]).iloc[0]
    assert (row["pruned.longest"], row["distilled.longest"]) == (6, 7)
    assert ["Longest text (characters)", "base", "5.000 ± 0.980", "", "", ""] in metrics_of_two(
        metrics, {}
    ).values.tolist()


def test_a_metric_whose_version_rises_makes_reports_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = create_run(build_config({"neural_probing": {"concept_definition": ["chair"]}}), tmp_path)
    before = report_inputs(RunContext(run))
    monkeypatch.setitem(METRICS, "retain_nll", replace(METRICS["retain_nll"], version=2))
    assert report_inputs(RunContext(run)) == {**before, "metrics": {**before["metrics"], "retain_nll": 2}}


def test_importing_the_registry_and_the_reports_loads_no_torch() -> None:
    modules = "unlearning_core.evaluation.registry, unlearning_core.reports.run_table"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
