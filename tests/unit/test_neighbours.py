"""What must stay: found, kept apart from the concept, not drowned in the other sentences, read back as written."""

import random
from pathlib import Path

import pytest

from unlearning_core.concepts.labelled_files import read_labelled, write_labelled
from unlearning_core.concepts.labelling import LabelledSet, LabelledText, label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.neighbours import given_words, neighbour_words, with_neighbours
from unlearning_core.concepts.words import Concept
from unlearning_core.config.reading import starter_config
from unlearning_core.errors import InputError
from unlearning_core.smallworld.facts import FAMILIES
from unlearning_core.smallworld.sets import target_words

SEATS = Concept(("chair", "rocking chair", "sit"))
NEAR = Concept(("table", "bed", "sleep"))


def marked(texts: list[str], near: Concept | None = NEAR, more: list[str] | None = None) -> LabelledSet:
    concept = Matcher(SEATS)
    return with_neighbours(label(texts, concept), concept, Matcher(near) if near else None, more or [])


def cut_out(item: LabelledText) -> list[str]:
    return [item.text[start:end] for start, end in item.neighbours]


def test_every_form_of_a_neighbour_is_marked_also_beside_the_concept() -> None:
    both, one, none = marked(["He slept by the chair; two tables.", "Beds and a TABLE's leg.", "A stable river."]).items
    assert cut_out(both) == ["slept", "tables"]
    assert [both.text[start:end] for start, end in both.spans] == ["chair"]
    assert (cut_out(one), one.neighbour_words) == (["Beds", "TABLE"], ("bed", "table"))
    assert none.neighbours == ()


def test_where_the_concept_and_a_neighbour_overlap_the_concept_has_it() -> None:
    concept = Matcher(Concept(("rocking chair",)))
    found = with_neighbours(label(["A rocking chair.", "A chair."], concept), concept, Matcher(Concept(("chair",))))
    assert [cut_out(item) for item in found.items] == [[], ["chair"]]
    assert found.with_neighbour == [found.items[1]]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Chair", "'Chair' is a word of the concept too"),
        ("sat", "'sat' matches the concept's word 'sit'"),
        ("chair lift", "'chair lift' matches the concept's word 'chair'"),
    ],
)
def test_a_word_that_is_to_go_and_to_stay_is_an_error_that_names_it(word: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        neighbour_words(["table", word], SEATS)


def test_a_concept_word_that_is_a_form_of_a_neighbour_is_an_error_too() -> None:
    with pytest.raises(InputError, match="'sleep' matches the concept's word 'slept'"):
        neighbour_words(["sleep"], Concept(("slept",)))


def test_the_words_are_inflected_as_the_concepts_are_and_must_be_words() -> None:
    assert neighbour_words(["bed"], Concept(("sofa",), inflections=False)).inflections is False
    with pytest.raises(InputError, match=r"The neighbour word '\?' has no letter"):
        neighbour_words(["bed", "?"], SEATS)


def test_words_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "near.txt").write_text("# beside seats\ntable\nbed, Table\n", encoding="utf-8")
    assert given_words(str(tmp_path / "near.txt")) == given_words(["table", " bed "]) == ("table", "bed")
    assert given_words(None) == given_words([]) == ()


def test_text_without_words_counts_whole_and_is_not_doubled() -> None:
    found = marked(
        ["A chair.", "The lamp is lit.", "A river."], None, ["the LAMP is lit.", "A desk.", "A desk by a chair."]
    )
    assert [(item.text, cut_out(item)) for item in found.items] == [
        ("A chair.", []),
        ("The lamp is lit.", ["The lamp is lit."]),
        ("A river.", []),
        ("A desk.", ["A desk."]),
    ]


def test_of_text_with_words_only_the_words_count() -> None:
    found = marked(["A chair.", "A river."], NEAR, ["The bed is old.", "A lamp."])
    assert [cut_out(item) for item in found.items] == [[], [], ["bed"], []]


def test_neighbours_that_are_nowhere_are_an_error() -> None:
    with pytest.raises(
        InputError, match="None of the neighbours' 3 words occurs in the 2 sentences: table, bed, sleep"
    ):
        marked(["A chair.", "A river."])
    words = tuple(f"bed{letter}" for letter in "abcdefghijklmn")
    with pytest.raises(InputError, match=r"14 words .*: beda, .*bedj and 4 more"):
        marked(["A chair.", "A river."], Concept(words))
    with pytest.raises(InputError, match=r"All 1 sentences of .* hold the concept"):
        marked(["A chair.", "A river."], None, ["Two chairs."])


def many(near: int, others: int) -> LabelledSet:
    texts = [f"Chair {n}." for n in range(10)] + [f"Table {n}." for n in range(near)]
    texts += [f"River {n}." for n in range(others)]
    random.Random(3).shuffle(texts)
    return marked(texts) if near else label(texts, Matcher(SEATS))


@pytest.mark.parametrize(
    ("near", "others", "wanted", "expected"),
    [
        (60, 200, 40, 20),
        (5, 200, 40, 5),
        (200, 10, 40, 30),
        (60, 200, 41, 20),
        (8, 8, 30, 8),
        (60, 60, 0, 0),
        (60, 60, 1, 0),
    ],
)
def test_up_to_half_of_the_sentences_without_the_concept_have_a_neighbour(
    near: int, others: int, wanted: int, expected: int
) -> None:
    taken = many(near, others).take(4, wanted, seed=1)
    assert len(taken.with_concept) == 4
    assert len(taken.without) == min(wanted, near + others)
    assert len(taken.with_neighbour) == expected


def test_without_neighbours_the_same_sentences_are_drawn_and_held_out_as_ever() -> None:
    whole = many(0, 50)
    concept, others = ([i for i, item in enumerate(whole.items) if bool(item.spans) == kind] for kind in (True, False))
    drawn = random.Random(9)
    expected = sorted([*drawn.sample(concept, 4), *drawn.sample(others, 7)])
    assert whole.take(4, 7, seed=9).items == [whole.items[i] for i in expected]
    drawn = random.Random(9)
    expected = sorted([*drawn.sample(concept, 2), *drawn.sample(others, 10)])
    assert whole.split(0.2, seed=9)[1].items == [whole.items[i] for i in expected]


@pytest.mark.parametrize(("near", "others"), [(2, 2), (3, 80), (80, 3), (40, 40)])
def test_the_split_has_sentences_with_and_without_a_neighbour_on_both_sides(near: int, others: int) -> None:
    for seed in range(8):
        train, held_out = many(near, others).split(0.2, seed)
        assert len(held_out.with_neighbour) == min(max(round(0.2 * near), 1), near - 1)
        for part in (train, held_out):
            assert 0 < len(part.with_neighbour) < len(part.without)


def test_a_single_neighbour_or_other_sentence_is_drawn_with_the_rest() -> None:
    for near, others in ((1, 20), (20, 1), (1, 1)):
        train, held_out = many(near, others).split(0.2, 0)
        assert len(train.without) + len(held_out.without) == near + others
        assert held_out.without


def test_written_sentences_are_read_back_and_those_without_neighbours_look_as_ever(tmp_path: Path) -> None:
    items = marked(["A chair by the table.", "A bed.", "A river."]).items
    write_labelled(tmp_path / "items.jsonl", items)
    assert read_labelled(tmp_path / "items.jsonl") == items
    assert (tmp_path / "items.jsonl").read_text().splitlines()[2] == '{"text": "A river.", "spans": [], "words": []}'


def test_the_starter_names_every_member_of_the_families_near_seats() -> None:
    given = starter_config("smallworld").neural_probing.neighbours
    assert given == [word for family in FAMILIES["seats"].neighbours for word in target_words(family)]
