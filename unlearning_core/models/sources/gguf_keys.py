"""The keys of a GGUF file in the configuration made of it: of these transformers drops many without a word.

Every key of the family is written into the configuration, or changes nothing there, or is refused by its name. What
the keys mean: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and `src/llama-model.cpp` of llama.cpp.
"""

import math
from collections.abc import Callable
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.models.sources.gguf import GgufHeader
from unlearning_core.models.sources.gguf_rope import FACTORS, SCALING, is_scaled, rope_table, with_rope

_WHOLE: dict[str, tuple[str, ...]] = {
    "block_count": ("num_hidden_layers",),
    "context_length": ("max_position_embeddings",),
    "embedding_length": ("hidden_size",),
    "feed_forward_length": ("n_inner", "intermediate_size"),
    "attention.head_count": ("num_attention_heads",),
    "attention.head_count_kv": ("num_kv_heads", "num_key_value_heads"),
    "vocab_size": ("vocab_size",),
    "expert_count": ("num_experts", "num_local_experts"),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_feed_forward_length": ("moe_intermediate_size", "intermediate_size"),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "shortconv.l_cache": ("conv_L_cache",),
    "ssm.conv_kernel": ("conv_kernel",),
    "ssm.state_size": ("state_size",),
    "ssm.time_step_rank": ("time_step_rank",),
    "ssm.inner_size": ("intermediate_size",),
}
"""Whole numbers, and what the configuration calls each: the first of the names that it has."""

_REAL: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon"),
        ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps", "rms_norm_eps"),
    ),
    "expert_weights_norm": ("norm_topk_prob",),
}

_AT_LEAST_ONE = ("block_count", "context_length", "embedding_length", "attention.head_count", "vocab_size")
_ALWAYS = ("block_count", "context_length", "embedding_length", "attention.head_count")
"""What llama.cpp asks for as well, beside the epsilon of the norms."""
_OTHER_WHOLE = ("rope.dimension_count", "attention.key_length", "attention.value_length", "attention.sliding_window")
_OTHER_REAL = ("rope.freq_base", "rope.freq_base_swa", "rope.scaling.factor", "rope.scale_linear", "attention.scale")

_HARMLESS = {
    "tensor_data_layout": "the order of rows, which is the same in all files of a family",
    "pooling_type": "how one embedding is made of a text, which is not asked for",
    "rope.scaling.finetuned": "a fact about the training",
    "rope.scaling.original_context_length": "used with yarn and longrope alone, which are refused",
    "rope.scaling.yarn_log_multiplier": "of yarn alone, which is refused",
    "rope.scaling.yarn_ext_factor": "of yarn alone, which is refused",
    "rope.scaling.yarn_attn_factor": "of yarn alone, which is refused",
    "rope.scaling.yarn_beta_fast": "of yarn alone, which is refused",
    "rope.scaling.yarn_beta_slow": "of yarn alone, which is refused",
    **dict.fromkeys(SCALING, "read and refused by gguf_rope"),
}
"""Keys that change no number of the model, with the reason."""

_NOTHING: dict[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0,),
    "attention.max_alibi_bias": (0,),
    "attn_logit_softcapping": (0,),
    "final_logit_softcapping": (0,),
    "router_logit_softcapping": (0,),
    "decoder_sparse_step": (0, 1),
    "interleave_moe_layer_step": (0, 1),
    "moe_every_n_layers": (0, 1),
    "embedding_scale": (0, 1),
    "expert_count": (0,),
    "expert_feed_forward_length": (0,),
    "expert_group_count": (0, 1),
    "expert_group_used_count": (0, 1),
    "expert_shared_count": (0,),
    "expert_shared_feed_forward_length": (0,),
    "expert_used_count": (0,),
    "expert_weights_scale": (0, 1),
    "leading_dense_block_count": (0,),
    "logit_scale": (0, 1),
    "n_deepstack_layers": (0,),
    "nextn_predict_layers": (0,),
    "residual_scale": (0, 1),
    "rope.scaling.alpha": (0,),
    "rope.scaling.attn_factor": (0, 1),
    "swin_norm": (False,),
}
"""Values with which a key says that there is no such thing; of a key that the model has a setting for, see `_RULES`."""

_PARTIAL = ("stablelm", "nemotron", "phi3", "minimax_m2")
"""Families of transformers that can rotate a part of each head."""

_MIXTURES = (
    "qwen2moe",
    "qwen2_moe",
    "qwen3moe",
    "qwen3_moe",
    "gpt-oss",
    "gpt_oss",
    "minimax-m2",
    "minimax_m2",
    "gemma4",
)
_WITHOUT_WINDOW = ("llama", "stablelm", "nemotron", "falcon", "bloom", "gpt2")
"""Families, as GGUF calls them: those with experts, and those that always read all of a text."""

_LARGEST_GEMMA = {"gemma2": 46, "gemma3_text": 62}
"""Blocks of the 27B models, whose attention is scaled by the width of a head, hidden_size / heads, and not by 256:
`f_attention_scale` in llama.cpp's `src/llama-model.cpp` (LLM_TYPE_27B), in no key of the file."""


def check_types(header: GgufHeader) -> None:
    """Refuse a file without a key that all have, a key not known here, or a value not of the type that it always has.

    Raises:
        InputError: names the key and the value.
    """
    epsilon = next((key for key in header.family_keys if key.endswith("epsilon")), "attention.layer_norm_rms_epsilon")
    for key in (*_ALWAYS, epsilon):
        if header.of_family(key) is None:
            raise InputError(
                f"{header.file} lacks the field {header.architecture}.{key}, which every model of its kind has; a "
                "guess would be another model. Download it again, or choose another file of the model."
            )
    least = () if header.architecture == "mamba" else _AT_LEAST_ONE  # Mamba says 0 heads
    known = {*_WHOLE, *_REAL, *_OTHER_WHOLE, *_OTHER_REAL, *_HARMLESS, *_NOTHING, *_RULES}
    for key in header.family_keys:
        if key not in known or (key == "attention.causal" and header.of_family(key) is not True):
            raise InputError(_no_place(header.file, header, key, "a model made of the file"))
        if key in _WHOLE or key in _OTHER_WHOLE:
            header.by_layer(key, int(key in least))
        elif key in _OTHER_REAL or key.endswith("epsilon"):
            header.real(key)
    # What a family has no setting for is known before its configuration is made.
    if header.architecture not in _MIXTURES and header.whole("expert_count"):
        raise InputError(_no_place(header.file, header, "expert_count", "a model of that family in transformers"))
    window, context = header.by_layer("attention.sliding_window"), header.whole("context_length") or 0
    if header.architecture in _WITHOUT_WINDOW and isinstance(window, int) and 0 < window < context:
        key = "attention.sliding_window"
        raise InputError(_no_place(header.file, header, key, "a model of that family in transformers"))


def settle(path: str, header: GgufHeader, config: Any) -> None:
    """Write every key of the file's family into `config`, which transformers made of some of them.

    Args:
        path: what the sentence calls the file.

    Raises:
        InputError: the configuration has no place for a key that changes the model.
    """
    # The width of a head is needed for the part of it that rotates.
    for key in sorted(header.family_keys, key=lambda key: key != "attention.key_length"):
        value = _single(config, header.of_family(key))
        if key in _HARMLESS or _is_same(config, key, value) or _RULES.get(key, _no_rule)(config, value):
            continue
        if not isinstance(value, list) and value in _NOTHING.get(key, ()):
            continue
        raise InputError(_no_place(path, header, key, f"a {config.model_type} model of transformers"))
    if "attention.scale" not in header.family_keys and _is_largest(config.model_type, config.num_hidden_layers):
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads


def _no_place(path: str, header: GgufHeader, key: str, model: str) -> str:
    return (
        f"{path}: its field {header.architecture}.{key} is {repr(header.of_family(key))[:80]}, and {model} has no "
        "setting for that; without it this would be another model. Choose the model's safetensors folder."
    )


def changes_more(header: GgufHeader) -> bool:
    """Whether the model made of the file differs from the one that was made before its keys were all kept.

    It was loaded then, with a default in place of the key; what was refused then needs no other identity now.
    """
    family, found = header.architecture, header.of_family
    base, cap, last = found("rope.freq_base"), found("attn_logit_softcapping"), found("final_logit_softcapping")
    return bool(
        FACTORS in header.tensors
        or is_scaled(header)
        or (family in ("starcoder2", "stablelm") and base not in (None, 10_000.0))
        or (family in ("stablelm", "phi3", "nemotron") and found("rope.dimension_count") is not None)
        or (family in ("nemotron", "falcon") and found("attention.layer_norm_epsilon") is not None)
        or (family in ("phi3", "starcoder2") and found("attention.sliding_window"))
        or (family == "gemma2" and (cap not in (None, 50.0) or last not in (None, 30.0)))
        or (family == "gemma3" and (cap or last or found("rope.freq_base_swa") not in (None, 10_000.0)))
        or found("attention.scale") is not None
        or _is_largest({"gemma3": "gemma3_text"}.get(family, family), found("block_count"))
    )


def _is_largest(model_type: str, blocks: Any) -> bool:
    return model_type in _LARGEST_GEMMA and blocks == _LARGEST_GEMMA[model_type]


def _single(config: Any, value: Any) -> Any:
    """Of a number for each layer the one that all have; LFM2's layers without attention have 0 heads for its keys."""
    if not isinstance(value, list):
        return value
    numbers = set(value) - ({0} if config.model_type == "lfm2" else set())
    return numbers.pop() if len(numbers) == 1 else value


def _is_same(config: Any, key: str, value: Any) -> bool:
    """Whether the configuration has a setting of that name; it says the value then."""
    names = _WHOLE.get(key) or _REAL.get(key) or ()
    name = next((name for name in names if hasattr(config, name)), None)
    if name is None or isinstance(value, list) or (key in _NOTHING and value in _NOTHING[key]):
        return False
    if config.model_type == "falcon" and key == "attention.head_count_kv":
        return False
    if not _close(getattr(config, name), value):
        setattr(config, name, value)
    return True


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6)
    return bool(one == other)


def _no_rule(config: Any, value: Any) -> bool:
    return False


def _head(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _key_length(config: Any, value: int) -> bool:
    if _head(config) != value and isinstance(getattr(config, "head_dim", None), int) and config.model_type != "falcon":
        config.head_dim = value
    return _head(config) == value


def _value_length(config: Any, value: int) -> bool:
    return _head(config) == value


def _rotated(config: Any, value: int) -> bool:
    table = rope_table(config)
    if table is None or not 0 < value <= _head(config):
        return False
    if config.model_type not in _PARTIAL:
        return value == _head(config)
    if int(_head(config) * float(table.get("partial_rotary_factor", 1.0))) != value:
        with_rope(config, partial_rotary_factor=value / _head(config))
    return True


def _base(config: Any, value: float) -> bool:
    table = rope_table(config)
    if table is not None and not _close(table.get("rope_theta"), value):
        with_rope(config, rope_theta=float(value))
    return table is not None


def _base_of_windows(config: Any, value: float) -> bool:
    table = rope_table(config, "sliding_attention")
    if table is not None and not _close(table.get("rope_theta"), value):
        with_rope(config, "sliding_attention", rope_theta=float(value))
    return table is not None


def _window(config: Any, value: int) -> bool:
    """A window that no text fills changes nothing; which layers have one is decided when a configuration is made."""
    kinds = getattr(config, "layer_types", None)
    if value and hasattr(config, "sliding_window") and (kinds is None or "sliding_attention" in kinds):
        if config.sliding_window != value:
            config.sliding_window = value
        return True
    return not value or value >= config.max_position_embeddings


def _cap(name: str) -> Callable[[Any, float], bool]:
    def rule(config: Any, value: float) -> bool:
        if hasattr(config, name) and not _close(getattr(config, name), value or None):
            setattr(config, name, float(value) if value else None)
        return hasattr(config, name)

    return rule


def _scale(config: Any, value: float) -> bool:
    if hasattr(config, "query_pre_attn_scalar") and value > 0:
        wanted = value**-2
        if not math.isclose(config.query_pre_attn_scalar, wanted, rel_tol=1e-4):
            config.query_pre_attn_scalar = round(wanted)
        return math.isclose(config.query_pre_attn_scalar, wanted, rel_tol=1e-4)
    return value == 0 or math.isclose(value, _head(config) ** -0.5, rel_tol=1e-4)


def _keys_and_values(config: Any, value: int) -> bool:
    """Of Falcon only the kind with one of each can be read, which the shape of its matrix shows as it is loaded."""
    return bool(value == config.num_attention_heads or config.model_type == "falcon")


def _parallel(config: Any, value: bool) -> bool:
    """In StableLM the norms that are in the file decide, in llama.cpp and in transformers; its converter often errs."""
    return config.model_type == "stablelm" or value == getattr(config, "parallel_attn", False)


def _gating(config: Any, value: int) -> bool:
    return {1: "softmax", 2: "sigmoid"}.get(value) == getattr(config, "scoring_func", "softmax")


def _alibi(config: Any, value: float) -> bool:
    return bool(config.model_type == "bloom" and value == 8)


def _pattern(config: Any, value: Any) -> bool:
    kinds = getattr(config, "layer_types", None) or []
    if isinstance(value, int) and type(value) is not bool:
        value = [bool((number + 1) % value) if value else False for number in range(len(kinds))]
    windows = [kind == "sliding_attention" for kind in kinds]
    return windows == (value if isinstance(value, list) else [value] * len(kinds))


def _no_limit(config: Any, value: int) -> bool:
    """Bloom's positions have no end, and the sizes of a head's or a block's matrices are checked as they are loaded."""
    return config.model_type == "bloom"


_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "attention.key_length": _key_length,
    "attention.value_length": _value_length,
    "attention.sliding_window": _window,
    "attention.sliding_window_pattern": _pattern,
    "attention.scale": _scale,
    "attention.head_count_kv": _keys_and_values,
    "attention.max_alibi_bias": _alibi,
    "attn_logit_softcapping": _cap("attn_logit_softcapping"),
    "final_logit_softcapping": _cap("final_logit_softcapping"),
    "context_length": _no_limit,
    "feed_forward_length": _no_limit,
    "rope.dimension_count": _rotated,
    "rope.freq_base": _base,
    "rope.freq_base_swa": _base_of_windows,
    "use_parallel_residual": _parallel,
    "expert_gating_func": _gating,
}
"""How a key is written into a configuration or found in it: whether it holds there now."""
