"""What a model is given to go on from when a person talks to it."""

from collections.abc import Sequence

from unlearning_core.models.loading import LoadedModel

_ROLES = ("user", "assistant")


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
    tokenizer, room = loaded.tokenizer, getattr(loaded.model.config, "max_position_embeddings", None)
    said = [{"role": role, "content": text} for turn in turns for role, text in zip(_ROLES, turn, strict=True)]
    for first in range(0, len(said) + 1, 2):
        talk = [*said[first:], {"role": "user", "content": message}]
        prompt: str = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        # A template that writes the first token itself would double the one that the tokenizer adds.
        if tokenizer.bos_token and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]:
            prompt = prompt.removeprefix(tokenizer.bos_token)
        if room is None or len(tokenizer(prompt, verbose=False)["input_ids"]) + new_tokens <= room:
            break
    return prompt
