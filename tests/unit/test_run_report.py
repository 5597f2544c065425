"""The report that a manager can read: it parses, text is escaped, its numbers are the metrics', its words are plain."""

import csv
import io
import math
from html.parser import HTMLParser
from pathlib import Path

import pytest

from unlearning_core.cli.app import main
from unlearning_core.config.reading import build_config
from unlearning_core.files import write_json
from unlearning_core.reports.csv import generations_csv, metrics_csv
from unlearning_core.reports.findings import findings, losses_sentence
from unlearning_core.reports.run_report import run_report
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.run import Run

VOID = {"meta", "br", "link", "img", "input", "hr"}
NASTY = "<script>alert('x')</script> & \"chair\" <b>"


class Document(HTMLParser):
    """Tags that are closed in order, and the text of every cell by row; fails on a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.rows: list[list[str]] = []
        self.marked: dict[str, list[str]] = {"mark": [], "ins": []}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        for tag, found in self.marked.items():
            if tag in self.open:
                found.append(data)


METRICS = {
    "base": {"concept_nll": 2.0, "concept_nll_stderr": 0.1, "concept_words_per_100": 4.0, "forget_quality": 3e-30},
    "pruned": {
        "concept_nll": 3.0, "concept_nll_stderr": 0.2, "forget_delta": 1.0, "forget_delta_stderr": 0.1,
        "retain_delta": 0.02, "retain_delta_stderr": 0.01, "concept_words_per_100": 1.0, "forget_quality": 0.25,
    },
}  # fmt: skip
TEXTS = {
    "base": [{"prompt": "A <i>", "sample": 0, "text": f" the chair {NASTY}", "seed": 1}],
    "pruned": [{"prompt": "A <i>", "sample": 0, "text": f" the table {NASTY}", "seed": 1}],
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    config = {
        "neural_probing": {"concept_definition": ["chair", "so<fa"], "activations_label": "se<ats"},
        "base_model": {"base_model_path": "/home/someone/a-model"},
    }
    made = create_run(build_config(config), tmp_path)
    with made.store.build("report", "f", then=lambda artifact: made.point("report", artifact)) as build:
        write_json(build.folder / "metrics.json", METRICS)
        write_json(build.folder / "generations.json", TEXTS)
    made.manifest.set_stage("prune", state="finished", summary={"cut": 1200, "of": 46080})
    return made


def test_it_is_one_document_without_script_or_anything_from_elsewhere(run: Run) -> None:
    text = run_report(run)
    document = Document(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not {"script", "link", "img", "iframe", "i", "b"} & set(document.tags)
    assert not [name for name in document.attributes if name in ("src", "href") or name.startswith("on")]
    assert "http" not in text
    assert "url(" not in text
    assert "/home/someone" not in text


def test_text_is_escaped_and_stands_there_as_it_was_written(run: Run) -> None:
    document = Document(run_report(run))
    cells = [cell for row in document.rows for cell in row]
    assert f"the chair {NASTY}" in cells
    assert f"the table {NASTY}" in cells
    assert "1,200 of 46,080" in cells


def test_its_numbers_are_those_of_the_metrics_with_half_a_95_percent_interval(run: Run) -> None:
    rows = {row[0]: row[1:] for row in Document(run_report(run)).rows if row}
    assert next(cells for title, cells in rows.items() if title.startswith("Concept loss")) == [
        f"{METRICS['base']['concept_nll']:.3f} ± {1.96 * 0.1:.3f}",
        f"{METRICS['pruned']['concept_nll']:.3f} ± {1.96 * 0.2:.3f}",
    ]
    assert next(cells for title, cells in rows.items() if title.startswith("… change")) == ["–", "1.000 ± 0.196"]
    assert next(cells for title, cells in rows.items() if title.startswith("Forget quality")) == ["3e-30", "0.250"]
    assert not [title for title in rows if title.startswith("Divergence from")]


def test_words_of_the_concept_and_words_that_base_did_not_write_are_marked(run: Run) -> None:
    marked = Document(run_report(run)).marked
    assert marked["ins"] == ["Underlined", "table"]
    assert marked["mark"] == ["Highlighted", "chair", "chair", "chair"]


def test_a_run_without_metrics_has_no_report(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.drop("report")
    assert main(["report", str(run.folder)]) == 2
    assert "nothing to report" in capsys.readouterr().err


def test_the_command_prints_it_or_writes_it(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run.folder)]) == 0
    assert capsys.readouterr().out == run_report(run)
    assert main(["report", str(run.folder), "--output", str(tmp_path / "out" / "report.html")]) == 0
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == run_report(run)


@pytest.mark.parametrize(
    ("forget", "error", "retain", "said"),
    [
        (math.log(12), 0.1, -0.01, "12 times less likely, at hardly any cost"),
        (math.log(3), 0.1, 0.04, "3.0 times less likely, at a small cost"),
        (math.log(1.5), 0.1, 0.2, "1.50 times less likely, at a noticeable cost"),
        (0.3, 0.2, 0.0, "as likely as before"),
        (-0.5, 0.1, 0.0, "as likely as before"),
    ],
)
def test_the_sentence_follows_the_interval_and_the_price(forget: float, error: float, retain: float, said: str) -> None:
    pruned = {"forget_delta": forget, "forget_delta_stderr": error, "retain_delta": retain, "retain_delta_stderr": 0.01}
    assert said in losses_sentence({"base": {}, "pruned": pruned})


@pytest.mark.parametrize(("base", "last", "named"), [(8.0, 4.0, True), (8.0, 3.9, False), (0.0, 0.0, False)])
def test_the_sentence_names_a_concept_that_is_still_written(base: float, last: float, named: bool) -> None:
    pruned = {"forget_delta": 3.0, "forget_delta_stderr": 0.1, "retain_delta": 0.0, "concept_words_per_100": last}
    said = losses_sentence({"base": {"concept_words_per_100": base}, "pruned": pruned})
    end = "other text, but it still writes the concept's words. " if named else "other text. "
    assert end in said


@pytest.mark.parametrize(("near", "error", "named"), [(0.4, 0.1, True), (0.4, 0.3, False), (0.04, 0.01, False)])
def test_the_sentence_says_when_the_neighbours_pay(near: float, error: float, named: bool) -> None:
    pruned = {"forget_delta": 3.0, "forget_delta_stderr": 0.1, "retain_delta": 0.2, "rest_delta": 0.01}
    said = losses_sentence({"base": {}, "pruned": pruned | {"neighbour_delta": near, "neighbour_delta_stderr": error}})
    end = "at a small cost to other text, but the neighbours pay for it. " if named else "other text. "
    assert end in said


def test_the_cost_is_that_of_sentences_without_the_concept_where_there_are_some() -> None:
    pruned = {"forget_delta": 3.0, "retain_delta": 0.5, "rest_delta": 0.4, "apart_delta": 0.02}
    metrics = {"base": {}, "pruned": pruned}
    assert "at a small cost" in losses_sentence(metrics)
    assert findings(metrics)["pruned"]["cost"] == "Other text is 1.02 x less likely."


def test_without_a_cut_there_is_nothing_to_judge() -> None:
    assert "nothing to judge" in losses_sentence({"base": {"concept_nll": 1.0}})
    assert findings({"base": {"concept_nll": 1.0}}) == {}


def test_the_findings_say_gone_cost_and_come_back_in_plain_numbers() -> None:
    retrained = {
        "forget_delta": 0.5, "forget_delta_stderr": 0.05, "retain_delta": -0.01, "retain_delta_stderr": 0.001,
        "concept_words_per_100": 2.5,
    }  # fmt: skip
    found = findings(METRICS | {"retrained": retrained})
    pruned, after = found["pruned"], found["retrained"]
    assert set(pruned) == {"gone", "cost"}
    assert f"{math.e:.2g} x less likely" in pruned["gone"]
    assert f"{math.exp(1 - 0.196):.2g} to {math.exp(1 + 0.196):.2g}" in pruned["gone"]
    assert "Concept words per 100 written: 1.0, before 4.0." in pruned["gone"]
    assert pruned["cost"].startswith(f"Other text is {math.exp(0.02):.2f} x less likely")
    assert after["back"].startswith("50 % of it came back with retraining: 0.50 ± 0.10 of the 1.00 ± 0.20 nats")
    assert after["cost"] == "Other text is 1.01 x more likely (95 % interval 1.01 x)."
    assert "2.5, before 4.0" in after["gone"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (2.0, 2.5, "0 % of it came back"),
        (2.0, -0.5, "100 % of it came back"),
        (2.0, 1.5, "25 % of it came back"),
        (0.1, 0.0, "Pruning had taken nothing that could come back."),
    ],
)
def test_how_much_came_back_is_a_share_of_what_was_taken(before: float, after: float, said: str) -> None:
    states = {"pruned": before, "retrained": after}
    metrics = {"base": {}} | {
        state: {"forget_delta": value, "forget_delta_stderr": 0.1, "retain_delta": 0.0, "questions_answered": share}
        for (state, value), share in zip(states.items(), (0.1, 0.3), strict=True)
    }
    back = findings(metrics)["retrained"]["back"]
    assert back.startswith(said)
    assert back.endswith("Questions answered: 30 %, before retraining 10 %.")


@pytest.mark.parametrize(("nats", "said"), [(math.log(31), "31"), (math.log(18_700), "19,000"), (16.2, "11 million")])
def test_large_numbers_are_written_without_an_exponent(nats: float, said: str) -> None:
    metrics = {"base": {}, "pruned": {"forget_delta": nats, "forget_delta_stderr": 0.1, "retain_delta": 0.0}}
    assert f"words are {said} x less likely" in findings(metrics)["pruned"]["gone"]
    assert f"{said} times less likely" in losses_sentence(metrics)


def test_the_report_has_the_lines_of_the_verdict_without_an_evaluation_too(run: Run) -> None:
    rows = {row[0]: row[1:] for row in Document(run_report(run)).rows if row}
    assert rows["Is it gone?"][0].strip() == findings(METRICS)["pruned"]["gone"]
    assert rows["Does it come back?"][0].strip() == "Not tried."
    assert "Did its neighbours stay?" not in rows


def test_the_csv_of_the_metrics_holds_every_value_beside_its_error() -> None:
    rows = list(csv.DictReader(io.StringIO(metrics_csv(METRICS))))
    assert {(row["stage"], row["metric"]) for row in rows} == {
        (stage, name) for stage, values in METRICS.items() for name in values if not name.endswith("_stderr")
    }
    for row in rows:
        values = METRICS[row["stage"]]
        assert float(row["value"]) == values[row["metric"]]
        assert row["stderr"] == str(values.get(f"{row['metric']}_stderr", ""))


def test_the_csv_of_the_texts_keeps_line_breaks_and_quotes() -> None:
    text = 'a "quoted",\nsecond line'
    rows = list(csv.DictReader(io.StringIO(generations_csv({"base": [{"prompt": "p", "sample": 1, "text": text}]}))))
    assert rows == [{"stage": "base", "prompt": "p", "sample": "1", "seed": "", "text": text}]


@pytest.mark.parametrize("first", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'quoted'", "＝1", "plain", "", "1"])
def test_a_text_is_no_formula_in_a_spreadsheet_and_comes_back_whole(first: str) -> None:
    texts = {first: [{"prompt": first, "sample": 0, "seed": -7, "text": f"{first} and on"}]}
    (row,) = csv.DictReader(io.StringIO(generations_csv(texts), newline=""))
    for name, whole in {"stage": first, "prompt": first, "text": f"{first} and on"}.items():
        assert not row[name].startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
        assert row[name].removeprefix("'") == whole or row[name] == whole
    assert (row["sample"], row["seed"]) == ("0", "-7")


def test_a_negative_number_stays_one() -> None:
    (row,) = csv.DictReader(io.StringIO(metrics_csv({"pruned": {"retain_delta": -0.25, "retain_delta_stderr": 0.5}})))
    assert (float(row["value"]), float(row["stderr"])) == (-0.25, 0.5)
