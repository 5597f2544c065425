"""Every match is labelled, equal sentences count once, and the split keeps both kinds on both sides."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearning_core.concepts.labelling import LabelledSet, LabelledText, label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError, Stopped
from unlearning_core.progress import Progress

MATCHER = Matcher(Concept(("sit", "chair", "sofa")))


def sentences(concept: int, retain: int) -> LabelledSet:
    texts = [f"Chair number {n}." for n in range(concept)] + [f"Table number {n}." for n in range(retain)]
    return label(texts, MATCHER)


def test_all_matches_of_a_sentence_are_labelled() -> None:
    text = "He sat on a chair, sitting still; no website."
    (item,) = label([text], MATCHER).items
    assert [text[start:end] for start, end in item.spans] == ["sat", "chair", "sitting"]
    assert item.words == ("sit", "chair", "sit")


def test_duplicates_are_counted_and_missing_words_listed() -> None:
    labelled = label(["A chair.", "a  CHAIR. ", "A table.", "A chair.", "Sit!"], MATCHER)
    assert [item.text for item in labelled.items] == ["A chair.", "A table.", "Sit!"]
    assert labelled.duplicates == 2
    assert labelled.counts == {"sit": 1, "chair": 1, "sofa": 0}
    assert labelled.missing == ["sofa"]
    assert [item.text for item in labelled.with_concept] == ["A chair.", "Sit!"]
    assert [item.text for item in labelled.without] == ["A table."]


def test_a_concept_that_never_occurs_is_an_input_error_that_names_its_words() -> None:
    with pytest.raises(InputError, match="None of the concept's 3 words occurs in the 1 sentences: sit, chair, sofa"):
        label(["A table."], MATCHER)


def test_a_listener_may_stop_the_labelling() -> None:
    def stop(progress: Progress) -> None:
        raise Stopped("Stopped.")

    with pytest.raises(Stopped):
        label((f"chair {n}" for n in range(1001)), MATCHER, stop)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(0, 40), st.floats(0.01, 0.99), st.integers(0, 5))
def test_the_split_is_stratified_seeded_and_loses_nothing(concept: int, retain: int, share: float, seed: int) -> None:
    whole = sentences(concept, retain)
    train, held_out = whole.split(share, seed)
    assert {item.text for item in train.items}.isdisjoint(item.text for item in held_out.items)
    assert sorted(item.text for item in train.items + held_out.items) == sorted(item.text for item in whole.items)
    for kind, count in (("with_concept", concept), ("without", retain)):
        held = len(getattr(held_out, kind))
        assert held == (min(max(round(count * share), 1), count - 1) if count > 1 else 0)
    assert whole.split(share, seed)[1] == held_out


def test_another_seed_holds_out_other_sentences() -> None:
    whole = sentences(30, 30)
    assert whole.split(0.3, 1)[1] != whole.split(0.3, 2)[1]


def test_a_corpus_too_small_to_split_says_its_figures() -> None:
    with pytest.raises(InputError, match="too small to split: 1 of its 6 different sentences"):
        sentences(1, 5).split(0.2, 0)
    with pytest.raises(InputError, match=r"held_out is 1\.0; expected a share above 0 and below 1"):
        sentences(5, 5).split(1.0, 0)


def test_take_caps_each_kind() -> None:
    taken = sentences(10, 10).take(3, None, seed=0)
    assert (len(taken.with_concept), len(taken.without)) == (3, 10)
    assert sentences(10, 10).take(3, None, seed=0) == taken
    assert sentences(2, 10).take(5, 0, seed=0).items == sentences(2, 0).items


def test_a_labelled_text_without_spans_is_a_retain_sentence() -> None:
    assert LabelledSet([LabelledText("A table.")]).without == [LabelledText("A table.")]
