"""What can be told of a GGUF model before a weight is read, so that looking at one says no to what loading would."""

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import BinaryIO

from unlearning_core.compat import gguf_architectures, gguf_tokenizers
from unlearning_core.errors import InputError
from unlearning_core.models.sources.gguf import GgufHeader, read_gguf
from unlearning_core.models.sources.gguf_keys import check_types
from unlearning_core.models.sources.gguf_parts import WholeGguf
from unlearning_core.models.sources.gguf_rope import check_scaling

_BLOCK = re.compile(r"blk\.(\d{1,9})\.(.+)")
_MIXED = ("lfm2", "gemma4", "deci", "minimax-m2", "minimax_m2")
"""Families whose blocks differ from one another, or whose last tensors have other names."""
_EVERYWHERE = ("token_embd.weight", "output_norm.weight")
_SPECIAL = ("bos", "eos", "unknown", "padding", "seperator", "eot", "eom", "mask", "cls")
"""Of what `tokenizer.ggml.<name>_token_id` gives the number; `seperator` is how the format spells it."""
_VOCABULARY = {"gpt2": ("merges",), "llama": ("scores",)}
"""Which lists a kind of tokenizer needs beside its tokens."""
_PIECE = 1 << 20


def check_header(whole: WholeGguf) -> None:
    """Its kind, its family, its formats, its blocks, its positions and the types of its keys.

    Raises:
        InputError: it cannot be used; says why and what to do.
    """
    path, header = whole.parts[0], whole.header
    kind = header.fields.get("general.type", "model")
    if kind == "adapter":
        raise InputError(
            f"{path} is an adapter (LoRA), not a model. Merge it into its base model (llama.cpp: llama-export-lora) "
            "and give the merged file."
        )
    if kind not in ("model", "") or header.architecture == "clip":
        sees = header.architecture == "clip"
        what = "the part of a multimodal model that reads pictures" if sees else f"a {kind} file"
        raise InputError(f"{path} is {what}, not a language model. Give the file of the language model.")
    known = gguf_architectures()
    if _plain(header.architecture) not in {_plain(name) for name in known}:
        raise InputError(
            f"{path} is of the family {header.architecture!r}, which transformers cannot read from GGUF (it can: "
            f"{', '.join(known)}). Choose the model's safetensors folder."
        )
    _check_formats(path, header)
    check_types(header)
    _check_blocks(path, header)
    _check_vocabulary(path, header)
    check_scaling(path, header)


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name)


def _check_formats(path: Path, header: GgufHeader) -> None:
    import gguf
    import numpy as np

    first = {form: name for name, form in reversed(header.formats.items())}
    for form, name in first.items():
        kind = gguf.GGMLQuantizationType[form]
        try:
            gguf.dequantize(np.zeros(gguf.GGML_QUANT_SIZES[kind][1], np.uint8), kind)
        except NotImplementedError as error:
            raise InputError(
                f"{path}: the tensor {name} is stored as {form}, which cannot be dequantised here. Choose a file in a "
                "usual format, such as Q8_0 or Q4_K_M, or a safetensors folder."
            ) from error


def _check_blocks(path: Path, header: GgufHeader) -> None:
    """Every block that the header counts is there, each with the tensors that most have, and no other."""
    count = header.whole("block_count", 1) or 0
    names: dict[int, set[str]] = defaultdict(set)
    for name in header.tensors:
        if found := _BLOCK.fullmatch(name):
            names[int(found[1])].add(found[2])
    there = sum(number < count for number in names)
    if there < count:
        missing = next(number for number in range(count) if number not in names)
        raise InputError(
            f"{path} lacks {count - there} of the {count} blocks that its header counts (blk.{missing}, ...): it is "
            "a part of a model, or damaged. Put all parts into one folder, or download it again."
        )
    if beyond := sorted(number for number in names if number >= count):
        raise InputError(
            f"{path} holds the block blk.{beyond[0]} beyond the {count} that its header counts; without it this would "
            "be another model. Choose another file of the model, without layers for predicting several tokens at once."
        )
    if header.architecture in _MIXED:
        return
    usual = {
        name for name, often in Counter(one for each in names.values() for one in each).items() if 2 * often > count
    }
    lacking = [f"blk.{number}.{name}" for number in sorted(names) for name in sorted(usual - names[number])]
    if lost := [*(name for name in _EVERYWHERE if name not in header.tensors), *lacking]:
        raise InputError(
            f"{path} lacks {len(lost)} tensors that a model of its family has ({lost[0]}"
            f"{', ...' if lost[1:] else ''}); they would be random numbers. Download it again, or choose another file "
            "of the model."
        )


def _check_vocabulary(path: Path, header: GgufHeader) -> None:
    """There is a vocabulary with what its kind needs, and every special token is in it."""
    kind, known = header.fields.get("tokenizer.ggml.model"), gguf_tokenizers()
    if kind not in known:
        raise InputError(
            f"{path}: its field tokenizer.ggml.model is {repr(kind)[:80]}, expected one of {', '.join(known)}. Choose "
            "another file of the model, or its safetensors folder."
        )
    for name in ("tokens", *_VOCABULARY.get(kind, ())):
        if f"tokenizer.ggml.{name}" not in header.counts:
            raise InputError(
                f"{path} has no list tokenizer.ggml.{name}, without which text cannot be split into tokens. Download "
                "it again, or choose another file of the model."
            )
    count = header.counts["tokenizer.ggml.tokens"]
    for name in _SPECIAL:
        key = f"tokenizer.ggml.{name}_token_id"
        found = header.whole(key)
        if found is not None and found >= count:
            raise InputError(
                f"{path}: its field {key} is {found}, expected the number of one of its {count} tokens (0 to "
                f"{count - 1}). Download it again, or choose another file of the model."
            )


def check_written(whole: WholeGguf) -> None:
    """Refuse a file of the right length whose rest was never written: a download that set aside its space first.

    Raises:
        InputError: a matrix, or the weight of a norm, holds nothing but zeros.
    """
    for path in whole.parts:
        header = read_gguf(path, part=True)
        with path.open("rb") as file:
            for name, (start, end) in header.places.items():
                weighs = len(header.tensors[name]) > 1 or name.endswith("norm.weight")
                if weighs and end > start and _is_zero(file, start, end):
                    raise InputError(
                        f"{path} is not complete: the tensor {name} holds nothing but zeros, as in a download that was "
                        "cut off after its space was set aside. Download it again."
                    )


def _is_zero(file: BinaryIO, start: int, end: int) -> bool:
    file.seek(start)
    return not any(any(file.read(min(left, _PIECE))) for left in range(end - start, 0, -_PIECE))
