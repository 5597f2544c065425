"""The tokenizer of a model folder as the keys of a GGUF file."""

import json
from pathlib import Path
from typing import Any

import gguf

from unlearning_core.errors import InputError
from unlearning_core.models.sources.folder import read_tokenizer

_NAMES = ("qwen2", "llama-bpe", "tekken", "gpt-4o")
"""llama.cpp's names (`llama-vocab.cpp`) of those ways to split text into words whose pattern transformers knows."""

_BYTE = "<0x{:02X}>"
_SPECIAL = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def add_vocabulary(writer: gguf.GGUFWriter, folder: Path, rows: int) -> list[str]:
    """Write tokens, merges, special tokens and chat template; returns notes for a person.

    Args:
        rows: of the embedding; those without a token are written as unused ones.

    Raises:
        InputError: the tokenizer is of a kind that GGUF has no counterpart for.
    """
    tokenizer = read_tokenizer(folder)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    model = content["model"]
    if model["type"] != "BPE":
        raise InputError(
            f"The tokenizer in {folder} is of the kind {model['type']}, and GGUF is written here for BPE alone. Take "
            "llama.cpp's convert_hf_to_gguf.py."
        )
    merges = [tuple(merge.split(" ", 1)) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    tokens, types = _tokens(tokenizer, content, rows)
    notes = []
    if model.get("byte_fallback"):
        # SentencePiece's way: of two neighbours that could be joined, those whose whole has the best score are.
        ranks = {"".join(merge): -float(rank) for rank, merge in reversed(list(enumerate(merges)))}
        writer.add_tokenizer_model("llama")
        writer.add_add_space_prefix("Prepend" in json.dumps([content["normalizer"], content["pre_tokenizer"]]))
        writer.add_token_scores([ranks.get(token, 0.0) for token in tokens])
    else:
        name = _split_name(content.get("pre_tokenizer"))
        if name is None:
            name = "default"
            notes.append(
                "llama.cpp has no name for the way this tokenizer splits text into words: it is written as 'default', "
                "and a few texts may be cut into other tokens there."
            )
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(name)
        writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    for kind in _SPECIAL:
        if (number := getattr(tokenizer, f"{kind}_token_id", None)) is not None:
            getattr(writer, f"add_{kind}_token_id")(number)
    begins = tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]
    writer.add_add_bos_token(begins)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)
    return notes


def _tokens(tokenizer: Any, content: dict[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """Every row's token and its type."""
    kind = gguf.TokenType
    tokens, types = [f"[PAD{row}]" for row in range(rows)], [int(kind.UNUSED)] * rows
    of_bytes = {_BYTE.format(byte) for byte in range(256)} if content["model"].get("byte_fallback") else set()
    for token, row in content["model"]["vocab"].items():
        if row < rows:
            tokens[row] = token
            types[row] = int(kind.BYTE if token in of_bytes else kind.NORMAL)
    for added in content.get("added_tokens", ()):
        if added["id"] < rows:
            tokens[added["id"]] = added["content"]
            types[added["id"]] = int(kind.CONTROL if added["special"] else kind.USER_DEFINED)
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id < rows:
        types[tokenizer.unk_token_id] = int(kind.UNKNOWN)
    return tokens, types


def _split_name(pre: dict[str, Any] | None) -> str | None:
    """llama.cpp's name for the way a tokenizer splits text into words; None where it has none."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    steps = pre.get("pretokenizers", [pre]) if pre else []
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True) and not steps[0].get("add_prefix_space"):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        pattern = steps[0]["pattern"].get("Regex")
        return next((name for name in _NAMES if GGUF_PRE_TOKENIZER_SPLITS[name] == pattern), None)
    return None
