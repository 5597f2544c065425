"""The seed's and NeuroX's tokens/labels files: written as the seed writes them, read back the same, errors placed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unlearning_core.concepts import tokens_labels
from unlearning_core.concepts.labelling import LabelledText, label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError


def pair(tmp_path: Path, tokens: str, labels: str) -> tuple[Path, Path]:
    paths = tmp_path / "t.txt", tmp_path / "l.txt"
    for path, content in zip(paths, (tokens, labels), strict=True):
        path.write_text(content, encoding="utf-8")
    return paths


def test_the_three_files_byte_for_byte(tmp_path: Path) -> None:
    texts = ["He sat on  the\tchair.", "A table .", "rocking chairs, website", "Ein Café"]
    labelled = label(texts, Matcher(Concept(("sit", "rocking chair", "chair"))))
    written = tokens_labels.write(tmp_path / "seats", labelled)
    assert written.tokens == tmp_path / "seats-tokens.txt"
    assert written.tokens.read_bytes() == b"He sat on the chair.\nrocking chairs, website\n"
    assert written.labels.read_bytes() == b"N/A target N/A N/A target\ntarget target N/A\n"
    assert written.inverse.read_bytes() == "A table .\nEin Café\n".encode()
    assert (written.with_concept, written.without) == (2, 2)


def test_nothing_is_left_behind_when_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "seats-inverse.txt").mkdir()
    with pytest.raises(InputError, match="seats-inverse"):
        tokens_labels.write(tmp_path / "seats", [LabelledText("chair", ((0, 5),))])
    assert [path.name for path in tmp_path.iterdir()] == ["seats-inverse.txt"]


WORDS = st.text(st.characters(exclude_categories=("Cs", "Z", "Cc")), min_size=1, max_size=6).filter(str.split)
LINES = st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=8).filter(lambda line: any(t for _, t in line))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=1, max_size=6))
def test_what_is_written_is_read_back(tmp_path: Path, lines: list[list[tuple[str, bool]]]) -> None:
    items = []
    for line in lines:
        text, spans = "", []
        for word, is_target in line:
            text += " " if text else ""
            if is_target:
                spans.append((len(text), len(text) + len(word)))
            text += word
        items.append(LabelledText(text, tuple(spans)))
    written = tokens_labels.write(tmp_path / "x", items)
    back = tokens_labels.read(written.tokens, written.labels, keep_duplicates=True)
    assert [(item.text, item.spans) for item in back.items] == [(item.text, item.spans) for item in items]
    assert written.labels.read_text().split("\n")[:-1] == [
        " ".join("target" if is_target else "N/A" for _, is_target in line) for line in lines
    ]


def test_equal_sentences_are_read_once_with_all_their_labels(tmp_path: Path) -> None:
    tokens = "a chair and a sofa\nA chair and a  sofa\nno seat\n"
    labels = "N/A target N/A N/A N/A\nN/A N/A N/A N/A target\nN/A target\n"
    back = tokens_labels.read(*pair(tmp_path, tokens, labels))
    assert back.items[0] == LabelledText("a chair and a sofa", ((2, 7), (14, 18)), ("chair", "sofa"))
    assert (len(back.items), back.duplicates) == (2, 1)


def test_any_label_may_be_the_target_and_blank_lines_in_both_are_skipped(tmp_path: Path) -> None:
    back = tokens_labels.read(*pair(tmp_path, "In Rome .\n\nx", "N/A LOC N/A\n\nN/A\n\n"), "LOC")
    assert [item.spans for item in back.items] == [((3, 7),), ()]


@pytest.mark.parametrize(
    ("tokens", "labels", "message"),
    [
        (
            "a b\nc d e\n",
            "N/A target\nN/A N/A\n",
            r"disagree in line 2: 3 words but 2 labels; the word 'e' at column 3",
        ),
        ("a b\nc\n", "N/A target\nN/A N/A\n", r"disagree in line 2: 1 words but 2 labels; the label 'N/A' at column 2"),
        ("a\nb\nc\n", "target\nN/A\n", r"t\.txt has 3 lines but .*l\.txt has 2: line 3, column 1 of .*t\.txt"),
        ("a\n", "target\nN/A\n", r"t\.txt has 1 lines but .*l\.txt has 2: line 2, column 1 of .*l\.txt"),
        ("a b\n", "N/A tarjet\n", r"labels no word 'target'; its labels are N/A \(1\), tarjet \(1\). Did you mean"),
        ("\n", "\n", "holds no sentences"),
    ],
)
def test_files_that_disagree_name_line_and_column(tmp_path: Path, tokens: str, labels: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tokens_labels.read(*pair(tmp_path, tokens, labels))


def test_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt does not exist. Check the path of the tokens file"):
        tokens_labels.read(tmp_path / "none.txt", tmp_path / "l.txt")
