"""Concept: sentences left out by hand and taken back, words and forms counted, and what the filter drops and why."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.conftest import sentences
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled, only_error
from unlearning_core.runs import background
from unlearning_core.runs.run import Run

TICKS = "Leave out the ticked ones"


def texts(run: Run) -> list[str]:
    """Every sentence that is ranked or measured on."""
    paths = [run.folder / "data" / f"{part}.jsonl" for part in ("train", "held_out")]
    return [json.loads(line)["text"] for path in paths for line in path.read_text().splitlines()]


def starting(app: AppTest, title: str) -> str:
    """The whole label of the button that begins so."""
    return next(one.label for one in app.button if one.label.startswith(title))


@pytest.fixture
def labelled_run(new_run: NewRun) -> Run:
    return new_run("label")


def test_ticked_sentences_are_left_out_and_come_back(open_page: OpenPage, labelled_run: Run) -> None:
    app = open_page("concept", labelled_run)
    tick = next(one for one in app.checkbox if "sofa" in one.label)
    tick.check()
    fine(button(app, TICKS).click().run())
    (gone,) = labelled_run.config.neural_probing.dropped_sentences
    assert "sofa" in gone
    assert sorted(texts(labelled_run)) == sorted(text for text in sentences() if text != gone)
    assert labelled(app.metric, "Left out by hand").value == "1"
    assert labelled(app.metric, "With the concept").value == "23"

    next(one for one in app.checkbox if one.label.replace("\\", "") == gone).check()
    fine(button(app, "Take the ticked ones back").click().run())
    assert labelled_run.config.neural_probing.dropped_sentences == []
    assert sorted(texts(labelled_run)) == sorted(sentences())


@pytest.mark.parametrize(
    ("beside", "count", "key", "kept"),
    [
        ("", 8, "dropped_words", lambda text: "bench" not in text),
        ("gardens", 1, "dropped_senses", lambda text: not ("bench" in text and "garden" in text)),
    ],
)
def test_a_word_or_a_sense_is_seen_and_then_left_out_whole(
    open_page: OpenPage, labelled_run: Run, beside: str, count: int, key: str, kept: Callable[[str], bool]
) -> None:
    app = open_page("concept", labelled_run)
    labelled(app.selectbox, "Word").set_value("bench").run()
    if beside:
        labelled(app.text_input, "Together with").set_value(beside[:-1]).run()
    assert all("bench" in one.label for one in app.checkbox if one.label.startswith("She"))
    title = starting(app, "Leave out all")
    assert f"all {count} sentences" in title
    fine(button(app, title).click().run())
    assert len(getattr(labelled_run.config.neural_probing, key)) == 1
    assert sorted(texts(labelled_run)) == sorted(filter(kept, sentences()))


def test_what_leaves_nothing_is_said_and_can_be_taken_back(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label", neural_probing={"dropped_words": ["chair", "sofa"]})
    app = open_page("concept", run)
    labelled(app.selectbox, "Word").set_value("bench").run()
    button(app, starting(app, "Leave out all")).click().run()
    assert "none with the concept is left" in only_error(app)
    app.run()
    next(one for one in app.checkbox if one.label.startswith("**bench**")).check()
    fine(button(app, "Take the ticked ones back").click().run())
    assert labelled(app.metric, "With the concept").value == "8"


def test_a_run_at_work_is_not_labelled_anew(
    open_page: OpenPage, labelled_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("concept", labelled_run)
    monkeypatch.setattr(background, "is_running", lambda run: True)
    app.checkbox[0].check()
    button(app, TICKS).click().run()
    assert "is being retrained" in only_error(app)
    assert labelled_run.config.neural_probing.dropped_sentences == []


def test_every_form_of_a_word_is_counted(open_page: OpenPage, new_run: NewRun, tmp_path: Path) -> None:
    lines = ["She sat here.", "They were sitting there.", "He sat down.", "Sit!", "A seat.", "The seats.", "Nothing."]
    (tmp_path / "texts.txt").write_text("\n".join([*lines, "Not a thing."]), encoding="utf-8")
    run = new_run(
        "label",
        neural_probing={"concept_definition": ["sit", "seat", "stool"], "sentences": str(tmp_path / "texts.txt")},
    )
    app = open_page("concept", run)
    table = app.dataframe[0].value.set_index("word")
    assert list(table["times"]) == [4, 2, 0]
    assert list(table["forms that match"]) == ["sat 2, sitting 1, sit 1", "seat 1, seats 1", ""]
    assert any("never occur: stool" in caption.value for caption in app.caption)
    assert any("expect an unsteady ranking" in warning.value for warning in app.warning)


def test_the_filter_says_what_it_drops_and_why(open_page: OpenPage, new_run: NewRun, tmp_path: Path) -> None:
    lines = [f"A day by the river, number {number}." for number in range(6)]
    lines += ["He bought *two* chairs.", "The sofa and the chair.", "Bench press."]
    (tmp_path / "more.txt").write_text("\n".join(lines), encoding="utf-8")
    run = new_run("label", retraining={"dataset": str(tmp_path / "more.txt")})
    app = open_page("concept", run)
    fine(button(app, "See what the filter drops").click().run())
    assert labelled(app.metric, "Texts kept").value == "6"
    assert labelled(app.metric, "Texts dropped").value == "3"
    table = next(one.value for one in app.dataframe if "texts dropped" in one.value)
    assert dict(zip(table["word"], table["texts dropped"], strict=True)) == {"chair": 2, "sofa": 1, "bench": 1}
    assert any(r"\*two\* :orange-background[**chairs**]" in text.value for text in app.markdown)
    # Another visit finds it; other words do not.
    again = open_page("concept", run)
    assert labelled(again.metric, "Texts dropped").value == "3"
    labelled(again.text_area, "Concept words").set_value("chair").run()
    fine(button(again, "Label the sentences").click().run())
    assert button(again, "See what the filter drops")


def test_without_a_text_of_its_own_there_is_nothing_to_filter(open_page: OpenPage, labelled_run: Run) -> None:
    app = open_page("concept", labelled_run)
    assert any("Nothing has to be filtered out" in text.value for text in app.markdown)


def test_the_language_of_a_concept_is_chosen_and_kept(open_page: OpenPage, labelled_run: Run) -> None:
    app = open_page("concept", labelled_run)
    assert labelled(app.selectbox, "Language").value == "en"
    labelled(app.selectbox, "Language").set_value("zh").run()
    assert any("No inflections are known for the language" in one.value for one in app.caption)
    fine(button(app, "Label the sentences").click().run())
    assert labelled_run.config.neural_probing.language == "zh"
    assert labelled(open_page("concept", labelled_run).selectbox, "Language").value == "zh"


def test_a_language_that_there_is_not_is_said_and_another_can_be_chosen(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run(neural_probing={"language": "xx-nonsense"})
    app = fine(open_page("concept", run))
    assert any("xx" in one.value and "Xhosa" in one.value for one in app.warning)
    assert labelled(app.selectbox, "Language").value == "en"


def test_what_matters_comes_first_and_the_rest_is_folded(open_page: OpenPage, labelled_run: Run) -> None:
    app = fine(open_page("concept", labelled_run))
    assert [(one.label, one.value) for one in app.metric[:3]] == [
        ("Sentences found", "48"), ("With the concept", "24"), ("Without it", "24"),
    ]  # fmt: skip
    left, right = app.main.columns[:2]
    assert left.text_area[0].label == "Concept words"
    assert len(right.metric) == 3
    assert [one.label for one in right.checkbox if ":orange-background[" in one.label]
    folded = [section.label for section in app.expander]
    assert folded[-4:] == [
        "More numbers",
        "Words and their forms",
        "Text for retraining",
        "Labelled sentences as files",
    ]
    assert "Where the sentences come from" in folded
    assert {"Balance", "Duplicates dropped", "For ranking"} <= {one.label for one in app.metric[3:]}


def test_a_pdf_named_txt_is_one_sentence_and_the_words_stay(open_page: OpenPage, labelled_run: Run) -> None:
    app = open_page("concept", labelled_run)
    pdf = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\nxref\n"
    labelled(app.file_uploader, "Words from a file").set_value(("words.txt", pdf, "text/plain")).run()
    assert "words.txt is a PDF file" in only_error(app)
    assert labelled(app.text_area, "Concept words").value == "chair\nsofa\nbench"


def test_thousands_of_words_that_never_occur_are_one_line(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label", neural_probing={"concept_definition": ["chair", *(f"zq{at}x" for at in range(4999))]})
    app = fine(open_page("concept", run))
    (said,) = [warning.value for warning in app.warning if "never occur" in warning.value]
    assert "4,989 more" in said.replace("\\", "")
    assert len(said) < 200


def test_prompts_follow_a_concept_of_ones_own(open_page: OpenPage, new_run: NewRun, tmp_path: Path) -> None:
    (tmp_path / "inviting.txt").write_text("The chair by the\n", encoding="utf-8")
    run = new_run("label", proof={"prompts": str(tmp_path / "inviting.txt")})
    run.write_note("prompts", ["I sit on a"])
    app = open_page("concept", run)
    labelled(app.text_area, "Concept words").set_value("chair\nmarket").run()
    fine(button(app, "Label the sentences").click().run())
    assert run.config.test_prompts == ["The chair", "She put the"], "one of the words is as before"
    labelled(app.text_area, "Concept words").set_value("river\ngarden").run()
    fine(button(app, "Label the sentences").click().run())
    *inviting, other = run.config.test_prompts
    beginnings = {text.split(word)[0].strip() for text in sentences() for word in ("river", "garden") if word in text}
    assert len(inviting) == len(set(inviting)) > 1
    assert set(inviting) <= beginnings
    assert any(text.startswith(other) and "river" not in text and "garden" not in text for text in sentences())
    assert run.note("prompts") is None
    assert run.config.proof.prompts is None


def test_prompts_follow_once_the_sentences_hold_the_concept(open_page: OpenPage, labelled_run: Run) -> None:
    app = open_page("concept", labelled_run)
    labelled(app.text_area, "Concept words").set_value("zeppelin").run()
    button(app, "Label the sentences").click().run()
    assert app.error
    labelled(app.text_area, "Concept words").set_value("zeppelin\nboat").run()
    fine(button(app, "Label the sentences").click().run())
    assert any("boat" in prompt or prompt.startswith("The") for prompt in labelled_run.config.test_prompts)
    assert not any("chair" in prompt.split()[:2] for prompt in labelled_run.config.test_prompts)
