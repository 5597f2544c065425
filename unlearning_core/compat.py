"""What is used of other libraries' insides, where they offer no public way; tests/unit/test_compat.py watches each."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

MakeBar = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Is given the class of a tqdm bar and what it would be called with; returns the bar, or what is iterated instead."""


def make_transformers_bars_with(make: MakeBar) -> None:
    """Let `make` build each progress bar of transformers, in every thread, from now on.

    transformers has a public hook for this. Only the loop that dequantises a GGUF file takes tqdm past it, by a name of
    its module, which is replaced (transformers 5.23).
    """
    from transformers import modeling_gguf_pytorch_utils as converter
    from transformers.utils import logging

    logging.set_tqdm_hook(make)
    bar: Callable[..., Any] = converter.tqdm
    converter.tqdm = lambda *args, **kwargs: make(bar, args, kwargs)


_BUILDING = threading.RLock()
_waiting: ContextVar[Callable[[], object]] = ContextVar("_waiting", default=lambda: None)


@contextmanager
def while_waiting(say: Callable[[], object]) -> Iterator[None]:
    """While this is open, `say` is called again and again while this thread waits in `building_a_model`.

    Args:
        say: may raise Stopped, which ends the wait.
    """
    token = _waiting.set(say)
    try:
        yield
    finally:
        _waiting.reset(token)


@contextmanager
def building_a_model() -> Iterator[None]:
    """Inside the `with` no other thread builds a model.

    transformers replaces methods of its classes and of torch while it builds one, and puts them back afterwards
    (transformers 5.23: `initialization.no_tie_weights` and its like). Of two threads at once, each puts back what it
    found, so that one's replacement stays for good: every model loaded later would have an untied, random head.
    `while_waiting` sets who hears of the wait.
    """
    while not _BUILDING.acquire(timeout=0.2):
        _waiting.get()()
    try:
        yield
    finally:
        _BUILDING.release()


def is_panic(error: BaseException) -> bool:
    """Whether a library written in Rust (tokenizers, safetensors) gave up: PyO3's panic is no `Exception`."""
    return type(error).__name__ == "PanicException"


def tokenizer_panics_raise(raised: type[Exception]) -> None:
    """Let a fast tokenizer that panics at a text raise `raised`, in every thread, from now on; no-op the second time.

    A tokenizer.json may hold a pattern that its regular expressions cannot follow at some texts; the panic is no
    `Exception` and would pass every guard. All texts and ids go through these two methods (transformers 5.23).
    """
    from transformers.tokenization_utils_tokenizers import TokenizersBackend

    for name in ("_encode_plus", "_decode"):
        method = getattr(TokenizersBackend, name)
        if not hasattr(method, "__wrapped__"):
            setattr(TokenizersBackend, name, _without_panics(method, raised))


def _without_panics(method: Callable[..., Any], raised: type[Exception]) -> Callable[..., Any]:
    @wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except BaseException as error:
            if not is_panic(error):
                raise
            raise raised(
                f"The tokenizer of {self.name_or_path or 'this model'} fails at this text ({str(error)[:200]}). Copy "
                "the model's own tokenizer.json into its folder, or choose another model."
            ) from error

    return guarded


@dataclass(frozen=True)
class LoadedKeys:
    """What transformers found while it put the tensors of a file into a model, before it leaves anything out.

    Attributes:
        missing: names in the model that no tensor of the file was for; a tied one that has its partner is not among
            them.
        unexpected: tensors of the file, by the name they would have in the model, that the model has no place for.
    """

    missing: frozenset[str]
    unexpected: frozenset[str]


@contextmanager
def watching_loaded_keys() -> Iterator[Callable[[], LoadedKeys]]:
    """Inside the `with` the report of each model that is loaded is kept whole; call the function for the last one.

    The report that transformers hands out is shorter: each family has patterns of names that it drops without a word,
    and some match more than was meant (transformers 5.23: GPT-2's "attn.bias" is a regular expression that matches the
    biases "c_attn.bias" too). Only inside `building_a_model`, as a method of a class of transformers is replaced.
    """
    from transformers import PreTrainedModel

    shorten = PreTrainedModel._adjust_missing_and_unexpected_keys
    seen: list[LoadedKeys] = []

    def keep(model: Any, report: Any) -> None:
        seen.append(LoadedKeys(frozenset(report.missing_keys), frozenset(report.unexpected_keys)))
        shorten(model, report)

    PreTrainedModel._adjust_missing_and_unexpected_keys = keep
    try:
        yield lambda: seen[-1]
    finally:
        PreTrainedModel._adjust_missing_and_unexpected_keys = shorten


def gguf_architectures() -> list[str]:
    """The families of GGUF files that transformers can read, as llama.cpp calls them; some go by two names."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    # "general" and "tokenizer" are keys of every file, and T5 is no causal language model.
    return sorted(set(GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer", "t5", "umt5"})


def gguf_tokenizers() -> list[str]:
    """The kinds of tokenizers in GGUF files, `tokenizer.ggml.model`, that transformers can build."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_TOKENIZER_TYPES

    return sorted(GGUF_TOKENIZER_TYPES)


def gguf_names_of(model: Any, architecture: str) -> set[str]:
    """The names of GGUF tensors that have a place in `model`; transformers drops every other one without a word.

    Args:
        architecture: the family of the file as llama.cpp calls it.
    """
    from transformers import modeling_gguf_pytorch_utils as converter

    processor = converter.TENSOR_PROCESSORS.get(architecture, converter.TensorProcessor)(config=model.config.to_dict())
    return set(converter.get_gguf_hf_weights_map(model, processor))
