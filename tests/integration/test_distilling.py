"""A distillation as a training job: edits hold, a stop changes nothing, a plain loop ends with the same weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.integration.distilling_case import WORDS, distilling, with_rows
from tests.integration.retraining_case import (
    largest_difference,
    launched,
    pruned,
    run_python,
    stop_at,
    texts,
    weights,
)
from unlearning_core.concepts.labelled_files import write_labelled
from unlearning_core.concepts.labelling import label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import bake
from unlearning_core.errors import InputError, Stopped
from unlearning_core.files import read_object, write_json
from unlearning_core.jobs.events import loss_curve
from unlearning_core.training.concept_masking import ConceptMask, concept_mask, word_forms
from unlearning_core.training.data import load_data
from unlearning_core.training.distilling import DistillingTrainer
from unlearning_core.training.train import train


@pytest.mark.parametrize(
    ("family", "down", "embedding", "head"),
    [
        ("gpt2", "transformer.h.{}.mlp.c_proj.weight", "transformer.wte.weight", None),
        ("llama", "model.layers.{}.mlp.down_proj.weight", "model.embed_tokens.weight", "lm_head.weight"),
    ],
)
def test_cut_neurons_and_reset_rows_are_in_the_saved_file_as_they_were(
    tmp_path: Path, family: str, down: str, embedding: str, head: str | None
) -> None:
    mask, ids = with_rows(tmp_path, family)
    result = train(distilling(tmp_path, other_sense_path=None))
    before, after = weights(tmp_path / "pruned"), weights(result["model_folder"])
    for layer in range(3):
        new, kept = after[down.format(layer)], mask.kept["mlp"][layer]
        assert not (new if family == "gpt2" else new.T)[~kept].any()
    others = [token for token in range(len(before[embedding])) if token not in ids]
    for name in filter(None, (embedding, head)):
        np.testing.assert_array_equal(after[name][ids], before[name][ids])
        assert (after[name][others] != before[name][others]).mean() > 0.99
    assert (result["cut"], result["token_rows"], result["regrown"]) == (mask.cut, len(ids), 0)
    assert result["distillation"]["masked_tokens"] >= len(ids)
    assert result["distillation"]["texts_beside"].keys() == {"concept"}


@pytest.mark.parametrize("parts", [1, 2])
def test_stopped_and_resumed_it_ends_with_the_weights_of_one_go(
    tmp_path: Path, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rows(tmp_path, "gpt2", resid_pdrop=0.2)
    monkeypatch.setattr("unlearning_core.training.trainer.split_batch", lambda size, *_: (size // parts, parts))
    changes = {"max_steps": 9, "validation_path": tmp_path / "validation.json"}
    whole, stopped = distilling(tmp_path, "whole", changes), distilling(tmp_path, "stopped", changes)
    train(whole)
    for step in (2, 7):
        with pytest.raises(Stopped, match=f"stopped at step {step} of 9; a checkpoint is kept"):
            train(stopped, stop_at(step))
    assert train(stopped)["resumed_from"] == 7
    assert largest_difference(whole.final_folder, stopped.final_folder) < 1e-6
    losses = [[point["loss"] for point in loss_curve(job.folder)] for job in (whole, stopped)]
    assert losses[0] == pytest.approx(losses[1])


def divergence(wanted: torch.Tensor, found: torch.Tensor, hidden: list[set[int]]) -> torch.Tensor:
    """Summed over the rows of two [places, vocabulary] tables of logits, of each of which some tokens are hidden."""
    wanted = wanted.clone()
    for place, tokens in enumerate(hidden):
        wanted[place, sorted(tokens)] = -1e9
    p = wanted.log_softmax(-1)
    return (p.exp() * (p - found.log_softmax(-1))).sum()


def hidden_by_place(mask: ConceptMask, ids: list[int]) -> list[set[int]]:
    """What may not be foreseen at each place of a text but the last."""
    read = ids[:-1]
    ends = mask.completions(read)
    return [
        {*mask.everywhere.tolist(), *(mask.at_start.tolist() if starts else []), *(t for at, t in ends if at == place)}
        for place, starts in enumerate(mask.starts(read))
    ]


@pytest.mark.parametrize(("rows", "at_once"), [(True, 28), (True, 14), (False, 29)])
def test_weights_are_those_of_a_plain_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: bool, at_once: int
) -> None:
    """AdamW by hand on all texts: each kind's mean over its tokens, by its share of the texts and its weight."""
    monkeypatch.setattr("unlearning_core.training.trainer.split_batch", lambda *_: (at_once, 1))
    ids = with_rows(tmp_path, "llama")[1] if rows else []
    if not rows:
        pruned(tmp_path, "llama")
    matcher = Matcher(Concept(WORDS))
    changes = {"batch_size": 24, "max_steps": 3, "warmup_ratio": 0.0, "recipe_folder": tmp_path / "recipe"}
    senses = {} if not rows else {"other_sense_path": None}
    job = distilling(tmp_path, changes=changes, concept_texts=4, noise=0.0, depth_weight=0.0, **senses)
    about = ["a chair near the boat.", "some bench.", "the cat saw the chair.", "it sat on a bench."]
    write_labelled(tmp_path / "labelled.jsonl", [label_text(text, matcher) for text in about])
    write_json(
        tmp_path / "other_sense.json", [f"the chair of the {other}" for other in ("boat", "cat", "rain", "it", "a")]
    )
    train(job)

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "pruned")
    model, base, reset = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("pruned", "base", "base"))
    recipe = Recipe.load(tmp_path / "recipe")
    bake(reset, None, rows=recipe.rows)
    other = json.loads((tmp_path / "other_sense.json").read_text())
    kinds = [
        (texts(24), base, True, 24 / (28 if rows else 29), 1.0),
        (about, reset, True, 4 / 28, 2.0) if rows else (other, base, False, 5 / 29, 1.0),
    ]
    mask = concept_mask(tokenizer, word_forms(WORDS, WORDS), ids)
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": job.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    for rate in (1.0, 2 / 3, 1 / 3):
        loss = torch.zeros(())
        for some, teacher, masked, share, weight in kinds:
            total, places = torch.zeros(()), 0
            for text in some:
                given = torch.tensor([[*tokenizer(text)["input_ids"], tokenizer.eos_token_id]])
                with torch.no_grad():
                    wanted = teacher(input_ids=given).logits[0, :-1]
                hidden = hidden_by_place(mask, given[0].tolist()) if masked else []
                total = total + divergence(wanted, model(input_ids=given).logits[0, :-1], hidden)
                places += given.shape[1] - 1
            loss = loss + share * weight * total / places
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * job.learning_rate
        optimizer.step()
        optimizer.zero_grad()
        bake(model, recipe.mask, rows=recipe.rows)
    after = weights(job.final_folder)
    for name, parameter in model.named_parameters():
        apart = np.abs(after[name] - parameter.detach().numpy())
        # Adam divides by the gradient's size: where that is next to nothing, rounding decides the step. In one of a
        # thousand numbers at most, and never by more than a step.
        assert (apart > 5e-5).mean() < 1e-3, name
        assert apart.max() < job.learning_rate, name


def test_evaluation_is_the_mean_divergence_over_the_tokens_of_the_validation_text(tmp_path: Path) -> None:
    _, ids = with_rows(tmp_path, "gpt2")
    job = distilling(tmp_path, changes={"validation_path": tmp_path / "validation.json"}, noise=0.0)
    result = train(job)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "pruned")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    mask = concept_mask(tokenizer, word_forms(WORDS, WORDS), ids)
    for folder, told in ((tmp_path / "pruned", "eval_loss_before"), (job.final_folder, "eval_loss_after")):
        model, total, places = AutoModelForCausalLM.from_pretrained(folder), 0.0, 0
        for text in texts(6, seed=1):
            given = torch.tensor([[*tokenizer(text)["input_ids"], tokenizer.eos_token_id]])
            with torch.no_grad():
                wanted, found = (one(input_ids=given).logits[0, :-1] for one in (base, model))
            total += float(divergence(wanted, found, hidden_by_place(mask, given[0].tolist())))
            places += given.shape[1] - 1
        assert result[told] == pytest.approx(total / places, rel=1e-3)
    assert result["eval_loss_after"] < result["eval_loss_before"]


def test_two_processes_share_a_step_and_end_with_the_weights_of_one(tmp_path: Path) -> None:
    with_rows(tmp_path, "llama")
    job = distilling(
        tmp_path, changes={"max_steps": 4, "validation_path": tmp_path / "validation.json"}, concept_texts=3
    )
    program, port = launched(tmp_path, job)
    ended = run_python(
        "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port, *program,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    alone = train(job.model_copy(update={"output_folder": str(tmp_path / "alone")}))
    shared = read_object(job.final_folder / "retraining.json")
    assert (shared["processes"], alone["processes"]) == (2, 1)
    assert largest_difference(job.final_folder, tmp_path / "alone" / "model") < 1e-5
    assert shared["eval_loss_after"] == pytest.approx(alone["eval_loss_after"], abs=1e-5)


def test_what_decides_the_weights_decides_whether_a_training_is_another(tmp_path: Path) -> None:
    with_rows(tmp_path, "gpt2")

    def identity(**settings: Any) -> str:
        job = distilling(tmp_path, changes={"max_steps": 1}, **settings)
        return DistillingTrainer(job, load_data(job), 1).identity

    first = identity()
    assert identity() == first
    others = [identity(noise=0.3), identity(depth_weight=0.6), identity(concept_texts=1), identity(words=["boat"])]
    write_json(tmp_path / "train.json", texts(24))
    assert len({first, *others}) == 5


def test_without_reset_rows_no_text_about_the_concept_is_read_as_the_teacher_would_tell_of_it(tmp_path: Path) -> None:
    pruned(tmp_path, "gpt2")
    result = train(distilling(tmp_path, changes={"max_steps": 1}))
    assert result["distillation"]["texts_beside"] == {"other_sense": 4}


def test_a_teacher_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    with_rows(tmp_path, "gpt2")
    pruned(tmp_path / "other", "gpt2", vocab_size=500)
    job = distilling(tmp_path, teacher_folder=tmp_path / "other" / "base")
    with pytest.raises(InputError, match=r"teacher_folder: the model in .* has 500 tokens, the one that learns 400"):
        train(job)
