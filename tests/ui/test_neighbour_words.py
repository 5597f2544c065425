"""Neighbours on screen: typed, counted, shown in their sentences, refused where they are of the concept, measured."""

import math
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.conftest import sentences
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled, only_error, show_tab
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask
from unlearning_core.evaluation.curves import curve
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.evaluation.sweep import to_frame
from unlearning_core.reports.run_report import run_report
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.sweep import RunSweep

FIELD, LABEL = "Neighbours: words that must stay", "Label the sentences"
COUNT, NEAR = "Without it, with a neighbour", "With a neighbour"


def metrics_rows(app: AppTest) -> dict[str, dict[str, str]]:
    """By stage the cells of the table of measured values, by row title."""
    table = next(one.value for one in app.dataframe if "Base" in one.value)
    return {name.lower(): dict(zip(table[""], table[name], strict=True)) for name in table.columns if name}


def test_typed_words_are_saved_counted_and_shown_in_their_sentences(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label")
    app = open_page("concept", run)
    assert COUNT not in [metric.label for metric in app.metric]
    assert labelled(app.button_group, "Kind").options == ["With the concept", "Without it"]
    labelled(app.text_area, FIELD).set_value("window, rivers\nzebra").run()
    labelled(app.slider, "Their weight in the ranking").set_value(80).run()
    fine(button(app, LABEL).click().run())
    assert run.config.neural_probing.neighbours == ["window", "rivers", "zebra"]
    assert run.config.neural_probing.neighbour_share == 0.8
    without = [text for text in sentences() if not text.startswith("She") and ("window" in text or "river" in text)]
    assert labelled(app.metric, COUNT).value == str(len(without))
    table = next(one.value for one in app.dataframe if "zebra" in list(one.value["word"]))
    holding = {word: sum(word in text for text in sentences()) for word in ("window", "river", "zebra")}
    assert dict(zip(table["word"], table["times"], strict=True)) == {
        "window": holding["window"], "rivers": holding["river"], "zebra": 0,
    }  # fmt: skip
    warnings = [one.value for one in app.warning]
    assert "These neighbours never occur: zebra" in warnings
    assert any("too few to spare the neighbours" in messages for messages in warnings)

    labelled(app.button_group, "Kind").set_value(NEAR).run()
    marked = [one.label for one in fine(app).checkbox if one.label.startswith("The")]
    assert marked
    assert all(":blue-background[**window**]" in text or ":blue-background[**river**]" in text for text in marked)


@pytest.mark.parametrize(
    ("typed", "sentence"), [("sofa", "'sofa' is a word of the concept too"), ("benches", "'bench'")]
)
def test_a_word_that_is_to_go_and_to_stay_is_named_and_nothing_is_saved(
    open_page: OpenPage, new_run: NewRun, typed: str, sentence: str
) -> None:
    run = new_run("label", neural_probing={"neighbours": ["window"]})
    app = open_page("concept", run)
    labelled(app.text_area, FIELD).set_value(f"window\n{typed}").run()
    button(app, LABEL).click().run()
    assert not app.exception
    assert sentence in only_error(app)
    assert run.config.neural_probing.neighbours == ["window"]


def test_an_emptied_field_takes_them_back(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label", neural_probing={"neighbours": ["window"]})
    app = open_page("concept", run)
    assert labelled(app.text_area, FIELD).value == "window"
    assert labelled(app.metric, COUNT).value == "3"
    labelled(app.text_area, FIELD).set_value("").run()
    fine(button(app, LABEL).click().run())
    assert run.config.neural_probing.neighbours is None
    assert COUNT not in [metric.label for metric in app.metric]


def test_a_file_of_words_and_a_text_stay_what_they_are(open_page: OpenPage, new_run: NewRun, tmp_path: Path) -> None:
    (tmp_path / "near.txt").write_text("window\nriver\n", encoding="utf-8")
    (tmp_path / "more.txt").write_text("A window is open.\nThe river is wide.\nA chair.\n", encoding="utf-8")
    run = new_run("label", neural_probing={"neighbours": str(tmp_path / "near.txt")})
    app = open_page("concept", run)
    assert labelled(app.text_area, FIELD).value == "window\nriver"
    labelled(app.text_input, "Text about neighbours").set_value(str(tmp_path / "more.txt")).run()
    fine(button(app, LABEL).click().run())
    probing = run.config.neural_probing
    assert (probing.neighbours, probing.neighbour_corpus) == (str(tmp_path / "near.txt"), str(tmp_path / "more.txt"))
    assert labelled(app.metric, COUNT).value == "8"


@pytest.mark.parametrize("neighbours", [["window", "river"], None])
def test_the_measured_values_come_in_three_parts_where_there_are_neighbours(
    open_page: OpenPage, new_run: NewRun, neighbours: list[str] | None
) -> None:
    run = new_run("report", neural_probing={"neighbours": neighbours}, retraining={"enabled": False})
    app, metrics = fine(open_page("compare", run)), run.metrics()
    rows = metrics_rows(app)
    titles = {
        "neighbour_nll": "Loss on neighbours (nats/token)",
        "rest_nll": "Loss on other text without neighbours (nats/token)",
    }
    for name, title in titles.items():
        assert (title in rows["pruned"]) == (name in metrics["pruned"]) == bool(neighbours)
        for stage, cells in rows.items() if neighbours else ():
            value, error = metrics[stage][name], metrics[stage][f"{name}_stderr"]
            assert cells[title] == f"{value:.3f} ± {1.96 * error:.3f}"
    assert ("Did its neighbours stay?" in " ".join(text.value for text in app.markdown)) == bool(neighbours)
    panels = [caption.value for caption in app.caption if caption.value in rows["pruned"]]
    assert len(panels) == (4 if neighbours else 3)
    assert panels[1] == "Loss on other text (nats/token)"
    assert ("Loss on neighbours (nats/token)" in panels) == bool(neighbours)


def test_the_preview_of_a_cut_says_what_the_neighbours_pay(open_page: OpenPage, new_run: NewRun) -> None:
    alone = fine(open_page("prune", new_run("rank")))
    assert "Neighbours" not in [metric.label for metric in alone.metric]
    run = new_run("rank", neural_probing={"neighbours": ["window", "river"]})
    app = fine(open_page("prune", run))
    shown = labelled(app.metric, "Neighbours")
    held_out = RunContext(run).sentences("held_out").take(24, 24, 0).items
    mask = Mask.from_ranking(RunContext(run).ranking, {"mlp": (3, 48)}, 0.05)
    loaded = RunContext(run).model("base")
    base, pruned = measure(loaded, held_out), measure(loaded, held_out, mask=mask)
    nats = nll_delta(base, pruned, "neighbour").value
    assert f"changes by {nats:+z.2f}" in shown.help
    factor = math.exp(abs(nats))
    said = "as likely as before" if factor < 1.005 else f"{factor:.2f} x {'less' if nats > 0 else 'more'} likely"
    assert shown.value == said


def test_the_verdict_over_the_curves_says_what_the_neighbours_pay(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("rank", neural_probing={"neighbours": ["window", "river"]})
    found = RunSweep.of(run, CutSettings(0.05))
    found.compute()
    app = fine(show_tab(open_page("prune", run), "Curves"))
    messages = " ".join(box.value for box in [*app.success, *app.warning])
    neighbour = curve(to_frame(found.points()), "top").at("neighbour", 0.05)
    assert f"that on its neighbours by {neighbour:+z.2f}." in messages


def test_a_file_of_neighbours_that_is_gone_is_said_and_can_be_left(
    open_page: OpenPage, new_run: NewRun, tmp_path: Path
) -> None:
    words = tmp_path / "near.txt"
    words.write_text("window\nriver\n")
    run = new_run("report", neural_probing={"neighbours": str(words)})
    words.unlink()
    assert "window, river" in run_report(run)
    app = open_page("concept", run)
    assert any("near.txt does not exist" in warning.value.replace("\\", "") for warning in app.warning)
    fine(button(app, LABEL).click().run())
    assert run.config.neural_probing.neighbours is None
