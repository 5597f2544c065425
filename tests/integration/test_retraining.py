"""Retraining in this process: the cut holds, the maths is a plain loop's, and a stop changes nothing of the result."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.integration.retraining_case import largest_difference, make_job, pruned, stop_at, texts, weights
from unlearning_core.edits.weights import survivors
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import read_object, write_json
from unlearning_core.jobs.events import loss_curve, read_events
from unlearning_core.progress import Progress
from unlearning_core.training.checkpoints import MARKER
from unlearning_core.training.train import train


@pytest.mark.parametrize(
    ("family", "site", "tensor"),
    [
        ("llama", "mlp", "model.layers.{}.mlp.down_proj.weight"),
        ("gpt2", "mlp", "transformer.h.{}.mlp.c_proj.weight"),
        ("gemma2", "residual", "model.layers.{}.input_layernorm.weight"),
        ("opt", "head", "model.decoder.layers.{}.self_attn.out_proj.weight"),
    ],
)
def test_cut_weights_are_silent_in_the_saved_file_and_others_moved(
    tmp_path: Path, family: str, site: str, tensor: str
) -> None:
    mask = pruned(tmp_path, family, site)
    result = train(make_job(tmp_path))
    before, after = weights(tmp_path / "pruned"), weights(result["model_folder"])
    for layer in range(3):
        name = tensor.format(layer)
        new = after[name].T if family == "gpt2" else after[name]
        old = before[name].T if family == "gpt2" else before[name]
        kept = mask.kept[site][layer]
        kept = np.repeat(kept, new.shape[-1] // len(kept))
        assert (new[..., ~kept] == (-1 if family == "gemma2" else 0)).all()
        assert (new[..., kept] != old[..., kept]).mean() > 0.99
    assert result["cut"] == mask.cut
    assert result["regrown"] == 0


def test_cut_neurons_of_every_expert_stay_silent_in_the_saved_file_and_others_move(tmp_path: Path) -> None:
    mask = pruned(tmp_path, "mixtral")
    result = train(make_job(tmp_path))
    before, after = weights(tmp_path / "pruned"), weights(result["model_folder"])
    moved = []
    for layer in range(3):
        for expert, kept in enumerate(mask.kept["mlp"][layer].reshape(4, 12)):
            name = f"model.layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight"
            assert not after[name][:, ~kept].any()
            moved.append((after[name][:, kept] != before[name][:, kept]).mean())
    assert np.mean(moved) > 0.9
    assert (result["cut"], result["regrown"]) == (mask.cut, 0)


def test_cut_neurons_grow_back_only_when_asked_and_are_counted(tmp_path: Path) -> None:
    mask = pruned(tmp_path)
    result = train(make_job(tmp_path, keep_pruned=False))
    down = weights(result["model_folder"])["model.layers.1.mlp.down_proj.weight"]
    assert (down[:, ~mask.kept["mlp"][1]] != 0).any(axis=0).all()
    assert result["regrown"] == mask.cut > 0


@pytest.mark.parametrize("accumulate", [False, True])
def test_weights_are_those_of_a_plain_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: bool) -> None:
    """AdamW by hand: same batches, mean loss over tokens, clip at 1, linear warm-up and decay, gains undecayed."""
    pruned(tmp_path)
    if accumulate:
        monkeypatch.setattr("unlearning_core.training.trainer.split_batch", lambda size, *_: (1, size))
    job = make_job(tmp_path, recipe_folder=None, epochs=1, batch_size=24, max_steps=4, warmup_ratio=0.5)
    train(job)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned").train()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "pruned")
    ids = [torch.tensor([*tokenizer(text)["input_ids"], tokenizer.eos_token_id]) for text in texts(24)]
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": job.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    for rate in (0.0, 0.5, 1.0, 0.5):  # of four steps, two warm up
        losses = [model(input_ids=one[None]).logits[0, :-1].log_softmax(-1) for one in ids]
        losses = [-scores[range(len(one) - 1), one[1:]] for scores, one in zip(losses, ids, strict=True)]
        torch.cat(losses).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * job.learning_rate
        optimizer.step()
        optimizer.zero_grad()
    after = weights(job.final_folder)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(after[name], parameter.detach().numpy(), atol=2e-5, err_msg=name)


def test_evaluation_is_the_mean_over_tokens(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, validation_path=tmp_path / "validation.json")
    result = train(job)
    for folder, told in ((tmp_path / "pruned", "eval_loss_before"), (job.final_folder, "eval_loss_after")):
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        nats: list[float] = []
        for text in texts(6, seed=1):
            ids = torch.tensor([*tokenizer(text)["input_ids"], tokenizer.eos_token_id])
            with torch.no_grad():
                scores = model(input_ids=ids[None]).logits[0, :-1].double().log_softmax(-1)
            nats += (-scores[range(len(ids) - 1), ids[1:]]).tolist()
        assert result[told] == pytest.approx(np.mean(nats), abs=1e-5)
    assert result["eval_loss_after"] < result["eval_loss_before"]


def test_model_learns_to_end_its_texts_although_pad_is_end_of_text(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, epochs=30, learning_rate=1e-2)
    write_json(tmp_path / "train.json", ["the cat sat."] * 8 + ["a boat."] * 8)
    train(job)
    model = AutoModelForCausalLM.from_pretrained(job.final_folder)
    tokenizer = AutoTokenizer.from_pretrained(job.final_folder)
    inputs = tokenizer("the cat", return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=20, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    assert tokenizer.decode(output[0]) == "the cat sat." + tokenizer.eos_token


def test_saved_model_is_whole_in_its_own_dtype_with_tied_embeddings(tmp_path: Path) -> None:
    pruned(tmp_path, "qwen2", dtype="bfloat16")
    (tmp_path / "pruned" / "generation_config.json").write_text('{"temperature": 0.5, "do_sample": true}')
    job = make_job(tmp_path)
    result = train(job)
    model = AutoModelForCausalLM.from_pretrained(job.final_folder, dtype="auto")
    assert model.dtype == torch.bfloat16
    assert result["saved_dtype"] == "bfloat16"
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert model.config.use_cache is True
    assert (model.generation_config.temperature, model.generation_config.do_sample) == (0.5, True)
    assert AutoTokenizer.from_pretrained(job.final_folder)("the cat") == AutoTokenizer.from_pretrained(
        tmp_path / "pruned"
    )("the cat")
    assert not job.checkpoints.exists()
    assert not [path for path in job.folder.iterdir() if path.name.startswith(".")]


def test_stopped_and_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    # gpt2 has dropout: the random numbers must go on where they stopped, too.
    pruned(tmp_path, "gpt2", resid_pdrop=0.2, attn_pdrop=0.2, embd_pdrop=0.2)
    validation = {"validation_path": tmp_path / "validation.json", "eval_every": 3, "prompts": ("the cat",)}
    whole, parts = make_job(tmp_path, "whole", epochs=3), make_job(tmp_path, "parts", epochs=3, **validation)
    train(whole)
    for stop in (5, 13):
        with pytest.raises(Stopped, match=f"stopped at step {stop} of 18; a checkpoint is kept"):
            train(parts, stop_at(stop))
        assert read_object(parts.folder / "status.json")["state"] == "stopped"
        assert not parts.final_folder.exists()
    result = train(parts)
    assert result["resumed_from"] == 13
    assert result["steps"] == 18
    assert largest_difference(whole.final_folder, parts.final_folder) < 1e-6
    assert [point["step"] for point in loss_curve(parts.folder)] == list(range(1, 19))
    assert [p["loss"] for p in loss_curve(parts.folder)] == pytest.approx([p["loss"] for p in loss_curve(whole.folder)])


def test_torn_checkpoint_is_passed_over_and_only_two_are_kept(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, checkpoint_every=2)
    with pytest.raises(Stopped):
        train(job, stop_at(9))
    assert sorted(path.name for path in job.checkpoints.iterdir()) == ["checkpoint-8", "checkpoint-9"]
    (job.checkpoints / "checkpoint-9" / MARKER).unlink()
    (job.checkpoints / "checkpoint-9" / "model.safetensors").write_bytes(b"torn")
    assert train(job)["resumed_from"] == 8


def test_checkpoint_of_other_settings_or_text_is_not_gone_on_from(tmp_path: Path) -> None:
    pruned(tmp_path)
    with pytest.raises(Stopped):
        train(make_job(tmp_path), stop_at(3))
    assert train(make_job(tmp_path, learning_rate=1e-3))["resumed_from"] is None


def test_finished_training_is_not_done_again_unless_something_changed(tmp_path: Path) -> None:
    pruned(tmp_path)
    first = train(make_job(tmp_path))
    steps = len(loss_curve(tmp_path / "out"))
    told = len([event for event in read_events(tmp_path / "out") if event["kind"] == "train"])
    assert train(make_job(tmp_path)) == first
    assert told == steps == len([e for e in read_events(tmp_path / "out") if e["kind"] == "train"])
    assert train(make_job(tmp_path, seed=7))["identity"] != first["identity"]


def test_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    pruned(tmp_path)
    for output, seed in (("one", 3), ("two", 3), ("three", 4)):
        train(make_job(tmp_path, output, seed=seed))
    assert largest_difference(tmp_path / "one/model", tmp_path / "two/model") == 0
    assert largest_difference(tmp_path / "one/model", tmp_path / "three/model") > 1e-4


def test_ctrl_c_stops_with_a_checkpoint_and_gives_the_signals_back(tmp_path: Path) -> None:
    pruned(tmp_path)
    before = signal.getsignal(signal.SIGINT)

    def interrupt(progress: Progress) -> None:
        if progress.task == "retraining" and progress.done == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped, match="stopped at step 4 of 12"):
        train(make_job(tmp_path), interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "out/checkpoints/checkpoint-4" / MARKER).is_file()


def test_bfloat16_maths_keeps_float32_weights_learning(tmp_path: Path) -> None:
    pruned(tmp_path)
    exact, half = make_job(tmp_path, "exact", dtype="float32"), make_job(tmp_path, "half", dtype="bfloat16")
    exact_result, half_result = train(exact), train(half)
    assert (exact_result["precision"], half_result["precision"]) == ("float32", "bfloat16")
    assert half_result["saved_dtype"] == "float32"
    assert half_result["loss_last"] == pytest.approx(exact_result["loss_last"], abs=0.05)
    assert largest_difference(exact.final_folder, half.final_folder) > 0


def test_events_tell_how_far_it_is_and_what_the_model_writes(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(
        tmp_path, validation_path=tmp_path / "validation.json", prompts=("the cat",), sample_tokens=5, measure_every=3
    )
    train(job)
    lines = [json.loads(line) for line in (job.folder / "events.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines if line["kind"] == "status"] == ["starting", "running", "finished"]
    assert [line["step"] for line in lines if line["kind"] == "eval"] == [0, 3, 6, 9, 12]
    samples = [line for line in lines if line["kind"] == "sample"]
    assert [(line["step"], line["prompt"]) for line in samples] == [(step, "the cat") for step in (0, 3, 6, 9, 12)]
    point = next(line for line in lines if line["kind"] == "train")
    assert {"time", "step", "total_steps", "loss", "learning_rate", "tokens_per_second", "eta_seconds"} <= set(point)
    assert point["total_steps"] == 12
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "pruned")
    predicted = sum(len(tokenizer(text)["input_ids"]) for text in texts(24))
    assert read_object(job.final_folder / "retraining.json")["tokens"] == 2 * predicted


def test_loss_that_is_no_number_suggests_a_smaller_learning_rate(tmp_path: Path) -> None:
    pruned(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")
    with torch.no_grad():
        model.lm_head.weight.mul_(1e38)
    model.save_pretrained(tmp_path / "pruned")
    job = make_job(tmp_path)
    with pytest.raises(WorkFailed, match=r"loss is not a number .*learning rate 0\.005 .* for example 0\.0005"):
        train(job)
    assert read_object(job.folder / "status.json")["state"] == "failed"
    assert not job.final_folder.exists()


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    pruned(tmp_path)
    (tmp_path / "other").mkdir()
    pruned(tmp_path / "other", intermediate_size=24)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"recipe_folder": tmp_path / "nowhere"}, r"nowhere.recipe\.json is missing"),
        ({"max_length": 129}, "max_length is 129"),
        ({"device": "cuda"} if not torch.cuda.is_available() else {"max_length": 400}, "CUDA card|max_length"),
        ({"validation_path": tmp_path / "nowhere.json"}, "nowhere"),
        ({"recipe_folder": tmp_path / "other" / "recipe"}, "This recipe was made for"),
    ]
    for changes, message in wrong:
        with pytest.raises(InputError, match=message):
            train(make_job(tmp_path, **changes))
    empty = make_job(tmp_path)
    write_json(tmp_path / "train.json", [])
    with pytest.raises(InputError, match=r"train\.json holds no text"):
        train(empty)


def test_folder_without_a_model_and_weights_with_nan_are_refused(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")
    with torch.no_grad():
        model.lm_head.weight[3, 4] = float("nan")
    model.save_pretrained(tmp_path / "pruned")
    with pytest.raises(InputError, match=r"weight lm_head\.weight .* holds NaN"):
        train(job)
    (tmp_path / "pruned" / "config.json").unlink()
    with pytest.raises(InputError, match=r"which has no config\.json"):
        train(job)


def test_validation_set_that_filtering_emptied_is_left_out(tmp_path: Path) -> None:
    from datasets import Dataset

    pruned(tmp_path)
    Dataset.from_dict({"text": ["x"]}).select([]).save_to_disk(str(tmp_path / "validation"))
    result = train(make_job(tmp_path, validation_path=tmp_path / "validation"))
    assert result["eval_loss_after"] is None
    with pytest.raises(InputError, match="a dataset of no rows"):
        train(make_job(tmp_path, train_path=tmp_path / "validation"))


def test_the_numbers_of_a_training_go_to_tensorboard_as_they_stand_in_its_events(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    pruned(tmp_path)
    plain, told = train(make_job(tmp_path, "plain")), make_job(tmp_path, report_to=("tensorboard",))
    result = train(told)
    board = EventAccumulator(str(tmp_path / "out" / "tensorboard")).Reload()
    losses = [(event.step, event.value) for event in board.Scalars("train/loss")]
    steps = [event for event in read_events(told.folder) if event["kind"] == "train"]
    assert losses == [(event["step"], pytest.approx(event["loss"], rel=1e-5)) for event in steps] != []
    # Whoever is told changes nothing.
    assert largest_difference(plain["model_folder"], result["model_folder"]) == 0
    assert not (tmp_path / "plain" / "tensorboard").exists()


def test_gradient_checkpointing_learns_the_same_and_another_optimizer_keeps_the_cut(tmp_path: Path) -> None:
    mask = pruned(tmp_path)
    plain = train(make_job(tmp_path, "plain", max_steps=3))
    again = train(make_job(tmp_path, "again", max_steps=3, gradient_checkpointing=True))
    assert largest_difference(plain["model_folder"], again["model_folder"]) < 1e-6
    other = train(make_job(tmp_path, "other", max_steps=3, optimizer="adafactor"))
    assert largest_difference(plain["model_folder"], other["model_folder"]) > 1e-6
    assert survivors(other["model_folder"], mask) == []
