"""The Compare page beside a model that never knew: marked differences, a typed prompt, a talk, a report."""

import re
from html.parser import HTMLParser

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.compare.differences import by_difference
from tests.ui.pieces import NewRun, OpenPage, button, chart, fine, labelled
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.evaluation.generation import generate
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.models.loading import load_model
from unlearning_core.reports.findings import findings
from unlearning_core.reports.run_report import run_report


def page_text(app: AppTest) -> str:
    return "\n".join(text.value for text in app.markdown)


def test_four_models_side_by_side_write_and_talk(
    open_page: OpenPage, new_run: NewRun, never_knew: dict[str, str]
) -> None:
    # Half of the neurons cut: the texts differ.
    run = new_run("report", never_knew=never_knew, neural_probing={"prune_ratio": 0.5})
    app = fine(open_page("compare", run))
    for title in ("Base", "Pruned", "Retrained", "Never knew"):
        assert f"[**{title}**]" in page_text(app)
    assert ":violet[*" in page_text(app)
    # A text stands under its model's name wherever it stands, or at 400 px nobody knows whose it is.
    names = [text.value for text in app.markdown if re.fullmatch(r":\w+\[\*\*[\w ]+\*\*\]", text.value)]
    samples = sum(len(some) for some in (run.generations() or {}).values()) // 3
    assert sum("Never knew" in name for name in names) == samples
    more = next(section.label for section in app.expander if "more texts of each" in section.label)
    assert more == f"{samples - len(run.config.test_prompts)} more texts of each"
    labels = [download.label for download in app.get("download_button")]
    assert {"metrics.csv", "generations.csv", "metrics.json", "generations.json"} <= set(labels)
    assert any(label.startswith("Report for everyone") for label in labels)

    labelled(app.text_input, "Prompt").set_value("The old man")
    labelled(app.number_input, "Samples").set_value(3)
    fine(button(app, "Write").click().run())
    typed, written = app.session_state[f"typed texts {run.id}"]
    assert {stage: len(texts) for stage, texts in written.items()} == dict.fromkeys(
        ("base", "pruned", "retrained", NEVER_KNEW), 3
    )
    never = load_model(never_knew["model"])
    expected = generate(
        never, ["The old man"], samples=3, temperature=typed.temperature, top_p=run.config.generation.top_p,
        max_new_tokens=typed.tokens, seed=typed.seed,
    )  # fmt: skip
    assert written[NEVER_KNEW] == [text.text for text in expected]

    labelled(app.toggle, "Always the likeliest word").set_value(True)
    fine(button(app, "Write").click().run())
    _, written = app.session_state[f"typed texts {run.id}"]
    assert [len(texts) for texts in written.values()] == [1, 1, 1, 1]

    app.number_input(key="chat tokens").set_value(6).run()
    fine(app.chat_input[0].set_value("She put the").run())
    (turn,) = app.session_state[f"chat {run.id} base retrained"]
    assert turn["person"] == "She put the"
    assert turn.keys() == {"person", "base", "retrained"}
    fine(app.chat_input[0].set_value("Once more").run())
    assert len(app.session_state[f"chat {run.id} base retrained"]) == 2
    fine(button(app, "New chat").click().run())
    assert app.session_state[f"chat {run.id} base retrained"] == []


def test_a_never_knew_model_that_is_gone_is_said_and_the_rest_is_shown(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("measure pruned")
    run.save_config(
        run.config.model_copy(update={"never_knew": run.config.never_knew.model_copy(update={"model": "/gone"})})
    )
    app = fine(open_page("compare", run))
    assert any("gone" in warning.value for warning in app.warning)
    assert "[**Pruned**]" in page_text(app)


class Cells(HTMLParser):
    """The text of every cell of a document's tables, by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def test_the_chart_the_table_and_the_report_have_the_same_bars(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("report")
    app = fine(open_page("compare", run))
    table = app.dataframe[0].value.set_index("")
    report = {row[0]: row[1:] for row in Cells(run_report(run)).rows if row}
    titles = [caption.value for caption in app.caption if caption.value in table.index]
    assert "Concept loss (nats/token)" in titles
    for number, title in enumerate(titles):
        (bars,) = chart(app, number)["data"]
        of_report = next(cells for name, cells in report.items() if name.startswith(title))
        for at, state in enumerate(bars["y"]):
            value, error = bars["x"][at], bars["error_x"]["array"][at]
            assert error == pytest.approx(bars["error_x"]["arrayminus"][at])
            assert table.loc[title, state] in (f"{value:.3f} ± {error:.3f}", f"{value:.3f}")
            assert of_report[at].strip() == table.loc[title, state] == bars["customdata"][at]
            if title == "Concept loss (nats/token)":
                assert error == pytest.approx(1.96 * (run.metrics() or {})[state.lower()]["concept_nll_stderr"])
    assert "half a 95 % interval" in " ".join(caption.value for caption in app.caption)
    assert "half a 95 % interval" in run_report(run)


def test_the_box_says_in_a_column_a_model_what_the_report_says(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("report", neural_probing={"neighbours": ["window", "river"]})
    app = fine(open_page("compare", run))
    text, found = page_text(app).replace("\\", "").replace("\N{NO-BREAK SPACE}", " "), findings(run.metrics() or {})
    assert list(found) == ["pruned", "retrained"]
    for lines in found.values():
        for line in lines.values():
            assert line in text
            assert line in run_report(run)
    assert text.count("**Did its neighbours stay?**") == text.count("**Does it come back?**") == 2
    assert text.count("Not tried yet") == 1
    assert text.index("**Does it come back?**") < text.index("**The chair**")  # the texts below it


def test_the_texts_that_lost_the_most_of_the_concept_come_first() -> None:
    matcher = Matcher(Concept(("chair",)))
    same = {"base": "A dog.", "pruned": "A dog.", "never_knew": "A cat."}
    other = {"base": "A dog.", "pruned": "A cow.", "never_knew": "A dog."}
    lost = {"base": "A chair, a chair.", "pruned": "A lamp, a chair.", "never_knew": "A lamp."}
    gone = {"base": "A chair, a chair.", "pruned": "A lamp, a lamp.", "never_knew": "A lamp."}
    samples = {"same": [same, same], "other": [same, other], "gone": [lost, gone], "lost": [other, lost]}
    first, rest = by_difference(samples, ["base", "pruned", "never_knew"], matcher)
    assert first == {"gone": [gone], "lost": [lost], "other": [other]}
    assert list(first) == ["gone", "lost", "other"]
    assert rest == {"same": [same, same], "other": [same], "gone": [lost], "lost": [other]}


def test_the_words_of_the_model_that_never_knew_are_explained(
    open_page: OpenPage, new_run: NewRun, never_knew: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [
        {"prompt": prompt, "sample": sample, "text": "Nobody sat. The chair closed the meeting. Chair!", "seed": 0}
        for prompt in ("The chair", "She put the")
        for sample in range(2)
    ]
    monkeypatch.setattr("pages.components.compare.state_texts._written_by_never_knew", lambda *given: written)
    app = fine(open_page("compare", new_run("measure pruned", never_knew=never_knew)))
    (said,) = [one.value for one in app.caption if "never read a text about the concept" in one.value]
    assert "“chair” 8 ×" in said
    assert "“The chair closed the meeting\\.”" in said
