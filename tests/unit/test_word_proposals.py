"""Which words are proposed for a concept: nearest rows against a calculation of their own, lists, forms."""

import numpy as np
import pytest

from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.writing.word_proposals import LISTS, apart, counted, nearest, propose, whole_words, without_common


@pytest.fixture(scope="module")
def smallworld() -> LoadedModel:
    return load_model("smallworld")


def test_the_nearest_words_are_those_of_the_largest_cosine_without_the_common_directions(
    smallworld: LoadedModel,
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

    found = nearest(smallworld, "chair", 15)
    assert [word for word, _ in found] == expected
    assert [cosine for _, cosine in found] == pytest.approx([cosines[word] for word in expected], abs=1e-4)
    assert {"couch", "stool", "bench", "throne"} <= set(expected)


def test_whole_words_begin_with_a_space_and_have_small_letters_alone(smallworld: LoadedModel) -> None:
    names = whole_words(smallworld.tokenizer)
    assert "chair" in names.values()
    assert all(smallworld.tokenizer.decode([token]) == f" {name}" for token, name in list(names.items())[:200])
    assert not {"Paris", "ing"} & set(names.values())


def test_what_all_rows_share_is_taken_out() -> None:
    draw = np.random.default_rng(0)
    own, common = draw.normal(size=(300, 20)), draw.normal(size=20)
    rows = own + draw.normal(size=(300, 1)) * 50 * common + 7.0
    left = without_common(rows)
    assert np.linalg.norm(left, axis=1) == pytest.approx(1.0)
    assert np.abs(left[1:] @ (common / np.linalg.norm(common))).max() < 0.05


def test_a_word_counts_where_more_than_one_list_has_it_and_it_was_not_shown() -> None:
    lists = [" rain, snow, fog, apple\nmore: rain", " snow, fog, fog, Weather", "hammer, rain, apple", " 12, fog!"]
    assert "apple" in LISTS
    assert counted(lists, "weather") == [("fog", 2), ("rain", 2), ("snow", 2)]


def test_of_forms_of_one_word_the_first_stays() -> None:
    assert apart(["rain", "rains", "snow", "Snows", "raining", "fog"], "en") == ["rain", "snow", "fog"]


def test_a_proposal_begins_with_the_word_and_has_no_word_twice(smallworld: LoadedModel) -> None:
    found = propose(smallworld, "chair")
    assert found.words[0] == "chair"
    assert len({*found.words, *found.neighbours}) == len(found.words) + len(found.neighbours)
    assert "couch" in found.words
    assert not any(word in neighbour for word in found.words for neighbour in found.neighbours)
    assert propose(smallworld, "chair") == found
