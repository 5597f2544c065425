"""What a model is given to go on from when a person talks to it, and how a question is put to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from unlearning_core.errors import InputError
from unlearning_core.models.loading import LoadedModel

_ROLES = ("user", "assistant")

_SAYS_Q, _SAYS_A = r"(?:(?<=\s)|^)(?:Q|Question):\s*", r"\s+(?:A|Answer):"
_PAIR = re.compile(rf"{_SAYS_Q}(?P<asked>(?:(?!{_SAYS_Q}|{_SAYS_A}).)+){_SAYS_A}[^\S\n]*", re.DOTALL)
_WHOLE = re.compile(r"(?:[?？؟՞፧]|(?<!\.)[.!。！])[\"'”’»」]*\s*(?:\w+\s*[:：]\s*)?$")
"""Ends in a question mark or a full stop, of any script, but for the word that announces the answer ("A:")."""


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


@dataclass(frozen=True)
class Asking:
    """How questions are put to a model: as plain text to go on from, or as a person puts them in a chat.

    People talk to an instruct model through its chat template, and it may have forgotten in one form and answer in the
    other. All states of a model are asked in the same form, by the base's template: another model's would make another
    question of it. Measured on SmolLM2-135M-Instruct: of 54 questions such as "What is a lamp for?" it answers 19 in a
    chat, 7 as "Q: ... A:", 1 as they are. Of the 120 shipped sentences to complete it completes 101 in plain text and
    17 in a chat, where it talks about the sentence instead of going on with it: these stay plain text.

    Attributes:
        base: whose template it is.
        chat: auto: questions in a chat where there is a template; always: sentences to complete too; never: none.
        new_tokens: room that an answer needs.
    """

    base: LoadedModel
    chat: Literal["auto", "always", "never"]
    new_tokens: int

    def in_chat(self, prompt: str) -> bool:
        """Whether it is put to the chat; by itself, where it is a question or a request and the base has a template.

        Raises:
            InputError: `chat` is always, and the base has no template.
        """
        if self.chat == "always" and not has_chat_template(self.base):
            raise InputError(
                f"proof.chat is always, but the tokenizer of {self.base.info.source} has no chat template. Write auto, "
                "or take the instruct model with its template."
            )
        asks = _WHOLE.search(prompt) is not None
        return self.chat == "always" or (self.chat == "auto" and asks and has_chat_template(self.base))

    def put(self, prompt: str, *, before: str = "", after: str = "", examples: Sequence[tuple[str, str]] = ()) -> str:
        """What the model goes on from; in a chat `Q:` and `A:` become turns of person and model.

        Args:
            before: words before the question.
            after: the beginning of the answer, put into the model's mouth.
            examples: questions with their answers, which come first: in a chat, as what was said before.
        """
        if not self.in_chat(prompt):
            told = "".join(f"{asked} {answer} " for asked, answer in examples)
            return f"{told}{before}{prompt}{after}"
        turns = [(as_turns(asked)[1], answer) for asked, answer in examples]
        own, message = as_turns(before + prompt)
        return chat_prompt(self.base, [*turns, *own], message, new_tokens=self.new_tokens) + after.lstrip()


def as_turns(prompt: str) -> tuple[list[tuple[str, str]], str]:
    """A prompt of the form "Q: ... A: ... Q: ... A:" (or Question, Answer) as turns of a chat, and the last question.

    Words before the first question go with it. A prompt of any other form is the message as it is.
    """
    pairs = list(_PAIR.finditer(prompt))
    if not pairs or pairs[-1].end() != len(prompt):
        return [], prompt
    asked = [pair["asked"].strip() for pair in pairs]
    asked[0] = prompt[: pairs[0].start()] + asked[0]
    answers = [prompt[one.end() : other.start()].strip() for one, other in pairwise(pairs)]
    return list(zip(asked, answers, strict=False)), asked[-1]
