"""What is measured while a model learns: right numbers, at little cost, without a trace in the training itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.integration.retraining_case import largest_difference, make_job, pruned
from unlearning_core.concepts.labelled_files import write_labelled
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.evaluation.question_sets import Question, is_answered, words_of, write_question_set
from unlearning_core.jobs.events import loss_curve, read_events
from unlearning_core.training.learning import Allowance
from unlearning_core.training.train import train

SENTENCES = [
    LabelledText("the cat sat on a chair near it", ((17, 22),), ("chair",)),
    LabelledText("a bench and the boat", ((2, 7),), ("bench",)),
    LabelledText("the small boat saw the rain"),
]


def probed(folder: Path, **changes: Any) -> dict[str, Any]:
    write_labelled(folder / "probes.jsonl", SENTENCES)
    return {"probe_set_path": folder / "probes.jsonl", "prompts": ("the cat", "a small"), "sample_tokens": 4} | changes


def nats_by_hand(folder: Path) -> tuple[float, float]:
    """Mean negative log-likelihood of the tokens that overlap a concept word, and of sentences without one."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for item in SENTENCES:
        encoded = tokenizer(item.text, return_offsets_mapping=True)
        ids = torch.tensor(encoded["input_ids"])
        with torch.no_grad():
            scores = model(ids[None]).logits[0].double().log_softmax(-1)
        for place in range(1, len(ids)):
            start, end = encoded["offset_mapping"][place]
            concept = any(start < stop and begin < end for begin, stop in item.spans)
            if concept or not item.spans:
                kinds[concept].append(-float(scores[place - 1, ids[place]]))
    return float(np.mean(kinds[True])), float(np.mean(kinds[False]))


def test_losses_before_and_after_are_those_of_the_two_models(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, **probed(tmp_path, measure_every=5))
    train(job)
    curve = loss_curve(job.folder, "measure")
    assert [point["step"] for point in curve] == [0, 5, 10, 12]
    for point, folder in ((curve[0], tmp_path / "pruned"), (curve[-1], job.final_folder)):
        concept, retain = nats_by_hand(folder)
        assert point["concept_nll"] == pytest.approx(concept, abs=1e-4)
        assert point["retain_nll"] == pytest.approx(retain, abs=1e-4)
    samples = [event for event in read_events(job.folder) if event["kind"] == "sample"]
    assert [(sample["step"], sample["prompt"]) for sample in samples] == [
        (step, prompt) for step in (0, 5, 10, 12) for prompt in ("the cat", "a small")
    ]


def quizzed(folder: Path, base: Path, **changes: Any) -> tuple[dict[str, Any], list[Question]]:
    """A quiz of which the first answer is what `base` writes, and the second is none of it."""
    known = Question("the cat", (" ".join(greedy(base, "the cat", 4)),), "direct", "concept")
    questions = [known, Question("a small", ("xylophone",), "direct", "neighbour")]
    write_question_set(folder / "quiz.jsonl", questions)
    return {"quiz_path": folder / "quiz.jsonl", "quiz_tokens": 4} | changes, questions


def greedy(folder: Path, prompt: str, tokens: int) -> list[str]:
    """The words that transformers' own greedy decoding writes after `prompt`."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    given = tokenizer(prompt, return_tensors="pt")
    ids = model.generate(**given, max_new_tokens=tokens, do_sample=False, pad_token_id=0)[0]
    return words_of(tokenizer.decode(ids[given["input_ids"].shape[1] :], skip_special_tokens=True))


def test_the_quiz_is_asked_before_the_first_step_at_evaluations_and_after_the_last(tmp_path: Path) -> None:
    pruned(tmp_path)
    values, questions = quizzed(tmp_path, tmp_path / "pruned", eval_every=6, measure_share=1.0)
    job = make_job(tmp_path, **values)
    train(job)
    asked = loss_curve(job.folder, "quiz")
    # In between only where the training has taken long enough for it, which is for the machine to say.
    assert [point["step"] for point in asked if point["step"] != 6] == [0, 12]
    for point, folder in ((asked[0], tmp_path / "pruned"), (asked[-1], job.final_folder)):
        for answer, question in zip(point["answers"], questions, strict=True):
            said = greedy(folder, question.prompt, 4)
            assert (answer["prompt"], answer["about"]) == (question.prompt, question.about)
            assert words_of(answer["answer"]) == said
            assert answer["right"] == is_answered(" ".join(said), question)
    assert [answer["right"] for answer in asked[0]["answers"]] == [True, False]
    without = make_job(tmp_path, "without", eval_every=6)
    train(without)
    assert largest_difference(job.final_folder, without.final_folder) == 0
    assert loss_curve(without.folder, "quiz") == []


def test_measuring_leaves_no_trace_in_the_weights(tmp_path: Path) -> None:
    # gpt2 has dropout: a single random number drawn beside the training would change every later step.
    pruned(tmp_path, "gpt2", resid_pdrop=0.2, attn_pdrop=0.2, embd_pdrop=0.2)
    with_it, without = make_job(tmp_path, "with", **probed(tmp_path, measure_every=1)), make_job(tmp_path, "without")
    train(with_it)
    train(without)
    assert largest_difference(with_it.final_folder, without.final_folder) == 0


def test_what_cannot_be_measured_does_not_end_the_training(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, **probed(tmp_path, measure_every=1))
    write_labelled(tmp_path / "probes.jsonl", SENTENCES[2:])
    assert train(job)["steps"] == 12
    assert loss_curve(job.folder, "measure") == []


def test_what_is_spent_between_the_first_and_the_last_stays_within_the_share() -> None:
    allowance = Allowance(0.05)
    assert not allowance.allows(1e9)
    allowance.spend(2.0, free=True)
    costs, done, due = np.random.default_rng(0).uniform(1.0, 2.0, 1000), 0, []
    for second in range(1, 2001):
        if allowance.allows(second):
            due.append(second)
            allowance.spend(float(costs[done]))
            done += 1
            # A measurement may take longer than the one before it, by which it was judged.
            assert allowance.spent <= 0.05 * second + 1.0
    assert due[0] == 40
    assert 0.04 * 2000 < allowance.spent <= 0.05 * 2000
