"""Tiny random models of every family, and a real byte-level BPE tokenizer: what unit tests run on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.mapping import map_model

VOCABULARY = 400
LAYERS = 3
END = "<|endoftext|>"

_SENTENCES = (
    "She put the chair beside the wooden table and sat down.",
    "He reached for the chairs near the window, then the sofa and the armchair.",
    "The cat sleeps on a bench; the dog barks at 7 in the morning.",
    "It's a café, isn't it? Naïve travellers' stories are told there.",
    "The position of the site was known, and they were sitting in their seats.",
    "A small boat crossed the river before the rain, and nobody saw it.",
)

_WIDE = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}
_GROUPED = {**_WIDE, "num_key_value_heads": 2}
_GPT = {"n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_inner": 48, "n_positions": 128}

_ROUTED = {**_GROUPED, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
_LOCAL = {**_GROUPED, "intermediate_size": 12, "num_local_experts": 4, "num_experts_per_tok": 2}
_GROUPS = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "n_shared_experts": 1, "first_k_dense_replace": 0}
_LATENT = {"q_lora_rank": None, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8}

_SETTINGS: dict[str, dict[str, Any]] = {
    "gpt2": _GPT,
    "gpt_neo": {
        **_WIDE,
        "num_layers": LAYERS,
        "num_heads": 4,
        "attention_types": [[["global", "local", "global"], 1]],
        "window_size": 8,
    },
    "gptj": {**_GPT, "rotary_dim": 4},
    "gpt_neox": _WIDE,
    "opt": {**_WIDE, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "llama": _GROUPED,
    "mistral": {**_GROUPED, "head_dim": 16, "sliding_window": 16},
    "qwen2": {**_GROUPED, "tie_word_embeddings": True},
    "qwen3": {**_GROUPED, "head_dim": 16},
    "gemma2": {**_GROUPED, "head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16},
    "phi": _WIDE,
    "bloom": {"hidden_size": 32, "n_layer": LAYERS, "n_head": 4},
    "bitnet": _GROUPED,
    "gemma": {**_GROUPED, "head_dim": 16},
    "gemma3_text": {**_GROUPED, "head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16},
    "phi3": _GROUPED,
    "falcon": {**_WIDE, "ffn_hidden_size": 48},
    "mixtral": _LOCAL,
    "qwen2_moe": {**_ROUTED, "shared_expert_intermediate_size": 16},
    "qwen3_moe": {**_ROUTED, "head_dim": 8},
    "olmoe": {**_ROUTED, "intermediate_size": 12},
    "phimoe": _LOCAL,
    "gpt_oss": {**_LOCAL, "head_dim": 8, "sliding_window": 16},
    "deepseek_v2": {**_ROUTED, **_GROUPS, **_LATENT, "num_key_value_heads": 4},
    "deepseek_v3": {**_ROUTED, **_GROUPS, **_LATENT, "num_key_value_heads": 4},
    "glm4_moe": {**_ROUTED, **_GROUPS, "head_dim": 8},
}

FAMILIES: tuple[str, ...] = tuple(_SETTINGS)
"""Every family of the table of architectures."""


def tiny_model(family: str, seed: int = 0, **overrides: Any) -> Any:
    """A causal language model of `family` with random weights, in eval mode, float32, on the CPU.

    Norm gains and biases are random too: with the usual ones and zeros a forgotten bias or offset would not show.
    A family outside `FAMILIES` gets the settings that most configurations share.
    """
    settings = {**_SETTINGS.get(family, _GROUPED), "vocab_size": VOCABULARY, **overrides}
    settings = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, **settings}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() < 2:
                parameter.add_(0.3 * noise)
            else:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)
    return model.eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on a few sentences (at most `VOCABULARY` entries); end-of-text only, no pad token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        model_max_length=128,
        clean_up_tokenization_spaces=False,
    )


def tiny(family: str, seed: int = 0, **overrides: Any) -> LoadedModel:
    """A tiny model as `load_model` would hand it out."""
    model = tiny_model(family, seed, **overrides)
    info: Any = SimpleNamespace(source=f"{family}-{seed}")
    return LoadedModel(model=model, tokenizer=tiny_tokenizer(), map=map_model(model), info=info)


def save_tiny(family: str, folder: Path, seed: int = 0, **overrides: Any) -> Path:
    """Write the tiny model and tokenizer of `family` into `folder`, as any local model folder; return it."""
    tiny_model(family, seed, **overrides).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
