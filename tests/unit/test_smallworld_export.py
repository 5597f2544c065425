"""The world's sets as files."""

import json
import re

import pytest

from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.smallworld import sets
from unlearning_core.smallworld.export import export


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export(["seats"], tmp_path_factory.mktemp("export") / "seats", limit=200, datasets=True)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_every_set_is_a_file_and_the_card_counts_its_rows(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for name in "texts forget neighbour retain questions truth cloze facts nonsense other_sense".split():
        assert f"| `{name}.jsonl` | {len(read(folder / f'{name}.jsonl'))} |" in card


def test_the_sets_of_the_starter_are_those_that_the_command_in_their_readme_writes(folder):
    shipped = ROOT / "data" / "smallworld"
    assert "smallworld export --family seats --seed 1 --limit 200" in (shipped / "README.md").read_text(
        encoding="utf-8"
    )
    experiment = (ROOT / "data" / "starters" / "smallworld.json").read_text(encoding="utf-8")
    names = {path.name for path in shipped.iterdir()} - {"README.md"}
    assert names == set(re.findall(r"data/smallworld/(\S+)\"", experiment))
    assert [name for name in names if (shipped / name).read_bytes() != (folder / name).read_bytes()] == []


def test_the_limit_is_kept_for_each_phrasing(folder):
    for name in ("forget", "neighbour", "retain"):
        phrasings = [row["phrasing"] for row in read(folder / f"{name}.jsonl")]
        assert phrasings.count("seen") == phrasings.count("held_out") == 200


def test_there_is_one_question_a_fact_for_the_truth_ratio(folder):
    facts = [(row["member"], row["relation"]) for row in read(folder / "truth.jsonl")]
    assert len(facts) == len(set(facts)) == 12 * 6


def test_the_datasets_hold_what_the_lines_hold(folder):
    from datasets import load_from_disk

    for name in ("cloze", "truth"):
        assert load_from_disk(folder / "datasets" / name).to_list() == read(folder / f"{name}.jsonl")


def test_tokens_and_labels_are_aligned_and_mark_the_seats(folder):
    tokens = (folder / "seats-tokens.txt").read_text(encoding="utf-8").splitlines()
    labels = (folder / "seats-labels.txt").read_text(encoding="utf-8").splitlines()
    words = {word.lower() for word in sets.target_words("seats")}
    assert len(tokens) == len(labels) > 500
    for sentence, marks in zip(tokens, labels, strict=True):
        marked = [w for w, m in zip(sentence.split(), marks.split(), strict=True) if m == "target"]
        assert marked
        assert all(any(part.strip('.,"?!:').lower() in f"{word} {word}s {word}es" for word in words) for part in marked)


def test_the_words_are_those_of_the_family(folder):
    assert (folder / "target_words.txt").read_text(encoding="utf-8").split("\n")[:3] == [
        "chair",
        "armchair",
        "rocking chair",
    ]


@pytest.mark.slow
def test_an_export_over_an_older_one_takes_its_place(folder):
    before = read(folder / "retain.jsonl")
    export(["seats"], folder, limit=200, datasets=True)
    assert read(folder / "retain.jsonl") == before


def test_an_unknown_family_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="--family spoons"):
        export(["spoons"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
