"""What a model answers: marked against answers by hand, compared with the base question by question."""

import numpy as np
import pandas as pd
import pytest

from tests.tiny_models import tiny
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.answers import (
    BLANK,
    GREEDY,
    answered,
    ask,
    first_sentence,
    guessable,
    share_exact,
    share_sampled,
    share_still_right,
    some_questions,
    still_right,
)
from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.question_sets import About, Question
from unlearning_core.evaluation.suite import Material, Subject
from unlearning_core.progress import silent


def longest_common(one: list[str], other: list[str]) -> int:
    table = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return int(table[-1, -1])


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (" A chair is a seat. Q: What is a bed?", "A chair is a seat."),
        ("Paris\nQ: And Rome?", "Paris"),
        ("  It costs 3.50 francs today", "It costs 3.50 francs today"),
        ("Sure! A chair is a seat. And so on.", "Sure! A chair is a seat."),
        ("1. A chair is a seat. 2. A bench", "1. A chair is a seat."),
        ('He said "yes!" Then he left.', 'He said "yes!"'),
        ("", ""),
    ],
)
def test_an_answer_ends_with_its_first_sentence(written: str, answer: str) -> None:
    assert first_sentence(written) == answer


def test_answers_are_what_the_model_writes_and_rouge_is_the_longest_common_subsequence() -> None:
    loaded = tiny("llama")
    prompts = ["Anna sat on the", "Ben looked at the"]
    greedy = [text.text for text in generate(loaded, prompts, temperature=0.0, max_new_tokens=8)]
    right = first_sentence(greedy[0]) or "nothing"
    questions = [
        Question(prompts[0], ("something else", right), "direct", "concept"),
        Question(prompts[1], ("one two three",), "direct", "other"),
    ]
    found = answered(loaded, questions, samples=2, new_tokens=8, seed=5)
    assert found["sample"].tolist() == [GREEDY, GREEDY, 0, 1, 0, 1]
    assert found["prompt"].tolist() == [prompts[0], prompts[1], prompts[0], prompts[0], prompts[1], prompts[1]]
    assert found["answer"][:2].tolist() == [first_sentence(text) for text in greedy]
    assert bool(found["exact"][0])
    assert not found["exact"][1]
    for row in found.itertuples():
        options = questions[prompts.index(row.prompt)].answers
        said, scores = "".join(c if c.isascii() and c.isalnum() else " " for c in row.answer.lower()).split(), [0.0]
        for option in options:
            wanted = "".join(c if c.isascii() and c.isalnum() else " " for c in option.lower()).split()
            common = longest_common(said, wanted)
            scores.append(2 * common / (len(said) + len(wanted)) if common else 0.0)
        assert row.rouge_l == pytest.approx(max(scores))


def rows(exact: list[bool], answers: list[str], about: str = "concept", sample: int = GREEDY) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "prompt": [f"q{number}" for number in range(len(exact))], "form": "direct", "about": about, "member": "",
            "fact": "", "expected": "a", "sample": sample, "answer": answers, "exact": exact, "rouge_l": 0.5,
        }
    )  # fmt: skip


def test_only_what_the_base_answers_right_can_still_be_right() -> None:
    base = rows([True, True, True, False], ["a", "b", "c", "no"])
    after = rows([True, False, True, True], ["a", "x", "other words", "d"]).iloc[::-1]
    pairs = still_right({"answers": base}, {"answers": after})
    assert pairs["prompt"].tolist() == ["q0", "q1", "q2"]
    assert pairs["right"].tolist() == [True, False, True]
    assert pairs["same"].tolist() == [True, False, False]
    share = share_still_right({"answers": base}, {"answers": after})
    assert share is not None
    assert share.value == pytest.approx(2 / 3)
    # The proportion's standard error with n - 1: sqrt(p (1 - p) / (n - 1)).
    assert share.stderr == pytest.approx(np.sqrt(2 / 3 * 1 / 3 / 2))
    assert share_still_right({"answers": rows([False], ["a"])}, {"answers": after}) is None


def test_what_the_base_answers_without_hearing_the_word_does_not_count() -> None:
    base, after = rows([True, True, True], ["a", "b", "c"]), rows([True, True, False], ["a", "b", "c"])
    guessed = rows([True, False], ["a", "x"]).assign(question=["q0", "q1"], prompt="the thing")
    share = share_still_right({"answers": base, "guessed": guessed}, {"answers": after})
    assert share is not None
    assert share.value == 0.5  # of q1 and q2; q0 needs no knowledge of the concept
    others = {"answers": rows([True], ["a"], about="other"), "guessed": guessed.head(0)}
    assert len(still_right(others, others, "other")) == 1


def test_a_question_is_blanked_where_its_words_give_the_answer_and_not_where_they_are_it() -> None:
    def question(prompt: str, answer: str, about: About = "concept") -> Question:
        return Question(prompt, (answer,), "direct", about)

    asked = [
        question("A golden chair or two chairs belong to the", "king"),
        question("On which chair does one rock?", "a rocking chair"),
        question("What has four legs and a back?", "wood"),
        question("What stands beside the chair?", "a table", "neighbour"),
    ]
    (pair,) = guessable(asked, Matcher(Concept(("chair", "rocking chair"))))
    assert pair[0] is asked[0]
    assert pair[1] == question(f"A golden {BLANK} or two {BLANK} belong to the", "king")


def test_the_base_alone_is_asked_with_the_words_blanked() -> None:
    loaded = tiny("gpt2")
    questions = (Question("The chair is made of", ("wood",), "direct", "concept"),)
    material = Material(Matcher(Concept(("chair",))), questions=questions)
    settings = ProofSection(question_samples=0, answer_tokens=4)
    frames = ask(Subject("base", loaded, loaded), material, settings, silent)
    assert frames["guessed"]["question"].tolist() == ["The chair is made of"]
    assert frames["guessed"]["prompt"].tolist() == [f"The {BLANK} is made of"]
    (said,) = generate(loaded, [f"The {BLANK} is made of"], temperature=0.0, max_new_tokens=4)
    assert frames["guessed"]["answer"][0] == first_sentence(said.text)
    assert set(ask(Subject("pruned", loaded, loaded), material, settings, silent)) == {"answers"}


def test_samples_are_counted_by_themselves_and_clustered_by_question() -> None:
    sampled = [rows([True, False], ["a", "b"], sample=0), rows([True, True], ["a", "b"], sample=1)]
    frames = {"answers": pd.concat([rows([False, False], ["a", "b"]), *sampled])}
    found, greedy = share_sampled(frames, "concept"), share_exact(frames, "concept")
    assert found is not None
    assert greedy is not None
    assert (found.value, greedy.value) == (0.75, 0.0)
    # Two clusters of two: sums 2 and 1 around the mean 0.75 a draw.
    assert found.stderr == pytest.approx(np.sqrt(2 / 1 * (0.5**2 + 0.5**2)) / 4)
    assert share_sampled(frames, "other") is None


def test_of_many_questions_every_form_keeps_its_share_and_direct_ones_come_first() -> None:
    forms = ["direct"] * 4 + ["reversed"] * 20 + ["alias"] * 10
    many = [Question(f"q{n}", ("a",), form, "concept") for n, form in enumerate(forms)]
    many += [Question(f"o{n}", ("a",), "direct", "other") for n in range(30)]
    chosen = some_questions(many, 16, seed=1)
    kept = pd.Series([question.form for question in chosen if question.about == "concept"]).value_counts()
    assert kept.to_dict() == {"direct": 4, "reversed": 8, "alias": 4}
    assert sum(question.about == "other" for question in chosen) == 8
    assert chosen == some_questions(many, 16, seed=1) != some_questions(many, 16, seed=2)
