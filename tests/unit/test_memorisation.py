"""Rank, probability, exact memorisation and extraction strength, against brute force on one text at a time."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny_models import tiny
from tests.unit.test_patching import marked
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.evaluation.memorisation import (
    answers_apart,
    mean_of,
    median_rank,
    memorisation,
    ranks_of,
    truth_ratio,
)
from unlearning_core.evaluation.question_sets import Question
from unlearning_core.evaluation.registry import metrics_table
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.truth_ratio import TruthQuestion, truth_ratios
from unlearning_core.models.loading import LoadedModel, load_model

ROOT = Path(__file__).parents[2]
MATCHER = Matcher(Concept(("chair", "sofa", "bench")))
STATEMENTS = (
    marked("She put the chair beside the wooden sofa and sat down.", "chair", "sofa"),
    marked("The cat sleeps on a bench.", "bench"),
    marked("chair", "chair"),
)
TRUTH = (TruthQuestion("Q: What is a chair? A:", "One sits on it.", ("One rows in it.", "It barks.")),)


def measured(loaded: LoadedModel, material: Material) -> Frames:
    return memorisation(Subject("base", loaded, loaded), material, ProofSection())


def step(loaded: LoadedModel, ids: list[int]) -> torch.Tensor:
    """Log-probabilities of the next token after these, float64."""
    with torch.no_grad():
        return torch.log_softmax(loaded.model(torch.tensor([ids])).logits[0, -1].double(), dim=-1)


def goes_on(loaded: LoadedModel, ids: list[int], wanted: list[int]) -> bool:
    """Whether greedy decoding from these tokens writes the wanted ones."""
    said: list[int] = []
    while len(said) < len(wanted) and said == wanted[: len(said)]:
        said.append(int(step(loaded, ids + said).argmax()))
    return said == wanted


def smallworld_questions(count: int) -> tuple[Question, ...]:
    rows = [json.loads(line) for line in (ROOT / "data/smallworld/truth.jsonl").read_text().splitlines()[:count]]
    return tuple(Question(row["prompt"], (row["answer"],), "direct", "concept") for row in rows)


def test_extraction_and_exactness_are_what_greedy_decoding_shows() -> None:
    loaded = load_model(str(ROOT / "models/smallworld-never-knew-seats"), device="cpu")
    asked = smallworld_questions(3)
    found = measured(loaded, Material(MATCHER, questions=asked))["examples"]
    for question, row in zip(asked, found.itertuples(), strict=True):
        lead = loaded.tokenizer(question.prompt)["input_ids"]
        answer = loaded.tokenizer(" " + question.answers[0], add_special_tokens=False)["input_ids"]
        size = len(answer)
        given = next(k for k in range(size + 1) if goes_on(loaded, lead + answer[:k], answer[k:]))
        assert row.extraction_strength == pytest.approx(1 - given / size)
        logs = [step(loaded, lead + answer[:k]) for k in range(size)]
        assert row.exact == pytest.approx(
            np.mean([int(log.argmax()) == t for log, t in zip(logs, answer, strict=True)])
        )
        assert row.probability == pytest.approx(
            np.exp(np.mean([float(log[t]) for log, t in zip(logs, answer, strict=True)])), rel=1e-3
        )
        assert row.tokens == size
    assert 0 < found["extraction_strength"].max() < 1


def test_a_model_that_knows_the_answers_gives_them_whole() -> None:
    loaded = load_model(str(ROOT / "models/smallworld"), device="cpu")
    found = measured(loaded, Material(MATCHER, questions=smallworld_questions(8)))
    assert mean_of(found, "extraction_strength", "question").value == 1
    assert mean_of(found, "exact", "question").value == 1
    assert mean_of(found, "mean_rank", "question").value == 1


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
def test_ranks_of_the_concepts_words_are_places_in_the_sorted_vocabulary(family: str) -> None:
    loaded = tiny(family)
    found = measured(loaded, Material(MATCHER, statements=STATEMENTS))
    expected: list[tuple[int, float, int]] = []
    for number, item in enumerate(STATEMENTS[:2]):
        encoding = loaded.tokenizer(item.text, return_offsets_mapping=True)
        ids = encoding["input_ids"]
        for place, (start, end) in enumerate(encoding["offset_mapping"]):
            if place and any(start < b and a < end for a, b in item.spans):
                logs = step(loaded, ids[:place]).numpy()
                order = np.argsort(-logs, kind="stable").tolist()
                expected.append((number, -logs[ids[place]], order.index(ids[place]) + 1))
    tokens = found["tokens"]
    assert tokens["example"].tolist() == [number for number, _, _ in expected]
    np.testing.assert_allclose(tokens["nats"], [nats for _, nats, _ in expected], rtol=1e-3)
    assert tokens["rank"].tolist() == [rank for _, _, rank in expected]
    assert median_rank(found).value == np.median([rank for _, _, rank in expected])
    assert found["examples"]["text"].tolist() == [item.text for item in STATEMENTS[:2]]
    first = [rank for number, _, rank in expected if number == 0]
    assert found["examples"]["mean_rank"][0] == pytest.approx(np.mean(first))


def test_equally_probable_tokens_share_their_places() -> None:
    logits = torch.tensor([[1.0, 1.0, 1.0, 1.0], [3.0, 2.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    assert ranks_of(logits, torch.tensor([0, 2, 3])).tolist() == [2.5, 2.5, 1.0]


def test_of_several_wordings_the_one_that_the_model_finds_likeliest_counts() -> None:
    loaded = tiny("gpt2")
    wordings = ("A seat for one.", "It barks.", "Nobody saw it in the rain.")
    each = [
        measured(loaded, Material(MATCHER, questions=(Question("Q: What? A:", (answer,), "alias", "concept"),)))
        for answer in wordings
    ]
    best = max(range(3), key=lambda n: each[n]["examples"]["probability"][0])
    both = measured(loaded, Material(MATCHER, questions=(Question("Q: What? A:", wordings, "alias", "concept"),)))
    assert both["examples"]["answer"].tolist() == [wordings[best]]
    assert both["examples"]["form"].tolist() == ["alias"]
    assert both["examples"]["probability"][0] == pytest.approx(each[best]["examples"]["probability"][0])


def test_only_questions_about_the_concept_are_scored() -> None:
    asked = (Question("Q: A boat? A:", ("On the river.",), "direct", "other"),)
    with pytest.raises(InputError, match="None of the 0 statements and answers"):
        measured(tiny("gpt2"), Material(MATCHER, questions=asked))


def test_truth_ratios_are_those_of_the_questions_and_their_mean_closeness_to_1() -> None:
    loaded = tiny("gpt2")
    found = measured(loaded, Material(MATCHER, statements=STATEMENTS, truth=TRUTH))
    assert found["truth"]["truth_ratio"].tolist() == truth_ratios(loaded, TRUTH).tolist()
    made = {"truth": pd.DataFrame({"truth_ratio": [0.0, 0.25, 1.0, 4.0, np.inf]})}
    value = truth_ratio(made)
    assert value.value == pytest.approx((0 + 0.25 + 1 + 0.25 + 0) / 5)
    assert value.stderr == pytest.approx(np.std([0, 0.25, 1, 0.25, 0], ddof=1) / 5**0.5)
    assert truth_ratio({"truth": made["truth"][:0]}) is None


def test_the_gap_to_never_knew_is_the_largest_between_the_two_distributions() -> None:
    def frames(*values: float) -> Frames:
        return {"examples": pd.DataFrame({"kind": "question", "probability": values})}

    ours, theirs = frames(0.1, 0.2, 0.5, 0.9), frames(0.05, 0.1, 0.15, 0.3)
    grid = np.linspace(0, 1, 2001)
    shares = [(f["examples"]["probability"].to_numpy()[:, None] <= grid).mean(axis=0) for f in (ours, theirs)]
    assert answers_apart(theirs, ours, "statistic").value == pytest.approx(np.abs(shares[0] - shares[1]).max())
    assert answers_apart(theirs, theirs, "statistic").value == 0
    assert answers_apart(theirs, theirs, "pvalue").value == 1
    assert answers_apart(frames(), ours, "pvalue") is None


def test_the_metrics_come_from_the_frames_of_the_state_and_of_the_never_knew_model() -> None:
    asked = (Question("Q: What is a chair? A:", ("A seat.",), "direct", "concept"),)
    material = Material(MATCHER, statements=STATEMENTS, questions=asked, truth=TRUTH)
    found, theirs = (measured(tiny("gpt2", seed), material) for seed in (0, 1))
    table = metrics_table({"base": {"memorisation": found}, "never_knew": {"memorisation": theirs}})
    values = table["base"]
    assert values["answer_probability"] == found["examples"].query("kind == 'question'")["probability"].item()
    assert values["concept_probability"] == pytest.approx(
        found["examples"].query("kind == 'statement'")["probability"].mean()
    )
    assert values["answers_apart"] == 1
    assert table["never_knew"]["answers_apart"] == 0
    assert "answers_apart" not in metrics_table({"base": {"memorisation": found}})["base"]


def test_not_a_number_fails_with_a_sentence() -> None:
    broken = tiny("gpt2")
    with torch.no_grad():
        broken.model.transformer.h[1].mlp.c_proj.weight[3] = torch.nan
    with pytest.raises(WorkFailed, match="not a number"):
        measured(broken, Material(MATCHER, statements=STATEMENTS))
