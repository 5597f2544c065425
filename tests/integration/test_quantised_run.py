"""A run that ranks on a base in 4 bits: its edit is exact in the numbers of the files, and so is what is measured."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.tiny_experiment import write_experiment
from tests.tiny_models import save_tiny
from unlearning_core.config.reading import load_config
from unlearning_core.edits.weights import bake, survivors
from unlearning_core.models.mapping import map_model
from unlearning_core.models.quantised import is_quantised
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_the_pruned_file_is_the_whole_model_with_the_recipe_written_into_it(tmp_path: Path, bits: str) -> None:
    probing = {"token_rows": {"strength": 0.5, "broad_text": False}, "ranker": "taylor"}
    config = write_experiment(tmp_path, neural_probing=probing, base_model={"quantize": bits})
    base = save_tiny("llama", tmp_path / "model", hidden_size=64, intermediate_size=128)
    run = create_run(load_config(config), tmp_path / "runs")
    execute(run, until="prune")
    recipe = run.recipe()
    assert recipe.mask.cut > 0
    whole = AutoModelForCausalLM.from_pretrained(base)
    bake(whole, recipe.mask, map_model(whole), recipe.rows)
    saved = load_file(run.model("pruned") / "model.safetensors")
    expected = whole.state_dict()
    assert [name for name in saved if not torch.equal(saved[name], expected[name])] == []
    assert survivors(run.model("pruned"), recipe.mask) == []
    context = RunContext(run)
    assert [is_quantised(one.model) for one in (context.ranked_base(), context.model("base"))] == [True, False]
    assert not is_quantised(context.model("pruned").model)
