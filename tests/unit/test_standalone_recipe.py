"""A recipe's own script makes the very model that the workbench makes, without the workbench."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import FAMILIES, save_tiny
from unlearning_core.edits.apply_recipe import main as apply_recipe
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.row_weights import make_token_rows
from unlearning_core.edits.standalone import write_standalone
from unlearning_core.edits.weights import bake
from unlearning_core.models.loading import LoadedModel, load_model


def recipe_of(loaded: LoadedModel, folder: Path, sites: list[str], share: float = 0.3, strength: float = 1) -> Recipe:
    draw = np.random.default_rng(0)
    mask = Mask({site: draw.random(loaded.map.shapes[site]) >= share for site in sites})
    rows = make_token_rows(loaded.model, [7, 9, 40], [100, 101], strength)
    recipe = Recipe(mask, "base", {}, share, rows=rows)
    recipe.save(folder)
    write_standalone(folder, loaded.model, mask, loaded.map)
    return recipe


def weights_of(folder: Path) -> dict[str, Any]:
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).state_dict()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_script_makes_the_model_that_baking_makes(family: str, tmp_path: Path) -> None:
    base = save_tiny(family, tmp_path / "base")
    loaded = load_model(str(base), device="cpu")
    recipe = recipe_of(loaded, tmp_path / "recipe", list(loaded.map.shapes), strength=0.75)
    apply_recipe(str(base), str(tmp_path / "out"), tmp_path / "recipe")
    before = weights_of(base)
    bake(loaded.model, recipe.mask, loaded.map, recipe.rows)
    loaded.model.save_pretrained(tmp_path / "expected")
    found, expected = weights_of(tmp_path / "out"), weights_of(tmp_path / "expected")
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []
    assert [name for name in found if not torch.equal(found[name], before[name])] != []


def run_script(folder: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    # -I: neither this checkout nor PYTHONPATH is on the path of modules.
    command = [sys.executable, "-I", str(folder / "apply_recipe.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_folder_alone_is_enough(tmp_path: Path) -> None:
    base = save_tiny("llama", tmp_path / "base")
    loaded = load_model(str(base), device="cpu")
    recipe = recipe_of(loaded, tmp_path / "recipe", ["mlp"])
    alone = shutil.copytree(tmp_path / "recipe", tmp_path / "elsewhere")
    done = run_script(alone, base, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    bake(loaded.model, recipe.mask, loaded.map, recipe.rows)
    found = load_model(str(tmp_path / "out"), device="cpu")
    for name, weight in loaded.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weight), name
    assert found.tokenizer("a b c").input_ids == loaded.tokenizer("a b c").input_ids
    assert sum(file.stat().st_size for file in alone.iterdir()) < 20_000
    assert len((alone / "apply_recipe.py").read_text(encoding="utf-8").splitlines()) < 50


@pytest.mark.slow
def test_another_model_is_refused_and_nothing_written(tmp_path: Path) -> None:
    loaded = load_model(str(save_tiny("llama", tmp_path / "base")), device="cpu")
    recipe_of(loaded, tmp_path / "recipe", ["mlp"])
    wider = save_tiny("llama", tmp_path / "wider", intermediate_size=40)
    other = save_tiny("llama", tmp_path / "other", seed=1)
    for folder, said in (
        (wider, "it is of another model"),
        (other, "holds other weights than the recipe was made for"),
    ):
        done = run_script(tmp_path / "recipe", folder, tmp_path / "out")
        assert done.returncode == 1
        assert said in done.stderr
        assert not (tmp_path / "out").exists()
    done = run_script(tmp_path / "recipe", tmp_path / "base", tmp_path / "recipe")
    assert (done.returncode, "is there already" in done.stderr) == (1, True)
