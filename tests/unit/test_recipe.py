"""A recipe comes back as it was saved, or says in a sentence why it cannot."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.errors import InputError

SHAPES = {"mlp": (30, 1536), "head": (30, 9)}


@pytest.fixture
def recipe():
    rng = np.random.default_rng(3)
    chosen = [("mlp", int(rng.integers(30)), int(rng.integers(1536))) for _ in range(460)] + [("head", 4, 8)]
    return Recipe(
        mask=Mask.from_neurons(SHAPES, set(chosen)),
        model="hub/some-model",
        revision="0123abc",
        ranking={"ranker": "activation_ratio", "alignment": "before", "words": ["stuhl", "café"], "seed": 7},
        ratio=0.01,
    )


@pytest.fixture
def saved(recipe, tmp_path):
    recipe.save(tmp_path)
    return tmp_path


def change(folder, **values):
    path = folder / "recipe.json"
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def test_a_recipe_comes_back_whole_and_is_a_few_kilobytes(recipe, saved):
    assert Recipe.load(saved, SHAPES) == recipe
    assert sorted(file.name for file in saved.iterdir()) == ["mask.safetensors", "recipe.json"]
    assert sum(file.stat().st_size for file in saved.iterdir()) < 4000


def test_an_empty_mask_comes_back(tmp_path):
    Recipe(Mask.full(SHAPES), "m", {}, 0.0).save(tmp_path)
    assert Recipe.load(tmp_path).mask == Mask.full(SHAPES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format_version": 3}, "format_version is 3, this workbench reads 1 to 2"),
        ({"format_version": ...}, "format_version is None"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"ratio": ...}, "lacks the key 'ratio'"),
        ({"ratio": "1 %"}, "ratio is '1 %', expected int or float"),
        ({"ratio": 1.5}, "ratio is 1.5, expected 0 to 1"),
        ({"cut": True}, "cut is True, expected int"),
        ({"revision": 3}, "revision is 3, expected str or null"),
        ({"shapes": {"mlp": [30, 1536]}}, "holds the sites"),
        ({"shapes": {"mlp": [30, 0], "head": [30, 9]}}, r"shapes.mlp is \[30, 0\]"),
        ({"shapes": {"mlp": [30, 100], "head": [30, 9]}}, "int32 numbers below 3000"),
        ({"shapes": {"mlp": [1536, 30], "head": [30, 9]}}, "not the mask that recipe.json was written with"),
    ],
)
def test_a_changed_recipe_names_the_field(saved, values, message):
    change(saved, **values)
    with pytest.raises(InputError, match=message):
        Recipe.load(saved)


@pytest.mark.parametrize("name", ["recipe.json", "mask.safetensors"])
def test_a_missing_or_broken_file_is_named(saved, name):
    (saved / name).write_bytes(b"\xff{")
    with pytest.raises(InputError, match=rf"{name} is not (UTF-8 text|a readable)"):
        Recipe.load(saved)
    (saved / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        Recipe.load(saved)


def test_json_that_is_no_object_is_refused(saved):
    (saved / "recipe.json").write_text("[1]")
    with pytest.raises(InputError, match="holds a list, expected an object"):
        Recipe.load(saved)


def test_a_mask_file_of_another_recipe_is_refused(saved):
    tensors = {"mlp": np.array([1, 2], dtype=np.int32), "head": np.array([], dtype=np.int32)}
    save_file(tensors, saved / "mask.safetensors")
    with pytest.raises(InputError, match="not the mask that"):
        Recipe.load(saved)


def test_a_mask_tensor_of_another_kind_is_refused(saved):
    save_file({"mlp": np.ones(3, dtype=np.float32), "head": np.array([], dtype=np.int32)}, saved / "mask.safetensors")
    with pytest.raises(InputError, match="the tensor 'mlp' is not int32"):
        Recipe.load(saved)


@pytest.mark.parametrize("shapes", [{"mlp": (30, 1536), "head": (30, 8)}, {"mlp": (30, 1536)}])
def test_a_recipe_for_another_model_says_for_which(saved, shapes):
    with pytest.raises(InputError, match="made for 'hub/some-model' with 30 layers of 9 neurons at site 'head'"):
        Recipe.load(saved, shapes)
