"""Which words are proposed for a concept: nearest rows against a calculation of their own, lists, forms."""

from collections import Counter

import numpy as np
import pytest

from unlearning_core.concepts.neighbours import neighbour_words
from unlearning_core.concepts.words import Concept
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.writing.embedding_words import EmbeddingWords, whole_words
from unlearning_core.writing.word_proposals import _shown, agreed, apart, counted, kind_of, propose

SHOWN = "fruit: apple, pear\ntools: hammer, saw\n"


@pytest.fixture(scope="module")
def smallworld() -> LoadedModel:
    return load_model("smallworld")


@pytest.fixture(scope="module")
def space(smallworld: LoadedModel) -> EmbeddingWords:
    return EmbeddingWords(smallworld)


def test_the_nearest_words_are_those_of_the_largest_cosine_without_the_common_directions(
    smallworld: LoadedModel, space: EmbeddingWords
) -> None:
    vocabulary = smallworld.tokenizer.get_vocab()
    # By the vocabulary's own writing of a space, not by decoding.
    words = {token[1:]: number for token, number in vocabulary.items() if token[0] == "Ġ" and token[1:].isalpha()}
    words = {word: number for word, number in words.items() if word.islower() and len(word) >= 3}
    rows = smallworld.model.get_input_embeddings().weight.detach().double().numpy()
    matrix = rows[list(words.values())]
    mean = matrix.mean(0)
    strongest = np.linalg.svd(matrix - mean, full_matrices=False)[2][: matrix.shape[1] // 100]
    cleaned = (matrix - mean) - (matrix - mean) @ strongest.T @ strongest
    unit = dict(zip(words, cleaned / np.linalg.norm(cleaned, axis=1, keepdims=True), strict=True))
    cosines = {word: float(vector @ unit["chair"]) for word, vector in unit.items() if word != "chair"}
    expected = sorted(cosines, key=lambda word: -cosines[word])[:15]

    found = space.nearest("chair", 15)
    assert [word for word, _ in found] == expected
    assert [cosine for _, cosine in found] == pytest.approx([cosines[word] for word in expected], abs=1e-4)
    assert {"couch", "stool", "bench", "throne"} <= set(expected)
    assert space.of("chair") == pytest.approx(unit["chair"], abs=1e-4)


def test_whole_words_begin_with_a_space_and_have_small_letters_alone(smallworld: LoadedModel) -> None:
    names = whole_words(smallworld.tokenizer)
    assert "chair" in names.values()
    assert all(smallworld.tokenizer.decode([token]) == f" {name}" for token, name in list(names.items())[:200])
    assert not {"Paris", "ing"} & set(names.values())


def test_a_list_counts_an_item_once_in_its_singular_and_not_what_was_shown_or_asked_for() -> None:
    lists = [" rain, snow, fogs, apple\nmore: rain", " snow, fog, fog, Weather", "hammer, rain, pear.", " 12, fog!"]
    assert counted(lists, "weather", SHOWN, "en") == {"rain": 2, "snow": 2, "fog": 2}


def test_lists_of_the_concept_itself_are_not_shown_to_the_model() -> None:
    assert [line.partition(":")[0] for line in _shown("tools", "en").splitlines()] == ["fruit", "clothes"]
    assert [line.partition(":")[0] for line in _shown("hammers", "en").splitlines()] == ["fruit", "clothes"]
    assert [line.partition(":")[0] for line in _shown("weather", "en").splitlines()] == ["fruit", "tools"]


def test_an_item_of_two_lists_counts_where_the_embedding_has_it_near_the_surer_ones(space: EmbeddingWords) -> None:
    counts = Counter({"stool": 4, "bench": 3, "couch": 2, "river": 2, "throne": 1})
    assert agreed(counts, "chair", space, "term") == [("stool", 4), ("bench", 3), ("couch", 2)]


@pytest.mark.parametrize(
    ("concept", "kind"),
    [
        ("weather", "term"), ("ice cream", "term"), ("musical instruments", "term"), ("Ada Lovelace", "name"),
        ("animals that fly", "description"), ("furniture that people sit on", "description"),
        ("things used for cooking", "description"), ("Was man zum Sitzen braucht", "description"),
    ],
)  # fmt: skip
def test_a_sentence_that_says_what_the_concept_is_is_told_from_a_term_and_from_a_name(concept: str, kind: str) -> None:
    assert kind_of(concept) == kind


def test_of_forms_of_one_word_the_first_stays() -> None:
    assert apart(["rain", "rains", "snow", "Snows", "raining", "fog"], "en") == ["rain", "snow", "fog"]


def test_a_proposal_begins_with_the_word_and_its_neighbours_are_none_of_its_words(smallworld: LoadedModel) -> None:
    found = propose(smallworld, "chair")
    assert found.words[0] == "chair"
    assert len({*found.words, *found.neighbours}) == len(found.words) + len(found.neighbours)
    assert "stool" in {*found.words, *found.neighbours}
    if found.neighbours:  # they can be taken as they are
        neighbour_words(found.neighbours, Concept(found.words))
    assert propose(smallworld, "chair") == found


def test_a_neighbour_is_nearer_to_the_concept_than_to_any_of_its_members(
    smallworld: LoadedModel, space: EmbeddingWords
) -> None:
    found = propose(smallworld, "bed")
    for word in found.neighbours:
        own = float(space.of(word) @ space.of("bed"))
        assert all(float(space.of(word) @ space.of(member)) < own for member in found.words[1:])
    assert found.neighbours


def test_a_description_is_no_word_itself_and_a_name_has_no_members(smallworld: LoadedModel) -> None:
    described = propose(smallworld, "things that people sit on")
    assert "things that people sit on" not in described.words
    named = propose(smallworld, "Uncle Joe")
    assert named.words == ("Uncle Joe", "Joe")
    assert not {"Uncle Joe", "Joe"} & set(named.neighbours)
