"""Bounds on what a config.json and a tokenizer.json claim: compared before anything of that size is made.

A model is inspected without storage, but each of its modules is an object, and some families make lists or tables as
long as a number of their config says. A few bytes of JSON would keep a page busy for hours or fill the memory.
"""

import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError

MOST_VALUES = 100_000
"""Numbers, texts, lists and objects in a config.json; the longest of a known model has some hundred."""

MOST_MODULES = 100_000
"""Of a model; the deepest of today have a few thousand, ten times as many with experts one by one."""

MOST_JSON_BYTES = 200 << 20
"""Of a tokenizer.json; that of a vocabulary of 260,000 has 35 MB."""

_WHOLE: tuple[tuple[str, int], ...] = (
    (r"layers?|blocks?|depth|num_stages", 1_000),
    (r"heads?|experts?|groups?|n_head", 10_000),
    (r"num_labels", 10_000),
    (r"vocab(_size)?|vocabulary_size", 10_000_000),
    (r"(size|dim|dims|rank|inner|embd|d_model|d_ff|d_kv|width|channels|hidden)", 10_000_000),
    (r"positions?|position_embeddings|n_ctx|length|window", 1 << 31),
)
"""How the name of a number ends, and the largest that it may be: about ten times that of the largest known model."""

_ABOVE_ZERO = re.compile(r"(^|\.)((global_|local_)?rope_theta|rope_local_base_freq|rotary_emb_base|factor)$")
"""Numbers that a model divides by or takes a power of."""

_ENDLESS = "time_step_limit"
"""The one setting that may be infinite: Mamba's."""

_ROPE = ("rope_scaling", "rope_parameters")
_ROPE_KINDS = ("rope_type", "type")

_CORE = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "vocab_size", "head_dim")
"""Numbers of a family's own config, by the name that all share; at least 1 where they are given."""

_LONGEST_REPLACEMENT = 64
"""Characters that a tokenizer's normaliser may make of one."""

_LONGEST_PADDING = 1 << 20


def check_config(path: Path, values: dict[str, Any]) -> None:
    """Look through the JSON of a config, in all its sections.

    Raises:
        InputError: it holds more values than any model's, a size, a number of layers, ... beyond all known models, a
            number that is not finite or would make such numbers, or a scaling of positions without its kind.
    """
    waiting: list[tuple[str, Any]] = list(values.items())
    seen = 0
    while waiting:
        name, value = waiting.pop()
        seen += 1
        if isinstance(value, dict):
            if any(section in name.split(".") for section in _ROPE):
                _check_rope(path, name, value)
            waiting += [(f"{name}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(name, inner) for inner in value]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(path, name, value)
        elif isinstance(value, str) and _ABOVE_ZERO.search(name):
            raise InputError(
                f"{path}: {name[:120]} is the text {value[:80]!r}; expected a number. Write it without quotes, or "
                "download or copy the folder again."
            )
        if seen + len(waiting) > MOST_VALUES:
            raise InputError(
                f"{path} holds more than {MOST_VALUES:,} values, which no model's config does. Download or copy the "
                "folder again, or do not use this model."
            )


def _check_rope(path: Path, name: str, values: dict[str, Any]) -> None:
    if "factor" in values and not any(values.get(kind) for kind in _ROPE_KINDS):
        raise InputError(
            f"{path}: {name[:120]} has a factor, {str(values['factor'])[:80]}, and no rope_type, so the factor would "
            'be ignored. Add its kind ("rope_type": "linear", "dynamic", "yarn", ...), or remove the factor.'
        )


def _check_number(path: Path, name: str, value: float) -> None:
    above = _ABOVE_ZERO.search(name)
    if (not math.isfinite(value) and not name.endswith(_ENDLESS)) or (above and value <= 0):
        raise InputError(
            f"{path}: {name[:120]} is {value:.6g}; expected a finite number{' above 0' if above else ''}. Download or "
            "copy the folder again."
        )
    key = name.rsplit(".", 1)[-1].casefold()
    most = next((most for ending, most in _WHOLE if re.search(rf"(^|_)({ending})$", key)), 1 << 62)
    if abs(value) > most and not (isinstance(value, float) and most == 1 << 62):
        raise InputError(
            f"{path}: {name[:120]} is {value:.6g}; no known model has more than {most:,}. Download or copy the folder "
            "again, or do not use this model."
        )


def check_sizes(path: Path, config: Any) -> None:
    """Look at the sizes that every family has, in the config that transformers made of `path`.

    Raises:
        InputError: one of them is not a whole number of at least 1.
    """
    text = config.get_text_config()
    for name in _CORE:
        value = getattr(text, name, None)
        # A few families have a list, one number a layer.
        for number in value if isinstance(value, list | tuple) else [value]:
            if number is not None and (type(number) is not int or number < 1):
                raise InputError(
                    f"{path}: {name} is {str(number)[:80]}; expected a whole number of at least 1. Download or copy "
                    "the folder again."
                )


@contextmanager
def counting_modules(source: str) -> Iterator[None]:
    """Inside the `with`, this thread makes no model of more than `MOST_MODULES` modules.

    Raises:
        InputError: it is about to.
    """
    from torch.nn.modules.module import register_module_module_registration_hook

    own, count = threading.get_ident(), 0

    def counted(module: object, name: str, child: object) -> None:
        nonlocal count
        if threading.get_ident() == own:
            count += 1
            if count > MOST_MODULES:
                raise InputError(
                    f"{source} asks for more than {MOST_MODULES:,} modules, which no known model has. Look at the "
                    "numbers of layers and experts in its config.json, or do not use this model."
                )

    hook = register_module_module_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()


def check_tokenizer(path: Path, values: Any) -> None:
    """Look at what a tokenizer.json would make of a text, before it is given one.

    The tokenizers library ends the whole process where its memory runs out, so growth is bounded here.

    Raises:
        InputError: a normaliser makes a text many times longer, replaces nothing by something, or the padding is
            longer than any context.
    """
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no tokenizer. Copy the model's tokenizer.json again.")
    steps: list[tuple[str, float]] = []
    for normaliser in (*_steps(values.get("normalizer")), *_steps(values.get("pre_tokenizer"))):
        content, pattern = normaliser.get("content"), normaliser.get("pattern")
        if not isinstance(content, str):
            continue
        text = pattern.get("String") if isinstance(pattern, dict) else None
        if isinstance(pattern, dict) and "" in (text, pattern.get("Regex")):
            raise InputError(
                f"{path}: a normaliser replaces the empty text by {content[:80]!r}, which would never end. Copy the "
                "model's tokenizer.json again."
            )
        growth = max(1.0, len(content) / len(text) if isinstance(text, str) else float(len(content)))
        # What an earlier one wrote grows again only where this one finds a letter of it.
        before = [size for wrote, size in steps if not isinstance(text, str) or set(text) & set(wrote)]
        growth *= max(before, default=1.0)
        steps.append((content, growth))
        if growth > _LONGEST_REPLACEMENT:
            raise InputError(
                f"{path}: its normalisers make a text more than {_LONGEST_REPLACEMENT} times longer. Copy the model's "
                "tokenizer.json again, or do not use this model."
            )
    padding = values.get("padding")
    strategy = padding.get("strategy") if isinstance(padding, dict) else None
    size = strategy.get("Fixed") if isinstance(strategy, dict) else None
    if isinstance(size, int) and size > _LONGEST_PADDING:
        raise InputError(
            f"{path}: padding to {size:,} tokens is longer than any context. Copy the model's tokenizer.json again."
        )


def _steps(value: Any) -> Iterator[dict[str, Any]]:
    """A normaliser, or those of a sequence of them in order."""
    if isinstance(value, dict):
        yield value
        for name in ("normalizers", "pretokenizers"):
            inner = value.get(name)
            for step in inner if isinstance(inner, list) else ():
                yield from _steps(step)
