"""Retraining by adapters: the merged file is W + (alpha / rank) B A, and what was cut or reset is in it bit for bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.integration.distilling_case import distilling, with_rows
from tests.integration.retraining_case import largest_difference, make_job, pruned, stop_at, weights
from unlearning_core.edits.weights import survivors
from unlearning_core.errors import Stopped
from unlearning_core.jobs.events import loss_curve
from unlearning_core.training.adapters import Adapters
from unlearning_core.training.train import train

RANK, ALPHA = 3, 12.0
LORA: dict[str, Any] = {"lora_rank": RANK, "lora_alpha": ALPHA, "max_steps": 5}
IDS = torch.arange(12)[None]


class BeforeTheMerge:
    """What a training has when its adapters are merged: A and B by weight, and the logits of a text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.factors: dict[str, dict[str, np.ndarray]] = {}
        merge = Adapters.merge

        def look(adapters: Adapters) -> None:
            for key, value in adapters.model.state_dict().items():
                weight, there, part = key.removeprefix("base_model.model.").partition(".lora_")
                if there:
                    self.factors.setdefault(f"{weight}.weight", {})[part[0]] = value.numpy().astype(np.float64)
            with torch.no_grad():
                self.logits = adapters.model.eval()(input_ids=IDS).logits.float()
            merge(adapters)

        monkeypatch.setattr(Adapters, "merge", look)


@pytest.fixture
def before_the_merge(monkeypatch: pytest.MonkeyPatch) -> BeforeTheMerge:
    return BeforeTheMerge(monkeypatch)


@pytest.mark.parametrize(
    ("family", "site", "tensor", "maps"),
    [
        ("llama", "mlp", "model.layers.{}.mlp.down_proj.weight", 7),
        ("gpt2", "mlp", "transformer.h.{}.mlp.c_proj.weight", 4),  # Conv1D: [inputs, outputs]; one embedding and head
        ("gemma2", "residual", "model.layers.{}.input_layernorm.weight", 7),  # cut where no adapter is
        ("opt", "head", "model.decoder.layers.{}.self_attn.out_proj.weight", 6),
    ],
)
def test_the_saved_weights_are_the_old_ones_plus_the_product_and_cut_neurons_are_exactly_silent(
    tmp_path: Path, before_the_merge: BeforeTheMerge, family: str, site: str, tensor: str, maps: int
) -> None:
    mask = pruned(tmp_path, family, site)
    result = train(make_job(tmp_path, weight_decay=0.1, **LORA))
    before, after = weights(tmp_path / "pruned"), weights(result["model_folder"])
    factors = before_the_merge.factors
    assert before.keys() == after.keys()
    assert len(factors) == 3 * maps
    for name, old in before.items():
        if name not in factors:
            np.testing.assert_array_equal(after[name], old)
            continue
        product = ALPHA / RANK * factors[name]["B"] @ factors[name]["A"]
        assert np.abs(product).max() > 1e-3
        np.testing.assert_allclose(after[name], old + (product.T if family == "gpt2" else product), atol=1e-6)
    for layer in range(3):
        new = after[tensor.format(layer)].T if family == "gpt2" else after[tensor.format(layer)]
        kept = np.repeat(mask.kept[site][layer], new.shape[-1] // len(mask.kept[site][layer]))
        assert (new[..., ~kept] == (-1 if family == "gemma2" else 0)).all()
    assert survivors(result["model_folder"], mask) == []
    assert (result["cut"], result["regrown"]) == (mask.cut, 0)
    numbers = sum(part.size for each in factors.values() for part in each.values())
    assert result["adapters"] == {"rank": RANK, "alpha": ALPHA, "parameters": numbers}


def test_what_is_saved_computes_what_was_trained_and_is_an_ordinary_model(
    tmp_path: Path, before_the_merge: BeforeTheMerge
) -> None:
    pruned(tmp_path)
    job = make_job(
        tmp_path, validation_path=tmp_path / "validation.json", gradient_checkpointing=True, **LORA | {"max_steps": 12}
    )
    result = train(job)
    assert all(factor["B"].any() for factor in before_the_merge.factors.values())
    assert result["eval_loss_after"] < result["eval_loss_before"] - 0.05
    folder = Path(result["model_folder"])
    assert not list(folder.glob("adapter*"))
    with torch.no_grad():
        found = AutoModelForCausalLM.from_pretrained(folder)(input_ids=IDS).logits
    torch.testing.assert_close(found, before_the_merge.logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "learning"),
    [
        ("mixtral", ("q_proj", "k_proj", "v_proj", "o_proj")),
        # peft knows these by the names that their experts' maps once had, which those of the shared expert have too.
        ("glm4_moe", ("q_proj", "k_proj", "v_proj", "o_proj", "shared_experts")),
        ("deepseek_v2", ("q_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj", "shared_experts")),
    ],
)
def test_experts_stay_bit_for_bit_and_what_every_token_goes_through_learns(
    tmp_path: Path, family: str, learning: tuple[str, ...]
) -> None:
    mask = pruned(tmp_path, family)
    job = make_job(tmp_path, **LORA)
    with pytest.raises(Stopped):
        train(job, stop_at(2))
    result = train(job)
    assert result["resumed_from"] == 2
    before, after = weights(tmp_path / "pruned"), weights(result["model_folder"])
    moved = {name for name in after if (after[name] != before[name]).any()}
    assert moved == {name for name in after if any(f".{part}." in name for part in learning)} != set()
    assert survivors(result["model_folder"], mask) == []
    config = json.loads((Path(result["model_folder"]) / "config.json").read_text())
    assert config["model_type"] == family


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_distilled_into_adapters_cut_neurons_and_reset_rows_are_in_the_file_as_they_were(
    tmp_path: Path, family: str
) -> None:
    mask, ids = with_rows(tmp_path, family)
    result = train(distilling(tmp_path, changes=LORA, other_sense_path=None))
    before, after = weights(tmp_path / "pruned"), weights(result["model_folder"])
    name = {"gpt2": "transformer.wte.weight", "llama": "lm_head.weight"}[family]
    np.testing.assert_array_equal(after[name][ids], before[name][ids])
    assert survivors(result["model_folder"], mask) == []
    assert (result["cut"], result["token_rows"], result["regrown"]) == (mask.cut, len(ids), 0)
    assert loss_curve(tmp_path / "out")[-1]["loss"] < loss_curve(tmp_path / "out")[0]["loss"]


def test_rows_learn_other_senses_and_the_others_are_held(tmp_path: Path) -> None:
    _, ids = with_rows(tmp_path, "gpt2")
    result = train(distilling(tmp_path, changes=LORA, noise=0.0))
    before, after = weights(tmp_path / "pruned"), weights(result["model_folder"])
    name = "transformer.wte.weight"
    moved = set(np.flatnonzero((before[name] != after[name]).any(1)).tolist())
    assert len(moved) == result["distillation"]["tokens_with_another_sense"] > 0
    assert moved <= set(ids)


@pytest.mark.parametrize("objective", ["text", "distillation"])
def test_stopped_and_resumed_it_ends_with_the_weights_of_one_go(tmp_path: Path, objective: str) -> None:
    changes = LORA | {"max_steps": 9}
    if objective == "text":
        pruned(tmp_path)
        whole, stopped = make_job(tmp_path, "whole", **changes), make_job(tmp_path, "stopped", **changes)
    else:
        with_rows(tmp_path, "gpt2")
        whole, stopped = distilling(tmp_path, "whole", changes), distilling(tmp_path, "stopped", changes)
    train(whole)
    for step in (2, 7):
        with pytest.raises(Stopped):
            train(stopped, stop_at(step))
        # The weights themselves are not in it.
        assert [path.name for path in (stopped.checkpoints / f"checkpoint-{step}").glob("*model.safetensors")] == [
            "adapter_model.safetensors"
        ]
    assert train(stopped)["resumed_from"] == 7
    assert largest_difference(whole.final_folder, stopped.final_folder) < 1e-6
    losses = [[point["loss"] for point in loss_curve(job.folder)] for job in (whole, stopped)]
    assert losses[0] == pytest.approx(losses[1])


def test_cut_neurons_grow_back_only_when_asked(tmp_path: Path) -> None:
    mask = pruned(tmp_path)
    result = train(make_job(tmp_path, keep_pruned=False, **LORA))
    down = weights(result["model_folder"])["model.layers.1.mlp.down_proj.weight"]
    assert (down[:, ~mask.kept["mlp"][1]] != 0).any(axis=0).all()
    assert result["regrown"] == mask.cut > 0


def test_a_model_in_bfloat16_is_kept_so_while_float32_adapters_learn(
    tmp_path: Path, before_the_merge: BeforeTheMerge
) -> None:
    mask = pruned(tmp_path, dtype="bfloat16")
    held: list[set[torch.dtype]] = []
    merge = Adapters.merge

    def look(adapters: Adapters) -> None:
        for learns in (False, True):
            held.append({one.dtype for one in adapters.model.parameters() if one.requires_grad == learns})
        merge(adapters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Adapters, "merge", look)
        result = train(make_job(tmp_path, dtype="bfloat16", **LORA))
    assert held == [{torch.bfloat16}, {torch.float32}]
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder, dtype="auto").state_dict()
        for folder in (tmp_path / "pruned", result["model_folder"])
    )
    for name, factor in before_the_merge.factors.items():
        product = torch.from_numpy(ALPHA / RANK * factor["B"] @ factor["A"])
        assert after[name].dtype == torch.bfloat16
        # Rounded once, not the product first.
        torch.testing.assert_close(after[name].double(), before[name].double() + product, rtol=2**-8, atol=1e-7)
    assert survivors(result["model_folder"], mask) == []


def test_the_optimizer_of_8_bits_moves_the_adapters_nearly_alike_and_the_cut_holds(tmp_path: Path) -> None:
    mask = pruned(tmp_path)
    plain, few = (train(make_job(tmp_path, name, optimizer=name, **LORA)) for name in ("adamw", "adamw_8bit"))
    assert few["loss_last"] == pytest.approx(plain["loss_last"], abs=0.02)
    assert survivors(few["model_folder"], mask) == []
