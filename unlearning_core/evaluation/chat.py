"""What a model is given to go on from when a person talks to it."""

from collections.abc import Sequence
from typing import Any

from unlearning_core.models.loading import LoadedModel


def has_chat_template(loaded: LoadedModel) -> bool:
    """Whether the model was trained to answer; otherwise it only goes on from what it reads."""
    return bool(getattr(loaded.tokenizer, "chat_template", None))


def chat_prompt(loaded: LoadedModel, turns: Sequence[tuple[str, str]], message: str, *, new_tokens: int) -> str:
    """The text after which the model's answer to `message` is expected.

    Args:
        turns: what was said before, as (person, model); the oldest are left out where the model's context has no room
            for all of them and `new_tokens` more. A model without a chat template is given the message alone.

    Returns:
        A prompt for `generation.generate`, which puts the tokenizer's own first token before it where it has one.
    """
    if not has_chat_template(loaded):
        return message
    room = getattr(loaded.model.config, "max_position_embeddings", None)
    for first in range(len(turns) + 1):
        prompt = _filled(loaded.tokenizer, turns[first:], message)
        if room is None or len(loaded.tokenizer(prompt, verbose=False)["input_ids"]) + new_tokens <= room:
            break
    return prompt


def _filled(tokenizer: Any, turns: Sequence[tuple[str, str]], message: str) -> str:
    said = [{"role": "user", "content": message}]
    for person, model in reversed(turns):
        said[:0] = [{"role": "user", "content": person}, {"role": "assistant", "content": model}]
    prompt: str = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    # A template that writes the first token itself would double the one that the tokenizer adds.
    if tokenizer.bos_token and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]:
        prompt = prompt.removeprefix(tokenizer.bos_token)
    return prompt
