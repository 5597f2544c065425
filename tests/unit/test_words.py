"""The concept's words and the files people write them in."""

from pathlib import Path

import pytest

from unlearning_core.concepts.words import Concept, parse_words, read_words, unique_words
from unlearning_core.errors import InputError


def written(tmp_path: Path, content: bytes | str, name: str = "words.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_one_word_a_line_keeps_order_and_drops_repeats_in_another_case(tmp_path: Path) -> None:
    path = written(tmp_path, "Chair\nSeat\n\nsofa\nchair\n  SEAT \nStraße\nSTRASSE")
    assert read_words(path) == ("Chair", "Seat", "sofa", "Straße")


def test_commas_phrases_comments_bullets_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(
        tmp_path, b"\xef\xbb\xbf# seats\r\nchair, rocking   chair,\r\n- stool\r\n* 'n\xc3\xa9on'\r\n\"bench\".\r\n"
    )
    assert read_words(path) == ("chair", "rocking chair", "stool", "néon", "bench")


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        ('word,count\nchair,3\n"sofa, big",1\n', None, ("chair", "sofa, big")),
        ("id;Words\n1;chair\n2;stool\n", None, ("chair", "stool")),
        ("name\tcount\nchair\t3\n", "name", ("chair",)),
        ("word\nchair\nstool\n", None, ("chair", "stool")),
        ("chair\nstool\n", None, ("chair", "stool")),
        ("chair,stool,bench\n", None, ("chair", "stool", "bench")),
    ],
)
def test_csv_columns(tmp_path: Path, content: str, column: str | None, expected: tuple[str, ...]) -> None:
    assert read_words(written(tmp_path, content, "words.csv"), column) == expected


def test_a_csv_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    path = written(tmp_path, "name,count\nchair,3\n", "words.csv")
    with pytest.raises(InputError, match=r"no column 'word'; its columns are name, count"):
        read_words(path, "word")
    with pytest.raises(InputError, match=r"which column holds the words; its columns are name, count"):
        read_words(path)


def test_a_file_that_is_not_utf8_names_line_and_byte(tmp_path: Path) -> None:
    path = written(tmp_path, "chair\nfauteuil d'été\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"words\.txt is not UTF-8 text: byte 0xe9 at offset 17, line 2"):
        read_words(path)


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n", " , ,\n"])
def test_a_file_without_words_is_an_input_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="holds no words"):
        read_words(written(tmp_path, content))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt does not exist"):
        read_words(tmp_path / "nowhere.txt")
    with pytest.raises(InputError, match="is a folder"):
        read_words(tmp_path)


def test_a_concept_needs_words_with_letters() -> None:
    assert Concept(("Chair", "chair ", "sofa")).words == ("Chair", "sofa")
    with pytest.raises(InputError, match="no words"):
        Concept(())
    with pytest.raises(InputError, match=r"'\?!' has no letter"):
        Concept(("chair", "?!"))


def test_composed_and_decomposed_accents_are_the_same_word() -> None:
    assert unique_words(["café", "cafe\u0301"]) == ("café",)


def test_words_typed_in_a_text_box() -> None:
    assert parse_words("chair, sofa\nrocking chair") == ("chair", "sofa", "rocking chair")


def test_no_white_space_is_left_before_a_full_stop() -> None:
    assert parse_words("chair .\nsofa ,") == ("chair", "sofa")
