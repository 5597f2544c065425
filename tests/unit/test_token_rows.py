"""Token rows: preview and weights are one edit, in every kind of embedding and head; training and files keep them."""

import copy
import json
import threading

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import tiny, tiny_model
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.row_weights import held_rows, make_token_rows, row_edits, rows_undone
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.edits.weights import bake, survivors
from unlearning_core.errors import InputError
from unlearning_core.evaluation.finetuning import Learner
from unlearning_core.models.mapping import map_model
from unlearning_core.training.data import CutNeurons

TIED = {"tie_word_embeddings": True}
UNTIED = {"tie_word_embeddings": False}
VARIANTS = [
    ("gpt2", {}), ("gpt_neo", {}), ("llama", UNTIED), ("llama", TIED), ("gemma", {}), ("gemma2", {}),
    ("gemma3_text", {}), ("opt", {}), ("opt", {"word_embed_proj_dim": 16}), ("gpt_neox", {}), ("gptj", {}),
    ("phi", {}), ("bloom", {}), ("mixtral", {}), ("qwen2", {}), ("cohere", {}),
]  # fmt: skip
NAMES = [f"{family}{'-' if more else ''}{'-'.join(map(str, more.values()))}" for family, more in VARIANTS]
IDS = torch.tensor([[5, 9, 2, 77, 31, 8, 250], [11, 3, 3, 98, 301, 40, 1]])
ATTENTION = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])
CHOSEN, UNSEEN = [3, 77, 250, 301], [6, 7, 200]


def logits(model):
    with torch.no_grad():
        return model(IDS, attention_mask=ATTENTION).logits[ATTENTION.bool()]


def rows_of(model, strength=1.0, ids=CHOSEN):
    return make_token_rows(model, ids, UNSEEN, strength)


def random_head_bias(model):
    """Random, as zeros could be forgotten unseen."""
    bias = getattr(model.get_output_embeddings(), "bias", None)
    if bias is not None:
        torch.manual_seed(1)
        torch.nn.init.normal_(bias)
    return bias


@pytest.mark.parametrize("strength", [1.0, 0.3])
@pytest.mark.parametrize(("family", "settings"), VARIANTS, ids=NAMES)
def test_preview_equals_weights_written_by_hand_equals_the_saved_model(family, settings, strength, tmp_path):
    model = tiny_model(family, **settings)
    bias = random_head_bias(model)
    assert (bias is not None) == (family in ("gptj", "phi"))
    before, rows = logits(model), rows_of(model, strength)
    with applied(model, None, rows=rows):
        preview = logits(model)
    assert torch.equal(logits(model), before)
    by_hand, baked = copy.deepcopy(model), copy.deepcopy(model)
    weights = {id(end.weight): end.weight for end in (by_hand.get_input_embeddings(), by_hand.get_output_embeddings())}
    assert (rows.target_out is None) == (len(weights) == 1)
    with torch.no_grad():
        for weight in weights.values():
            target = weight[UNSEEN].mean(0)
            for token in CHOSEN:
                weight[token] = (1 - strength) * weight[token] + strength * target
    expected = logits(by_hand)
    assert (expected - before).abs().max() > 1e-2
    torch.testing.assert_close(preview, expected, rtol=1e-4, atol=1e-5)
    bake(baked, None, rows=rows)
    torch.testing.assert_close(logits(baked), expected, rtol=1e-4, atol=1e-5)
    baked.save_pretrained(tmp_path)
    stock = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(stock), expected, rtol=1e-4, atol=1e-5)
    assert rows_undone(tmp_path, row_edits(model, rows)) == []
    assert rows_undone(model, row_edits(model, rows)) == CHOSEN


def test_both_edits_preview_as_they_are_baked():
    model = tiny_model("llama")
    shapes = map_model(model).shapes
    mask = Mask({site: np.random.default_rng(1).random(shape) > 0.3 for site, shape in shapes.items()})
    rows, baked = rows_of(model), copy.deepcopy(model)
    bake(baked, mask, rows=rows)
    with applied(model, mask):
        cut = logits(model)
    with applied(model, mask, rows=rows):
        both = logits(model)
    torch.testing.assert_close(both, logits(baked), rtol=1e-4, atol=1e-5)
    assert (both - cut).abs().max() > 1e-2
    assert survivors(baked, mask) == []


def test_hooks_go_with_the_block_and_after_an_error():
    model = tiny_model("gpt2")
    before = logits(model)
    with pytest.raises(IndexError), applied(model, None, rows=rows_of(model)):
        raise IndexError
    assert torch.equal(logits(model), before)
    assert not [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_two_threads_in_one_model_have_their_own_rows():
    model = tiny_model("llama", **TIED)
    edits = [rows_of(model), rows_of(model, 0.5, [9, 31]), None]
    expected, found = [], {}
    for rows in edits:
        with applied(model, None, rows=rows):
            expected.append(logits(model))
    barrier = threading.Barrier(len(edits), timeout=300)

    def work(number):
        with applied(model, None, rows=edits[number]):
            barrier.wait()
            found[number] = logits(model)
            barrier.wait()

    def meet(*_):
        barrier.wait()

    # Everybody waits after the embedding and before the head, so all passes are under way at once.
    handle = map_model(model).blocks[1].register_forward_pre_hook(meet)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(edits))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handle.remove()
    for number, values in enumerate(expected):
        torch.testing.assert_close(found[number], values)
    assert not torch.equal(expected[0], expected[1])


def test_half_strength_stands_half_way_and_none_leaves_the_row():
    model = tiny_model("llama", **UNTIED)
    for weight, end in ((model.model.embed_tokens.weight, 0), (model.lm_head.weight, 1)):
        row, target = weight[77].detach().clone(), weight.detach()[UNSEEN].mean(0)
        half, none = (row_edits(model, rows_of(model, strength, [77]))[end] for strength in (0.5, 0.0))
        torch.testing.assert_close(half.values[0], (row + target) / 2)
        assert torch.equal(none.values[0], row)


def test_without_tokens_that_mean_nothing_the_target_is_the_mean_of_all_rows():
    model = tiny_model("gpt2")
    rows = make_token_rows(model, [4], [], 1.0)
    np.testing.assert_allclose(
        rows.target_in, model.transformer.wte.weight.detach().numpy().mean(0), rtol=1e-4, atol=1e-6
    )


def test_a_preview_in_half_precision_is_the_baked_model():
    model = tiny_model("gemma").bfloat16()
    rows, baked = rows_of(model), copy.deepcopy(model)
    with applied(model, None, rows=rows):
        preview = logits(model)
    bake(baked, None, rows=rows)
    torch.testing.assert_close(preview, logits(baked), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("settings", [TIED, UNTIED], ids=["tied", "untied"])
def test_a_saved_file_with_one_row_back_is_found(settings, tmp_path):
    model = tiny_model("llama", **settings)
    original = copy.deepcopy(model.state_dict())
    rows = rows_of(model, 0.5)
    bake(model, None, rows=rows)
    model.save_pretrained(tmp_path)
    held = held_rows(model, rows)
    assert rows_undone(tmp_path, held) == []
    name = "model.embed_tokens.weight" if settings is TIED else "lm_head.weight"
    file = tmp_path / "model.safetensors"
    tensors = {key: value.clone() for key, value in load_torch(file).items()}
    tensors[name][77] = original[name][77]
    save_torch(tensors, file, metadata={"format": "pt"})
    assert rows_undone(tmp_path, held) == [77]


@pytest.mark.parametrize(("family", "settings"), [("llama", UNTIED), ("gpt2", {})], ids=["untied", "tied"])
def test_training_keeps_the_rows_of_a_recipe_where_it_is_told_to(family, settings, tmp_path):
    loaded = tiny(family, **settings)
    mask, rows = Mask.from_neurons(loaded.map.shapes, [("mlp", 0, 1)]), rows_of(loaded.model, 0.7)
    bake(loaded.model, mask, loaded.map, rows)
    Recipe(mask, "tiny", {}, 0.1, rows=rows).save(tmp_path / "recipe")
    kept = CutNeurons(loaded.model, tmp_path / "recipe", loaded.map)
    assert (kept.size, kept.tokens) == (1, CHOSEN)
    ends = (loaded.model.get_input_embeddings(), loaded.model.get_output_embeddings())
    before = [end.weight.detach()[CHOSEN].clone() for end in ends]
    optimizer = torch.optim.SGD(loaded.model.parameters(), lr=0.5)
    loaded.model.requires_grad_(True)
    for write in (False, True):
        loaded.model(IDS, labels=IDS).loss.backward()
        optimizer.step()
        if write:
            kept.write()
        same = [torch.equal(end.weight[CHOSEN], rows) for end, rows in zip(ends, before, strict=True)]
        loaded.model.save_pretrained(tmp_path / "saved")
        assert same == [write, write]
        assert kept.undone(tmp_path / "saved") == (0 if write else 1 + len(CHOSEN))


def test_an_attacker_keeps_the_rows_or_lets_them_grow():
    loaded = tiny("gpt2")
    rows = rows_of(loaded.model)
    bake(loaded.model, None, loaded.map, rows)
    learner = Learner(loaded, None, rows)
    texts = learner.tokens(["She put the chair beside the table.", "The cat sleeps on a bench."])
    for keep in (True, False):
        learner.restart()
        for _ in learner.steps(texts, [[0, 1]] * 2, 1e-3, keep_cut=keep):
            held = held_rows(loaded.model, rows)
            assert rows_undone(learner.loaded.model, held) == ([] if keep else CHOSEN)


def test_rows_of_another_model_are_refused():
    tied, untied = tiny_model("llama", **TIED), tiny_model("llama", **UNTIED)
    for model, rows in ((tied, rows_of(untied)), (untied, rows_of(tied))):
        with pytest.raises(InputError, match="head of its own"):
            bake(model, None, rows=rows)
    with pytest.raises(InputError, match="32 numbers each, this model's embedding has 16"):
        bake(tiny_model("opt", word_embed_proj_dim=16), None, rows=rows_of(tiny_model("opt")))
    with (
        pytest.raises(InputError, match="name the token 99999"),
        applied(tied, None, rows=TokenRows(np.array([99999]), 1.0, np.zeros(32, np.float32))),
    ):
        pass


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ids": np.array([3, 2])}, "ascending"),
        ({"ids": np.array([], np.int64)}, "at least one"),
        ({"ids": np.array([-1, 2])}, "from 0 on"),
        ({"ids": np.array([1.0])}, "ids is float64"),
        ({"strength": 1.5}, "not from 0 to 1"),
        ({"strength": float("nan")}, "not from 0 to 1"),
        ({"target_in": np.array([np.inf], np.float32)}, "finite"),
        ({"target_out": np.zeros((2, 2), np.float32)}, "target_out is float32"),
    ],
)
def test_what_no_edit_can_be_is_refused(values, message):
    good = {"ids": np.array([2, 3]), "strength": 0.5, "target_in": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match=message):
        TokenRows(**good | values)


@pytest.fixture(params=[TIED, UNTIED], ids=["tied", "untied"])
def saved(request, tmp_path):
    model = tiny_model("llama", **request.param)
    recipe = Recipe(Mask.full(map_model(model).shapes), "tiny", {}, 0.0, rows=rows_of(model, 0.5))
    recipe.save(tmp_path)
    return recipe, tmp_path


def test_a_recipe_with_rows_comes_back_whole(saved):
    recipe, folder = saved
    assert Recipe.load(folder) == recipe
    said = json.loads((folder / "recipe.json").read_text())
    assert (said["format_version"], said["rows"]["tokens"]) == (2, len(CHOSEN))
    Recipe(recipe.mask, "tiny", {}, 0.0).save(folder)
    assert Recipe.load(folder).rows is None
    assert not (folder / "rows.safetensors").exists()


def test_a_recipe_of_the_first_version_has_no_rows(saved):
    recipe, folder = saved
    path = folder / "recipe.json"
    content = json.loads(path.read_text()) | {"format_version": 1}
    del content["rows"]
    path.write_text(json.dumps(content))
    (folder / "rows.safetensors").unlink()
    found = Recipe.load(folder)
    assert (found.rows, found.mask) == (None, recipe.mask)


def test_damaged_rows_are_named(saved):
    _, folder = saved
    path, tensors = folder / "rows.safetensors", load_file(folder / "rows.safetensors")
    for change, message in (
        ({"ids": tensors["ids"][::-1].copy()}, "holds no token rows: ids must be"),
        ({"ids": tensors["ids"] + 1}, "does not hold the rows that recipe.json was written with"),
        ({"target_in": tensors["target_in"] + 1}, "does not hold the rows"),
        ({"more": tensors["ids"]}, "holds the tensors"),
    ):
        save_file(tensors | change, path)
        with pytest.raises(InputError, match=message):
            Recipe.load(folder)
    path.unlink()
    with pytest.raises(InputError, match=r"rows\.safetensors is missing"):
        Recipe.load(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strength": 2}, "rows.strength is 2, expected 0 to 1"),
        ({"tokens": "4"}, "rows.tokens is '4', expected int"),
        ({"colour": 1}, r"unknown key rows\.'colour'"),
    ],
)
def test_a_changed_entry_of_the_rows_names_the_field(saved, values, message):
    path = saved[1] / "recipe.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"rows": content["rows"] | values}))
    with pytest.raises(InputError, match=message):
        Recipe.load(saved[1])
