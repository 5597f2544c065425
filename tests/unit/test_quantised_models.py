"""A model in 8 or 4 bits is ranked and cut like the one whose weights are what those bits stand for."""

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.stats import spearmanr

from tests.tiny_input import ITEMS
from tests.tiny_models import save_tiny
from unlearning_core.activations.collect import collect
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.errors import InputError
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.models.mapping import map_model
from unlearning_core.models.quantised import dequantised, is_quantised, is_quantised_map
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput

NF4 = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
        0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # fmt: skip
"""The 16 numbers of "QLoRA" (Dettmers et al. 2023), appendix E."""
BITS = ("8bit", "4bit")


def loaded(folder: Path, bits: Any, family: str = "llama") -> LoadedModel:
    if not (folder / "config.json").is_file():
        save_tiny(family, folder, hidden_size=64, intermediate_size=128)  # 4 bits come in blocks of 64
    return load_model(str(folder), device="cpu", quantize=bits)


def by_hand(weight: np.ndarray, bits: str) -> np.ndarray:
    """What so many bits make of a matrix."""
    if bits == "8bit":
        scale = np.abs(weight).max(1, keepdims=True) / 127
        return np.rint(weight / scale) * scale
    flat = weight.reshape(-1)
    blocks = np.pad(flat, (0, -len(flat) % 64)).reshape(-1, 64)
    scale = np.abs(blocks).max(1, keepdims=True)
    nearest = np.abs((blocks / scale)[..., None] - NF4).argmin(-1)
    return (NF4[nearest] * scale).reshape(-1)[: len(flat)].reshape(weight.shape)


def in_numbers(quantised: LoadedModel, whole: LoadedModel) -> LoadedModel:
    """The model in memory whose weights are what the bits stand for."""
    model = copy.deepcopy(whole.model)
    with torch.no_grad():
        for name, module in quantised.model.named_modules():
            if is_quantised_map(module):
                model.get_submodule(name).weight.copy_(dequantised(module))
    return LoadedModel(model, whole.tokenizer, map_model(model), whole.info)


@pytest.mark.parametrize("bits", BITS)
def test_the_weights_are_those_of_the_file_rounded_by_hand(tmp_path: Path, bits: str) -> None:
    few = loaded(tmp_path, bits)
    file = load_file(tmp_path / "model.safetensors")
    assert is_quantised(few.model)
    maps = {name: module for name, module in few.model.named_modules() if is_quantised_map(module)}
    assert len(maps) == 3 * 7
    for name, module in maps.items():
        expected = by_hand(file[f"{name}.weight"], bits)
        # A number half-way between two that there are may go to either, as the scale was rounded.
        close = np.isclose(dequantised(module).numpy(), expected, atol=2e-3 * np.abs(expected).max())
        assert close.mean() > 0.97
    embedding = few.model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(embedding, file["model.embed_tokens.weight"])


@pytest.mark.parametrize("bits", BITS)
def test_what_leaves_a_neuron_is_told_in_numbers(tmp_path: Path, bits: str) -> None:
    few = loaded(tmp_path, bits)
    weights = [dequantised(block.mlp.down_proj).numpy() for block in few.map.blocks]  # type: ignore[union-attr,operator]
    expected = np.linalg.norm(np.stack(weights), axis=1)
    np.testing.assert_allclose(few.map.outgoing_norm("mlp"), expected, rtol=1e-5)
    np.testing.assert_allclose(few.map.outgoing(1, 5).numpy(), weights[1][:, 5], rtol=1e-6)
    assert few.map.shapes == loaded(tmp_path, None).map.shapes


@pytest.mark.parametrize(("bits", "tolerance"), [("8bit", 3e-2), ("4bit", 1e-4)])
def test_a_cut_computes_as_in_the_model_of_those_numbers(tmp_path: Path, bits: str, tolerance: float) -> None:
    few, whole = loaded(tmp_path, bits), loaded(tmp_path, None)
    same = in_numbers(few, whole)
    random = np.random.default_rng(0)
    mask = Mask({site: random.random(shape) > 0.3 for site, shape in whole.map.shapes.items()})
    ids = torch.arange(3, 15)[None]
    bake(same.model, mask, same.map)
    with torch.no_grad(), applied(few.model, mask, few.map):
        found = few.model(ids).logits
    with torch.no_grad():
        expected = same.model(ids).logits
        uncut = whole.model(ids).logits
    # 8 bits round the inputs too.
    assert (found - expected).norm() < tolerance * expected.norm()
    assert (found - uncut).norm() > 0.1 * uncut.norm()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("ranker", ["activation_ratio", "taylor"])
def test_the_ranking_is_nearly_that_of_the_model_of_those_numbers(tmp_path: Path, bits: str, ranker: str) -> None:
    few, whole = loaded(tmp_path, bits), loaded(tmp_path, None)

    def scores(model: LoadedModel) -> np.ndarray:
        given = RankingInput(
            collect(model, ITEMS), outgoing_norm=model.map.outgoing_norm("mlp"), model=model, items=ITEMS
        )
        return rank(given, ranker, {}).sort_values(["layer", "index"])["score"].to_numpy()

    assert spearmanr(scores(few), scores(in_numbers(few, whole))).statistic > 0.98


@pytest.mark.parametrize("family", ["llama", "mixtral"])  # experts stay whole
def test_it_takes_less_memory_and_says_how_much(tmp_path: Path, family: str) -> None:
    told = {bits: loaded(tmp_path, bits, family).info.bytes_in_memory for bits in (None, *BITS)}
    held = {bits: loaded(tmp_path, bits, family).model.get_memory_footprint() for bits in (None, *BITS)}
    assert held[None] > held["8bit"] > held["4bit"]
    assert told == {bits: pytest.approx(size, rel=0.05) for bits, size in held.items()}


def test_a_model_of_which_nothing_is_packed_is_refused(tmp_path: Path) -> None:
    save_tiny("falcon", tmp_path)
    with pytest.raises(InputError, match=r"quantize is '8bit', but .* no linear map of .* \(FalconForCausalLM\)"):
        loaded(tmp_path, "8bit")


def test_an_edit_is_not_written_into_it(tmp_path: Path) -> None:
    few = loaded(tmp_path, "4bit")
    with pytest.raises(InputError, match="kept in 8 or 4 bits"):
        bake(few.model, Mask({"mlp": np.zeros(few.map.shapes["mlp"], bool)}), few.map)


def test_without_the_extra_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "unlearning_core.models.quantised.find_spec", lambda name: None if name == "bitsandbytes" else found(name)
    )
    with pytest.raises(InputError, match=r"quantize is '8bit'.*Run: pip install bitsandbytes"):
        loaded(tmp_path, "8bit")
