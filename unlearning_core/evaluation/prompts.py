"""Test prompts, checked before a model goes on from them."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def check_prompts(prompts: Sequence[str]) -> None:
    """Refuse what no model can go on from.

    Raises:
        InputError: there is no prompt, or an empty one; counted from 1.
    """
    if isinstance(prompts, str) or not prompts:
        raise InputError("test_prompts is empty: give at least one prompt for the model to go on from.")
    for number, prompt in enumerate(prompts, 1):
        if not prompt.strip():
            raise InputError(f"test_prompts: prompt {number} is empty; write a few words or remove it.")


def prompt_ids(
    tokenizer: "PreTrainedTokenizerFast", prompt: str, number: int, ends: Collection[int], context: int | None
) -> list[int]:
    """The tokens of a prompt, without the end-of-text token that a tokenizer may close it with.

    Args:
        number: of the prompt, from 1, for the sentence.
        ends: the tokens that end a text.
        context: how many positions the model can read, or None where there is no end.

    Raises:
        InputError: the prompt has no token, or leaves no room in the context to write anything.
    """
    ids = list(tokenizer(prompt, verbose=False)["input_ids"])
    if len(ids) > 1 and ids[-1] in ends:
        # A tokenizer that closes every text would have the model start a new one.
        ids = ids[:-1]
    if not ids:
        raise InputError(f"test_prompts: the model's tokenizer finds no token in prompt {number}: {prompt!r}.")
    if context and len(ids) >= context:
        raise InputError(
            f"test_prompts: prompt {number} is {len(ids)} tokens long, but the model reads {context} at most, "
            "what it writes included; shorten the prompt."
        )
    return ids
