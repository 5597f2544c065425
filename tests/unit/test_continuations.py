"""What a model writes after many prompts: concept words, repetition and variety, counted by hand."""

import pandas as pd
import pytest

from tests.tiny_models import tiny
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.continuations import distinct_pairs, repetition, words_per_100, write
from unlearning_core.evaluation.suite import Material, Subject
from unlearning_core.progress import silent


def test_every_text_is_counted_with_its_prompt() -> None:
    loaded, prompts = tiny("gpt2"), ("Anna sat on the", "Ben looked at")
    material = Material(Matcher(Concept(("the", "a"))), prompts=prompts)
    settings = ProofSection(prompt_samples=3, new_tokens=12)
    found = write(Subject("base", loaded, loaded, seed=2), material, settings, silent)["texts"]
    assert found["prompt"].value_counts().to_dict() == dict.fromkeys(prompts, 3)
    for row in found.itertuples():
        words = row.text.split()
        runs = [tuple(words[start : start + 4]) for start in range(len(words) - 3)]
        assert (row.runs, row.repeated_runs) == (len(runs), len(runs) - len(set(runs)))
        assert row.concept_words == len(material.matcher.spans(row.text))


def test_rates_are_over_all_texts_together() -> None:
    texts = pd.DataFrame(
        {
            "prompt": ["p", "p", "q"], "text": ["a b a b", "a b", "c d"], "words": [4, 2, 2],
            "concept_words": [1, 0, 1], "runs": [1, 0, 3], "repeated_runs": [0, 0, 2],
        }
    )  # fmt: skip
    frames = {"texts": texts}
    assert words_per_100(frames).value == pytest.approx(100 * 2 / 8)
    assert repetition(frames).value == pytest.approx(2 / 4)
    assert distinct_pairs(frames).value == pytest.approx(3 / 5)  # a b, b a, c d of five pairs
