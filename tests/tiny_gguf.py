"""The tiny llama as a GGUF file, and copies of a file with something changed in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.tiny_models import tiny_model, tiny_tokenizer

_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.qkv_proj": "attn_qkv",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}
"""transformers' name -> llama.cpp's (https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py)."""


def write_gguf(path: Path, *, quantised: bool = False, family: str = "llama", **settings: Any) -> Path:
    """The tiny llama (multi-head attention, tied), or Phi-3, as llama.cpp's converter would write it.

    Args:
        settings: of the model's configuration; those that are no size have no key here (see `rewrite`).
    """
    model, tokenizer = tiny_model(family, num_key_value_heads=4, **settings), tiny_tokenizer()
    config = model.config
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if family == "llama":
        writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_licence("mit") if hasattr(writer, "add_licence") else writer.add_license("mit")
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    tokens += [f"<unused{number}>" for number in range(config.vocab_size - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if number == 0 else 1 for number in range(len(tokens))])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, weight in model.state_dict().items():
        array = weight.numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            # llama.cpp interleaves the halves of each head that rotate together.
            heads, rows, columns = config.num_attention_heads, *array.shape
            array = array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
        for theirs, ours in _NAMES.items():
            name = name.replace(theirs, ours)
        array = np.ascontiguousarray(array)
        if quantised and array.ndim == 2 and array.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rewrite(
    source: Path,
    target: Path,
    keep: Callable[[str], bool] = lambda name: True,
    *,
    keys: bool = True,
    add: dict[str, np.ndarray] | None = None,
    alignment: int | None = None,
    **fields: Any,
) -> Path:
    """`source` again with the tensors that `keep` names and those of `add`, and other values of some keys.

    Args:
        keys: whether the keys of `source` go along; in a part after the first they do not.
        alignment: bytes that each tensor begins at a multiple of; None leaves it to the writer.
        fields: key (`__` for a dot) -> an integer, a float or a text; None leaves the key out.
    """
    reader = gguf.GGUFReader(source)
    changed = {name.replace("__", "."): value for name, value in fields.items()}
    architecture = changed.pop("general.architecture", reader.fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(target, architecture)
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    for field in reader.fields.values() if keys else ():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture" and field.name not in changed:
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    kinds = {int: gguf.GGUFValueType.UINT32, float: gguf.GGUFValueType.FLOAT32, str: gguf.GGUFValueType.STRING}
    for name, value in changed.items():
        if value is not None:
            writer.add_key_value(name, value, kinds[type(value)])
    for tensor in reader.tensors:
        if keep(tensor.name):
            writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    for name, array in (add or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def split(source: Path, folder: Path, count: int, stem: str = "tiny") -> list[Path]:
    """`source` in `count` parts as llama.cpp's gguf-split writes them: the keys are in the first alone."""
    names = [tensor.name for tensor in gguf.GGUFReader(source).tensors]
    parts = []
    for number in range(count):
        mine = set(names[number::count])
        facts = {"split__no": number, "split__count": count, "split__tensors__count": len(names)}
        path = folder / f"{stem}-{number + 1:05d}-of-{count:05d}.gguf"
        parts.append(rewrite(source, path, mine.__contains__, keys=number == 0, **facts))
    return parts
