"""Preview and export are one edit: logits under `applied` equal those of baked weights, in memory and from a folder."""

import contextvars
import sys
import threading

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import FAMILIES, LAYERS, tiny_model
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake, cuts, survivors
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import SITES, map_model

UNLISTED = ("starcoder2", "stablelm", "cohere", "nemotron", "gpt_bigcode")
TIED = {"tie_word_embeddings": True}
VARIANTS = (
    *((family, {}) for family in (*FAMILIES, *UNLISTED)),
    ("gpt_neox", {"use_parallel_residual": False}),
    ("falcon", {"parallel_attn": False, "alibi": True, "bias": True}),
    ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    ("phi", {"qk_layernorm": True}),
    ("opt", {"word_embed_proj_dim": 16}),
    ("llama", {"attention_bias": True, "mlp_bias": True, **TIED}),
)
IDS = torch.tensor([[5, 9, 2, 77, 31, 8, 250], [11, 3, 3, 98, 301, 40, 1]])
ATTENTION = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])
TOKENS = ATTENTION.bool()


def logits(model):
    with torch.no_grad():
        return model(IDS, attention_mask=ATTENTION).logits[TOKENS]


def random_mask(shapes, share, seed):
    rng = np.random.default_rng(seed)
    return Mask({site: rng.random(shape) >= share for site, shape in shapes.items()})


def only(shapes, site):
    return {site: shapes[site]}


def hooks_of(model):
    return [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


@pytest.mark.parametrize("site", [*(pytest.param(site, marks=pytest.mark.slow) for site in SITES), "all"])
@pytest.mark.parametrize(("family", "settings"), VARIANTS, ids=[f"{f}{len(s) or ''}" for f, s in VARIANTS])
def test_applied_equals_baked_equals_the_saved_model_and_differs_from_base(family, settings, site, tmp_path):
    model = tiny_model(family, **settings)
    shapes = map_model(model).shapes
    base = logits(model)
    for seed, share in enumerate((0.2, 0.6, 1.0)):
        mask = random_mask(shapes if site == "all" else only(shapes, site), share, seed)
        with applied(model, mask):
            preview = logits(model)
        baked = tiny_model(family, **settings)
        bake(baked, mask)
        torch.testing.assert_close(logits(baked), preview, rtol=1e-4, atol=1e-5)
        assert (preview - base).abs().max() > 1e-3
        assert survivors(baked, mask) == []
        assert survivors(model, mask) == sorted(mask.neurons().itertuples(index=False, name=None))
    baked.save_pretrained(tmp_path)
    stock = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(stock), preview, rtol=1e-4, atol=1e-5)
    assert survivors(tmp_path, mask) == []


@pytest.mark.parametrize(("family", "width"), [("gpt2", "n_inner"), ("llama", "intermediate_size")])
def test_a_cut_mlp_neuron_computes_as_a_model_built_without_it(family, width):
    model = tiny_model(family)
    rng = np.random.default_rng(0)
    kept = np.ones((LAYERS, 48), dtype=bool)
    for row in kept:
        row[rng.choice(48, size=20, replace=False)] = False
    small = tiny_model(family, **{width: 28})
    state = model.state_dict()
    for name, value in small.state_dict().items():
        if state[name].shape != value.shape:
            layer = int(next(part for part in name.split(".") if part.isdigit()))
            axis = state[name].shape.index(48)
            state[name] = state[name].index_select(axis, torch.from_numpy(np.flatnonzero(kept[layer])))
    small.load_state_dict(state)
    with applied(model, Mask({"mlp": kept})):
        torch.testing.assert_close(logits(model), logits(small), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cut_residual_dimension_leaks_no_constant_through_the_norm(family):
    model = tiny_model(family)
    mapped = map_model(model)
    mask = random_mask(only(mapped.shapes, "residual"), 0.4, 5)
    bake(model, mask)
    for layer, kept in enumerate(mask.kept["residual"]):
        for norm in mapped.readers("residual", layer):
            output = norm(torch.randn(2, 32, generator=torch.Generator().manual_seed(layer)))
            assert not output[:, torch.from_numpy(~kept)].any()
            assert output[:, torch.from_numpy(kept.copy())].all()


@pytest.mark.parametrize("family", ["gpt2", "qwen2", "gemma2", "bloom", "opt", "falcon"])
def test_tied_embeddings_stay_tied_and_untouched(family, tmp_path):
    model = tiny_model(family)
    before = model.get_input_embeddings().weight.detach().clone()
    bake(model, random_mask(map_model(model).shapes, 0.5, 1))
    model.save_pretrained(tmp_path)
    for one in (model, AutoModelForCausalLM.from_pretrained(tmp_path)):
        assert one.get_output_embeddings().weight is one.get_input_embeddings().weight
        torch.testing.assert_close(one.get_input_embeddings().weight, before, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_half_precision_is_the_same_edit(family, dtype):
    model, baked = tiny_model(family).to(dtype), tiny_model(family).to(dtype)
    mask = random_mask(map_model(model).shapes, 0.3, 2)
    bake(baked, mask)
    with applied(model, mask):
        preview = logits(model)
    assert preview.dtype == dtype
    torch.testing.assert_close(preview, logits(baked), rtol=2e-2, atol=2e-2)


def test_autocast_is_the_same_edit():
    model, baked = tiny_model("llama"), tiny_model("llama")
    mask = random_mask(map_model(model).shapes, 0.3, 2)
    bake(baked, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with applied(model, mask):
            preview = logits(model)
        torch.testing.assert_close(preview, logits(baked), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "nemotron"])
def test_applied_restores_everything_on_exit_and_on_an_exception(family):
    model = tiny_model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    base = logits(model)
    mask = random_mask(map_model(model).shapes, 0.3, 0)
    with applied(model, mask):
        assert hooks_of(model)
        logits(model)
    with pytest.raises(IndexError), applied(model, mask):
        model(IDS + 10_000)
    assert hooks_of(model) == []
    assert torch.equal(logits(model), base)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_an_empty_mask_touches_no_module():
    model = tiny_model("gpt2")
    with applied(model, Mask.full(map_model(model).shapes)):
        assert hooks_of(model) == []


def test_nested_masks_both_hold():
    model = tiny_model("gpt2")
    shapes = map_model(model).shapes
    one, other = random_mask(shapes, 0.2, 0), random_mask(shapes, 0.2, 1)
    with applied(model, one & other):
        both = logits(model)
    with applied(model, one):
        alone = logits(model)
        with applied(model, other):
            torch.testing.assert_close(logits(model), both)
        assert torch.equal(logits(model), alone)


def test_threads_in_the_middle_of_one_forward_pass_keep_their_own_masks():
    model = tiny_model("llama")
    shapes = map_model(model).shapes
    masks = [random_mask(shapes, 0.3, seed) for seed in range(3)] + [Mask.full(shapes)]
    expected = []
    for mask in masks:
        with applied(model, mask):
            expected.append(logits(model))
    barrier, found = threading.Barrier(len(masks), timeout=300), {}

    def work(number):
        with applied(model, masks[number]):
            barrier.wait()
            found[number] = logits(model)
            barrier.wait()

    def meet(*_):
        barrier.wait()

    # Everybody stops between the blocks until all have arrived there: the passes really overlap.
    handles = [block.register_forward_pre_hook(meet) for block in map_model(model).blocks]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(masks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for handle in handles:
        handle.remove()
    assert len(found) == len(masks)
    for number, values in enumerate(expected):
        torch.testing.assert_close(found[number], values)
    assert not torch.equal(expected[0], expected[1])
    assert hooks_of(model) == []


def test_entering_and_leaving_in_many_threads_loses_no_hook():
    model = tiny_model("gpt2")
    shapes = map_model(model).shapes
    masks = [random_mask(shapes, 0.3, seed) for seed in range(4)]
    expected = []
    for mask in masks:
        with applied(model, mask):
            expected.append(logits(model))
    wrong = []

    def work(number):
        for _ in range(15):
            with applied(model, masks[number]):
                if not torch.allclose(logits(model), expected[number], atol=1e-5):
                    wrong.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(masks))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert hooks_of(model) == []


def test_a_new_thread_takes_the_mask_along_in_a_copied_context():
    model = tiny_model("gpt2")
    mask = random_mask(map_model(model).shapes, 0.3, 0)
    found = []
    with applied(model, mask):
        here = logits(model)
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: found.append(logits(model)),))
        thread.start()
        thread.join()
    torch.testing.assert_close(found[0], here)


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "gemma2", "bloom"])
def test_generation_with_a_cache_is_the_baked_model_s(family):
    model, baked = tiny_model(family), tiny_model(family)
    mask = random_mask(map_model(model).shapes, 0.3, 4)
    bake(baked, mask)
    settings = {"max_new_tokens": 12, "do_sample": False, "attention_mask": torch.ones_like(IDS), "eos_token_id": None}
    with applied(model, mask):
        cached = model.generate(IDS, use_cache=True, **settings)
        uncached = model.generate(IDS, use_cache=False, **settings)
    assert torch.equal(cached, uncached)
    assert torch.equal(cached, baked.generate(IDS, **settings))
    assert not torch.equal(cached, model.generate(IDS, **settings))


def test_a_mask_of_another_model_is_refused_before_anything_is_touched():
    model = tiny_model("gpt2")
    wrong = Mask.from_neurons({"mlp": (LAYERS, 47)}, [("mlp", 0, 0)])
    with pytest.raises(InputError, match="3 layers of 47 at site 'mlp'"), applied(model, wrong):
        pass
    with pytest.raises(InputError, match="belongs to another model"):
        bake(model, wrong)
    post_norm = tiny_model("opt", do_layer_norm_before=False)
    with pytest.raises(InputError, match="do_layer_norm_before"), applied(post_norm, Mask.full({"residual": (4, 32)})):
        pass
    assert hooks_of(model) == []


def test_a_cut_written_again_after_an_optimizer_step_stays_cut():
    model = tiny_model("gemma2")
    mapped = map_model(model)
    mask = random_mask(mapped.shapes, 0.3, 0)
    bake(model, mask, mapped)
    places = cuts(mapped, mask)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model(IDS, labels=IDS).loss.backward()
    optimizer.step()
    assert survivors(model, mask)
    for cut in places:
        cut.write()
    assert survivors(model, mask) == []
