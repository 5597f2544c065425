"""Texts from every source a person may name, and one clear sentence for every source that is none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.errors import InputError, Stopped
from unlearning_core.progress import Progress

TEXTS = ["He sat down.", "A chair, a table.", "Zwölf Stühle"]


def lines(path: Path) -> None:
    path.write_text("\ufeff" + "\n\n".join(TEXTS) + "\n  \n", encoding="utf-8")


def json_list(path: Path) -> None:
    path.write_text(json.dumps(TEXTS))


def json_objects(path: Path) -> None:
    path.write_text(json.dumps([{"id": 1, "text": text} for text in TEXTS]))


def json_lines(path: Path) -> None:
    path.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS) + "\n\n")


def table(path: Path) -> None:
    path.write_text('id,Text\n1,He sat down.\n2,"A chair, a table."\n3,Zwölf Stühle\n', encoding="utf-8")


def rows() -> Dataset:
    return Dataset.from_dict({"id": [1, 2, 3, 4, 5], "text": [*TEXTS, "", None]})


def parquet(path: Path) -> None:
    rows().to_parquet(str(path))


def saved(path: Path) -> None:
    rows().save_to_disk(str(path))


def saved_splits(path: Path) -> None:
    DatasetDict({"test": Dataset.from_dict({"text": ["no"]}), "train": rows()}).save_to_disk(str(path))


def folder_of_saved(path: Path) -> None:
    rows().save_to_disk(str(path / "train"))


def cloned(path: Path) -> None:
    path.mkdir()
    json_lines(path / "train.jsonl")


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.txt", lines), ("a.md", lines), ("a.json", json_list), ("b.json", json_objects), ("c.json", json_lines),
     ("a.jsonl", json_lines), ("a.csv", table), ("a.parquet", parquet), ("saved", saved), ("splits", saved_splits),
     ("parts", folder_of_saved), ("clone", cloned)],
)  # fmt: skip
def test_every_format_gives_the_same_texts(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    write(tmp_path / name)
    assert list(read_texts(tmp_path / name)) == TEXTS
    assert list(read_texts(str(tmp_path / name), limit=2)) == TEXTS[:2]


def test_split_and_column_are_chosen(tmp_path: Path) -> None:
    DatasetDict({"a": Dataset.from_dict({"story": ["x"], "title": ["t"]}), "b": rows()}).save_to_disk(str(tmp_path))
    assert list(read_texts(tmp_path, split="a")) == ["x"]
    assert list(read_texts(tmp_path, split="a", column="title")) == ["t"]
    with pytest.raises(InputError, match="no split named train; its splits are a, b"):
        list(read_texts(tmp_path))
    with pytest.raises(InputError, match=r"no column 'titel'; its columns are story, title. Did you mean 'title'\?"):
        list(read_texts(tmp_path, split="a", column="titel"))
    with pytest.raises(InputError, match="column 'id' holds int"):
        list(read_texts(tmp_path, split="b", column="id"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "gut\nschön".encode("latin-1"), r"a\.txt is not UTF-8 text: byte 0xf6 at offset 7, line 2"),
        ("a.json", '["é"]'.encode("latin-1"), r"not UTF-8 text: byte 0xe9 at offset 2, line 1"),
        ("a.txt", b"\n \n", "holds no text"),
        ("a.csv", b"", "holds no text"),
        ("a.json", b'[\n"a",\n b]', r"not valid JSON: line 3, column 2"),
        ("a.json", b'{"text": "a"}', "holds a JSON object; expected a list"),
        ("a.json", b'["a", 3]', "item 2: found a JSON number"),
        ("a.json", b'[{"text": ["a"]}]', "item 1: the text is a JSON list"),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": "b"', r"not valid JSON: line 3, column"),
        ("a.jsonl", b'{"body": "a", "title": "b"}', "line 1 does not say which column holds the text; .* body, title"),
        ("a.csv", b"id,body\n1,a", "does not say which column holds the text; its columns are id, body"),
        ("a.csv", b"id,text\n1,a\n2\n", "line 3: 1 fields, but the header has 2"),
        ("a.parquet", b"no parquet", "is not a Parquet file"),
    ],
)
def test_bad_files_name_file_and_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_texts(tmp_path / name))


def test_only_the_rows_with_the_wanted_fields_are_read(tmp_path: Path) -> None:
    rows = [
        {"text": "one", "family": "seats", "phrasing": "seen"},
        {"text": "two", "family": "seats", "phrasing": "held_out"},
        {"text": "three", "family": "beds", "phrasing": "held_out"},
    ]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, "four"]), encoding="utf-8")
    assert list(read_texts(path, only={"phrasing": "held_out"})) == ["two", "three"]
    assert list(read_texts(path, only={"phrasing": "held_out", "family": "seats"})) == ["two"]
    assert list(read_texts(path, only={})) == ["one", "two", "three", "four"]
    with pytest.raises(InputError, match=r"texts\.jsonl \(rows with family = tables\) holds no text"):
        list(read_texts(path, only={"family": "tables"}))


def test_sources_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt does not exist"):
        list(read_texts(tmp_path / "gone.txt"))
    with pytest.raises(InputError, match="is a folder but not a dataset"):
        list(read_texts(tmp_path))
    with pytest.raises(InputError, match="someone/something is neither a file nor a folder here, and no dataset"):
        list(read_texts("someone/something"))


def test_half_a_surrogate_pair_becomes_a_replacement_sign(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('["a \\ud800 b", "\\ud83d\\ude00"]')
    assert list(read_texts(tmp_path / "a.json")) == ["a \ufffd b", "😀"]


def test_a_listener_may_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word\n" * 2500)
    heard: list[float] = []

    def stop(progress: Progress) -> None:
        heard.append(progress.done)
        if progress.done == 2000:
            raise Stopped("Stopped.")

    with pytest.raises(Stopped):
        list(read_texts(tmp_path / "a.txt", progress=stop))
    assert heard == [1000, 2000]


def test_stories_are_cut_into_sentences() -> None:
    story = (
        'Mr. Fox met Dr. J. Smith at 3.50 p.m. yesterday. "Sit down!" he said. "Why?" asked Fox...\n'
        "They sat\non a bench. Was it 5? Yes.\n\nThe end\n\n(It was.) «Oui.» Fin…"
    )
    assert split_sentences(story) == [
        "Mr. Fox met Dr. J. Smith at 3.50 p.m. yesterday.",
        '"Sit down!" he said.',
        '"Why?" asked Fox...',
        "They sat on a bench.",
        "Was it 5?",
        "Yes.",
        "The end",
        "(It was.)",
        "«Oui.»",
        "Fin…",
    ]


def test_long_sentences_are_cut_and_nothing_is_lost() -> None:
    text = "chair, " * 100 + "x" * 130
    pieces = split_sentences(text, max_characters=60)
    assert max(map(len, pieces)) <= 60
    assert "".join("".join(pieces).split()) == "".join(text.split())
