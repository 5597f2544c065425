"""A model folder as one GGUF file, for llama.cpp and what is built on it.

Keys and tensor names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and the `gguf` package, which also
writes and quantises. What is done to a family's weights is what `convert_hf_to_gguf.py` of llama.cpp does to them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import gguf
import numpy as np

from unlearning_core.errors import InputError
from unlearning_core.files import write_file
from unlearning_core.models.gguf_vocabulary import add_vocabulary
from unlearning_core.models.sources.folder import read_config
from unlearning_core.models.sources.weight_files import weights_of
from unlearning_core.progress import Progress, ProgressCallback, silent

GgufType = Literal["f16", "q8_0"]
_FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
_BLOCK = 32
"""Numbers of a row that Q8_0 stores with one scale."""

_LARGE_GEMMA = (46, 62)
"""Layers by which llama.cpp knows Gemma 2 27B and Gemma 3 27B (`llama-model.cpp`)."""

_SILU = ("silu", "swish")
_GELU = ("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python")

_CONSTANTS = (".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq")
"""Buffers in files of old versions: constants of the family, not weights."""

Change = Callable[[str, np.ndarray, Any], np.ndarray]


@dataclass(frozen=True)
class _Family:
    """What llama.cpp calls a family, what it computes it with, what it does to its tensors, and keys of its own.

    No key of a file says which activation function a model has.
    """

    architecture: gguf.MODEL_ARCH
    activations: tuple[str, ...] = _SILU
    change: Change = lambda name, array, config: array
    keys: Callable[[gguf.GGUFWriter, Any], None] = lambda writer, config: None


def _rotated(name: str, array: np.ndarray, config: Any) -> np.ndarray:
    """Queries and keys in the order of llama.cpp: the two halves of a head that rotate together alternate."""
    if not any(part in name for part in (".q_proj.", ".k_proj.")):
        return array
    heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
    halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def _transposed(name: str, array: np.ndarray, config: Any) -> np.ndarray:
    """The weights of GPT-2's Conv1D, whose rows are inputs, as those of a linear layer."""
    return array.T if array.ndim == 2 and any(part in name for part in (".c_attn.", ".c_proj.", ".c_fc.")) else array


def _whole_gain(name: str, array: np.ndarray, config: Any) -> np.ndarray:
    """The gain itself, where the family's norms store it less 1."""
    return array + 1 if name.endswith("norm.weight") else array


def _keys_of_llama(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_rope_dimension_count(_head_dim(config))


def _keys_of_gemma(writer: gguf.GGUFWriter, config: Any) -> None:
    if config.sliding_window:
        writer.add_sliding_window(config.sliding_window)
    if (cap := getattr(config, "attn_logit_softcapping", None)) is not None:
        writer.add_attn_logit_softcapping(cap)
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:
        writer.add_final_logit_softcapping(cap)


_LLAMA = _Family(gguf.MODEL_ARCH.LLAMA, change=_rotated, keys=_keys_of_llama)
FAMILIES = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _Family(gguf.MODEL_ARCH.QWEN2),
    "qwen3": _Family(gguf.MODEL_ARCH.QWEN3),
    "gemma2": _Family(gguf.MODEL_ARCH.GEMMA2, _GELU, _whole_gain, _keys_of_gemma),
    "gemma3_text": _Family(gguf.MODEL_ARCH.GEMMA3, _GELU, _whole_gain, _keys_of_gemma),
    "gpt2": _Family(gguf.MODEL_ARCH.GPT2, _GELU, _transposed),
}
"""model_type of config.json -> how it is written. Each is read back by transformers in the tests, to equal logits."""


def write_gguf(
    folder: Path,
    target: Path,
    kind: GgufType = "f16",
    *,
    like: Path | None = None,
    licence: str | None = None,
    progress: ProgressCallback = silent,
) -> list[str]:
    """Write the model in `folder`, as `save_pretrained` leaves it, to the file `target`; returns notes for a person.

    Matrices become `kind` (q8_0 only where a row is a multiple of 32 numbers, f16 elsewhere), vectors stay float32. One
    tensor is in memory at a time. A weight that is 0 stays 0 in both.

    Args:
        like: the GGUF file that the model came from: its keys, tokenizer included, are taken as they stand, unless the
            model has another number of rows for tokens by now.
        licence: as an SPDX name, where there is no `like`.
        progress: told in bytes.

    Raises:
        InputError: the family, one of its settings or its tokenizer has no counterpart here.
        WorkFailed: the disk is full.
    """
    if kind not in get_args(GgufType):
        raise InputError(f"The type is {kind!r}, expected one of {', '.join(get_args(GgufType))}.")
    config = read_config(folder)
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise InputError(
            f"{folder} holds a model of the family {config.model_type!r}, and GGUF is written for "
            f"{', '.join(sorted(FAMILIES))}. Take the folder itself, or llama.cpp's convert_hf_to_gguf.py."
        )
    _check_settings(folder, config, family)
    notes: list[str] = []

    def write(path: Path) -> None:
        writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[family.architecture])
        source = gguf.GGUFReader(like) if like is not None else None
        if source is not None and _tokens_of(source) == config.vocab_size:
            _copy_keys(writer, source)
        else:
            _add_keys(writer, config, family, target.stem)
            notes.extend(add_vocabulary(writer, folder, config.vocab_size))
            if family.keys is not _keys_of_gemma and (window := getattr(config, "sliding_window", None)):
                notes.append(f"llama.cpp reads the whole text here, where this model looks back {window:,} tokens.")
            if licence:
                writer.add_license(licence)
        writer.add_file_type(_FILE_TYPES[kind])
        _write_tensors(writer, folder, config, family, kind, progress)

    write_file(target, write)
    return notes


def _check_settings(folder: Path, config: Any, family: _Family) -> None:
    _check_computing(folder, config, family)
    rope = getattr(config, "rope_parameters", None) or {}
    settings = rope.values() if any(isinstance(value, dict) for value in rope.values()) else [rope]
    kinds = {str(one.get("rope_type", "default")) for one in settings}
    if kinds - {"default"}:
        raise InputError(
            f"{folder}/config.json scales rotary positions ({', '.join(sorted(kinds - {'default'}))}), which is not "
            "written to GGUF here. Take the folder itself, or llama.cpp's convert_hf_to_gguf.py."
        )
    # A file says nothing of it: llama.cpp takes the width of a head, and of the two largest Gemma the mean width.
    divisor = getattr(config, "query_pre_attn_scalar", None)
    large = config.num_hidden_layers in _LARGE_GEMMA
    taken = config.hidden_size // config.num_attention_heads if large else _head_dim(config)
    if divisor is not None and divisor != taken:
        raise InputError(
            f"{folder}/config.json divides attention by the root of query_pre_attn_scalar {divisor}, and llama.cpp "
            f"would take {taken}. Take the folder itself."
        )


def _check_computing(folder: Path, config: Any, family: _Family) -> None:
    """Refuse what llama.cpp does in one way alone, whatever a model was trained with."""
    names = ("hidden_activation", "activation_function", "hidden_act")
    activation = next(name for name in names if getattr(config, name, None) is not None)
    expected: dict[str, tuple[Any, ...]] = {activation: family.activations}
    if family.architecture is gguf.MODEL_ARCH.GPT2:
        expected |= {"scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,)}
    for name, known in expected.items():
        if (value := getattr(config, name)) not in known:
            raise InputError(
                f"{folder}/config.json has {name} {value!r}, and llama.cpp computes models of the family "
                f"{config.model_type!r} with {known[0]!r}, whatever a file says. Take the folder itself."
            )


def _head_dim(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _add_keys(writer: gguf.GGUFWriter, config: Any, family: _Family, name: str) -> None:
    """The name, the sizes and the settings of the model."""
    writer.add_name(name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    if family.architecture is gguf.MODEL_ARCH.GPT2:
        writer.add_feed_forward_length(config.n_inner or 4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    # Without them llama.cpp divides the width of the model by the heads.
    writer.add_key_length(_head_dim(config))
    writer.add_value_length(_head_dim(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(float((rope.get("full_attention") or rope)["rope_theta"]))
    family.keys(writer, config)


def _tokens_of(source: gguf.GGUFReader) -> int:
    tokens = source.get_field("tokenizer.ggml.tokens")
    return len(tokens.data) if tokens is not None else 0


def _copy_keys(writer: gguf.GGUFWriter, source: gguf.GGUFReader) -> None:
    """All keys of a GGUF file, but those that say how it is stored."""
    own = {"general.architecture", "general.file_type", "general.quantization_version", "general.alignment"}
    for field in source.fields.values():
        if field.name in own or field.name.startswith(("GGUF.", "split.")):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)


def _write_tensors(
    writer: gguf.GGUFWriter, folder: Path, config: Any, family: _Family, kind: GgufType, progress: ProgressCallback
) -> None:
    """All tensors: first what each will be, as the format asks, then one after the other."""
    names = gguf.get_tensor_name_map(family.architecture, config.num_hidden_layers)
    tensors = {name: held for name, held in weights_of(folder).tensors.items() if not name.endswith(_CONSTANTS)}
    if family.architecture is gguf.MODEL_ARCH.GPT2 and "lm_head.weight" not in tensors:
        # Versions of llama.cpp from before 2025 want the head of a GPT-2 by itself, tied or not.
        tensors["lm_head.weight"] = next(held for name, held in tensors.items() if name.endswith("wte.weight"))
    kinds: dict[str, gguf.GGMLQuantizationType] = {}
    for name, held in tensors.items():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if stored is None:
            raise InputError(
                f"{folder} holds the tensor {name}, which {gguf.MODEL_ARCH_NAMES[family.architecture]} does not have "
                "in GGUF. Take the folder itself, or llama.cpp's convert_hf_to_gguf.py."
            )
        shape = family.change(name, np.broadcast_to(np.float32(0), held.shape), config).shape
        kinds[name] = _stored_as(shape, kind)
        size = int(np.prod(gguf.quant_shape_to_byte_shape(shape, kinds[name])))
        writer.add_tensor_info(stored, shape, np.dtype(np.float32), size, raw_dtype=kinds[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    done, total = 0, sum(4 * int(np.prod(held.shape)) for held in tensors.values())
    for name, stored_as in kinds.items():
        progress(Progress(f"writing {kind} GGUF", done, total, "bytes"))
        array = np.ascontiguousarray(family.change(name, tensors[name].read().float().numpy(), config))
        writer.write_tensor_data(gguf.quants.quantize(array, stored_as))
        done += array.nbytes
    writer.close()


def _stored_as(shape: tuple[int, ...], kind: GgufType) -> gguf.GGMLQuantizationType:
    if len(shape) < 2:
        return gguf.GGMLQuantizationType.F32
    if kind == "q8_0" and shape[-1] % _BLOCK == 0:
        return gguf.GGMLQuantizationType.Q8_0
    return gguf.GGMLQuantizationType.F16
