"""Test prompts: taken from a concept's sentences, and checked before a model goes on from them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError
from unlearning_core.evaluation.fill_ins import LEAST_WORDS, fill_ins

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LONGEST = 14
"""Words of a prompt that is read at a glance; sentences that begin like that are taken before longer ones."""

TAKEN = 5
"""Prompts that are taken from sentences."""


def leads(items: Iterable[LabelledText], most: int) -> list[str]:
    """At most `most` sentences up to their first concept word: one of each word in turn, those read at a glance first.

    Where every sentence begins with the word, whole sentences.
    """
    about = [item for item in items if item.spans]
    by_word: dict[str, list[str]] = defaultdict(list)
    # A stable sort: within the short ones and within the long ones the sentences keep their order.
    for found in sorted(fill_ins(about), key=lambda each: len(each.prompt.split()) > LONGEST):
        by_word[found.member].append(found.prompt)
    in_turn = [lead for lead in chain.from_iterable(zip_longest(*by_word.values())) if lead is not None]
    return (in_turn or [item.text for item in about])[:most]


def prompts_about(items: Sequence[LabelledText], most: int = TAKEN) -> list[str]:
    """Prompts that invite a concept, and one that does not: what is written after it should stay as it is.

    Args:
        items: sentences with and without the concept.
        most: prompts in all.
    """
    others = (item.text.split() for item in items if not item.spans)
    control = next((words[: len(words) // 2] for words in others if len(words) >= 2 * LEAST_WORDS), [])
    inviting = leads(items, most - bool(control))
    return [*inviting, " ".join(control)] if control else inviting


def about_concept(held_out: Sequence[LabelledText]) -> list[str]:
    """`prompts_about` the held-out sentences of a run.

    Raises:
        InputError: none of them holds the concept.
    """
    found = prompts_about(held_out)
    if not found:
        raise InputError(
            "None of the held-out sentences holds a concept word, so no prompt can be taken from them. Give more "
            "sentences on the Concept page, or type prompts."
        )
    return found


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
