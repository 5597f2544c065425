"""Datasets filtered of a concept: what stays, what is told, and when an earlier result is used again."""

import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, load_from_disk

from unlearning_core.concepts.filtering import FilterSettings, concept_fingerprint, filter_dataset, source_fingerprint
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError, Stopped
from unlearning_core.progress import Progress

SEATS = Concept(("Sit", "Chair", "Pouf"))
TRAIN = ["He sat down.", "The position of the website.", "Two chairs. He sat, then sat.", "A table.", " ", "Chair!"]
VALIDATION = ["A dog.", "A chair.", "A cat."]


@pytest.fixture
def both(tmp_path: Path) -> Path:
    folder = tmp_path / "both"
    train = Dataset.from_dict({"id": range(6), "text": TRAIN})
    DatasetDict({"train": train, "validation": Dataset.from_dict({"id": range(3), "text": VALIDATION})}).save_to_disk(
        str(folder)
    )
    return folder


def test_both_splits_are_filtered_with_their_columns(both: Path, tmp_path: Path) -> None:
    report = filter_dataset(both, SEATS, tmp_path / "out")
    train, validation = (load_from_disk(str(tmp_path / "out" / name)) for name in ("train", "validation"))
    assert train.to_dict() == {"id": [1, 3], "text": [TRAIN[1], TRAIN[3]]}
    assert validation["text"] == ["A dog.", "A cat."]
    assert report["train"] == {"kept": 2, "dropped": 3, "total": 5, "blank": 1}
    assert report["validation"] == {"kept": 2, "dropped": 1, "total": 3, "blank": 0}
    assert report["words"] == {"Sit": 2, "Chair": 3, "Pouf": 0}
    assert report["forms"] == {"Sit": {"sat": 3}, "Chair": {"chair": 2, "chairs": 1}}
    assert {
        "split": "train",
        "word": "Chair",
        "found": "chairs",
        "text": "Two **chairs**. He sat, then sat.",
    } in report["examples"]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.json", "train", "validation"]
    assert filter_dataset(tmp_path / "out", Concept(("dog",)), tmp_path / "again")["validation"]["kept"] == 1


def test_a_validation_set_is_split_off_by_text_with_the_seed(tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"Text {n}.\n" * (1 + n % 3) for n in range(60)) + "A chair.\n" * 9)

    def sides(seed: int, name: str) -> tuple[list[str], list[str]]:
        settings = FilterSettings(validation_share=0.2, seed=seed)
        report = filter_dataset(source, SEATS, tmp_path / name, settings)
        assert report["train"]["total"] + report["validation"]["total"] == 129
        train, validation = (load_from_disk(str(tmp_path / name / part))["text"] for part in ("train", "validation"))
        return list(train), list(validation)

    train, validation = sides(0, "a")
    assert set(train).isdisjoint(validation)
    assert len(set(validation)) == 12
    assert len(train) + len(validation) == 120
    assert sides(0, "b") == (train, validation)
    assert sides(1, "c") != (train, validation)


def test_a_streamed_source_and_another_text_column(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    for name, texts in (("train", TRAIN), ("validation", VALIDATION)):
        (clone / f"{name}.jsonl").write_text("".join(json.dumps({"story": text}) + "\n" for text in texts))
    report = filter_dataset(clone, SEATS, tmp_path / "out", FilterSettings(limit=4))
    assert report["train"]["total"] == 4
    assert load_from_disk(str(tmp_path / "out" / "train"))["text"] == [TRAIN[1], TRAIN[3]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A chair.\nHe sat.\n", "All 2 train texts hold a concept word"),
        ("A chair.\nA table.\nA  TABLE.\n", "too small to split off a validation set: 1 different text is left of 3"),
        ("\n", "holds no text"),
    ],
)
def test_too_little_text_is_an_input_error_and_leaves_nothing(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "texts.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        filter_dataset(tmp_path / "texts.txt", SEATS, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]


def test_a_stop_leaves_nothing_half_written(both: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        raise Stopped("Stopped.")

    with pytest.raises(Stopped):
        filter_dataset(both, SEATS, tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["both"]


def test_a_folder_with_other_files_is_not_replaced_but_an_earlier_result_is(both: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="already holds other files"):
        filter_dataset(both, SEATS, tmp_path / "mine")
    filter_dataset(both, SEATS, tmp_path / "out")
    assert filter_dataset(both, Concept(("dog",)), tmp_path / "out")["words"] == {"dog": 1}


def test_settings_out_of_range_are_input_errors() -> None:
    with pytest.raises(InputError, match="validation_share is 1"):
        FilterSettings(validation_share=1)
    with pytest.raises(InputError, match="limit is 1"):
        FilterSettings(limit=1)


def test_the_fingerprints_are_those_of_the_words_and_of_the_content_alone(both: Path, tmp_path: Path) -> None:
    assert concept_fingerprint(SEATS) == concept_fingerprint(Concept(("pouf", "chair", "sit")))
    assert concept_fingerprint(SEATS) != concept_fingerprint(Concept((*SEATS.words, "dog")))
    assert concept_fingerprint(SEATS) != concept_fingerprint(Concept(SEATS.words, inflections=False))
    one, same, other = (tmp_path / name for name in ("one.txt", "same.txt", "other.txt"))
    for path, text in ((one, "A lamp."), (same, "A lamp."), (other, "A lamb.")):
        path.write_text(text)
    assert source_fingerprint(str(one)) == source_fingerprint(str(same)) != source_fingerprint(str(other))
    before = source_fingerprint(str(both))
    assert source_fingerprint(str(both.rename(tmp_path / "moved"))) == before
    (tmp_path / "moved" / "more.txt").write_text("")
    assert source_fingerprint(str(tmp_path / "moved")) != before
