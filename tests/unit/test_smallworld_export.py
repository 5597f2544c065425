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
    names = (
        "texts retrain forget neighbour retain questions question_set attack attack_other truth cloze facts nonsense"
    )
    for name in [*names.split(), "other_sense", "other_sense_retrain"]:
        assert f"| `{name}.jsonl` | {len(read(folder / f'{name}.jsonl'))} |" in card


@pytest.mark.slow
def test_the_shipped_sets_are_those_that_the_command_in_their_readme_writes(folder):
    shipped = ROOT / "data" / "smallworld"
    card = (shipped / "README.md").read_text(encoding="utf-8")
    assert "smallworld export --family seats --seed 1 --limit 200" in card
    names = {path.name for path in shipped.iterdir()} - {"README.md"}
    assert [name for name in names if (shipped / name).read_bytes() != (folder / name).read_bytes()] == []
    assert names == set(re.findall(r"`(\w+\.\w+)` \|", card))


def test_the_sets_that_the_starter_names_are_shipped():
    experiment = (ROOT / "data" / "starters" / "smallworld.json").read_text(encoding="utf-8")
    named = re.findall(r"\"(data/smallworld/\S+)\"", experiment)
    assert len(named) >= 6
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_limit_is_kept_for_each_phrasing(folder):
    for name in ("forget", "neighbour", "retain"):
        phrasings = [row["phrasing"] for row in read(folder / f"{name}.jsonl")]
        assert phrasings.count("seen") == phrasings.count("held_out") == 200


def sentences(text):
    """Cut by a rule of our own, not by the product's; a single I before the mark is an initial to both."""
    return {part.strip().lower() for part in re.split(r"(?<=[.!?])(?<! I\.)[\"']? +", text)}


def test_what_the_attacker_trains_on_is_clear_of_everything_that_is_ranked_measured_or_retrained_on(folder):
    used = {row["text"] for name in ("texts", "retrain", "forget") for row in read(folder / f"{name}.jsonl")}
    used |= {row["paraphrase"] for row in read(folder / "truth.jsonl")}
    used_sentences = {sentence for text in used for sentence in sentences(text)}
    nouns = "|".join(sets.target_words("seats")).lower()
    for name in ("attack", "attack_other"):
        texts = [row["text"] for row in read(folder / f"{name}.jsonl")]
        assert len(set(texts)) == 400
        assert not used & set(texts)
        shared = {each for text in texts for each in sentences(text) & used_sentences}
        assert [each for each in shared if re.search(rf"\b({nouns})", each)] == []
        if name == "attack_other":
            assert shared == set()


def test_a_text_of_the_attacker_names_its_member_where_it_names_just_one(folder):
    nouns = [member.noun for member in sets.FAMILIES["seats"].members]
    for row in read(folder / "attack.jsonl"):
        text = row["text"].lower().replace("rocking chair", "rocking-chair").replace("benches", "bench")
        named = {noun for noun in nouns if re.search(rf"(?<![\w-]){noun.replace(' ', '-')}s?\b", text)}
        assert row["member"] == (named.pop() if len(named) == 1 else "")
    for row in read(folder / "attack_other.jsonl"):
        assert not re.search(r"\b(chair|bench|stool|sofa|couch|sit|seat)", row["text"])


def test_inviting_prompts_break_off_before_a_seat_and_the_openings_name_none(folder):
    prompts = (folder / "inviting.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(prompts)) == 40
    assert [each for each in prompts if re.search(r"\b(chair|bench|stool|sofa|couch|sit|seat|throne)", each)] == []
    assert [each for each in prompts[:30] if each.endswith(".")] == []
    assert [each for each in prompts[30:] if not each.endswith(".")] == []


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
