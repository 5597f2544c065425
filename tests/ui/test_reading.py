"""Concept: what words and sentences were understood as is shown, and a person corrects it."""

from pathlib import Path

from tests.ui.conftest import sentences
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled, only_error

LABEL = "Label the sentences"


def test_a_pdf_called_txt_leaves_the_words_in_the_box(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("concept", new_run())
    labelled(app.text_area, "Concept words").set_value("chair\nhammock").run()
    upload = labelled(app.file_uploader, "Words from a file")
    upload.set_value(("words.txt", b"%PDF-1.7 \xff\xfe", "text/plain")).run()
    assert only_error(app).startswith("words.txt is a PDF file, but the word list must be a text file.")
    assert labelled(app.text_area, "Concept words").value == "chair\nhammock"
    upload = labelled(app.file_uploader, "Words from a file")
    fine(upload.set_value(("words.json", b'{"chair": 12, "sofa": 3}', "application/json")).run())
    assert labelled(app.text_area, "Concept words").value == "chair\nsofa"
    assert any("holds 2 words (JSON, words with a number each)" in one.value.replace("\\", "") for one in app.caption)


def test_a_line_that_is_no_word_is_told_and_nothing_is_labelled(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("concept", new_run())
    labelled(app.text_area, "Concept words").set_value("chair\nsofa - a seat").run()
    assert "Concept words, line 2: 'sofa - a seat' explains a word" in only_error(app)
    assert button(app, LABEL).disabled
    fine(labelled(app.text_area, "Concept words").set_value("chair\nsofa").run())
    assert not button(app, LABEL).disabled


def test_how_a_file_is_read_is_shown_and_corrected(open_page: OpenPage, new_run: NewRun, tmp_path: Path) -> None:
    path = tmp_path / "sentences.csv"
    path.write_text("body;kind\n" + "".join(f"{text};x\n" for text in sentences()), encoding="utf-8")
    run = new_run()
    app = open_page("concept", run)
    labelled(app.text_input, "File, folder or dataset").set_value(str(path)).run()
    assert "which column holds the text" in app.warning[0].value
    labelled(app.text_input, "Text column").set_value("body").run()
    shown = [one.value.replace("\\", "") for one in fine(app).caption]
    assert any("delimiter semicolon, columns body, kind; text in 'body'. It begins: “She put" in one for one in shown)
    labelled(app.selectbox, "Delimiter").set_value("semicolon").run()
    fine(button(app, LABEL).click().run())
    probing = run.config.neural_probing
    assert (probing.sentences_column, probing.sentences_reading.delimiter) == ("body", "semicolon")
    assert labelled(app.metric, "With the concept").value == "24"
    assert (run.concept_facts() or {})["understood"].startswith(f"{path} is read as table, UTF-8, delimiter semicolon")
