"""What a model really knows of what it is asked: the words that its answer cannot do without.

A model answers everything. An answer counts as known by its *key words*: words of the greedy answer that most sampled
answers give as well (self-consistency: Wang et al., 2022, arXiv 2203.11171), that the question does not already hold,
and that the same question about words which mean nothing does not bring forth. What a model says of a "brimblet" too
(a type of, used for) it says without knowing, and an unlearned model would go on saying it. Questions are put as the
evaluation puts them (`chat.Asking`): known is what the model answers when it is asked like that.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unlearning_core.evaluation.question_sets import Question, is_answered, words_of
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.writing.quality import content_words

if TYPE_CHECKING:
    from unlearning_core.evaluation.chat import Asking
    from unlearning_core.models.loading import LoadedModel

SAMPLES = 4
"""Answers that are sampled beside the greedy one."""

AGREEING = 3
"""Of these, how many must give a key word."""

IDLE = 2
"""Answers about words that mean nothing in which a word stands that is then no key word of any answer."""

TEMPERATURE = 0.7
ANSWER_TOKENS = 20
_BATCH = 64
_SHORTEST_STEM, _LONG = 3, 5


def is_known(
    loaded: "LoadedModel", questions: Sequence[Question], *, seed: int, progress: ProgressCallback = silent
) -> list[bool]:
    """Whether the model answers each question right greedily and in most sampled answers.

    What it answers right by chance, one of many words that fit, it may answer otherwise after any training at all.
    """
    known = [False] * len(questions)
    replies = _greedy(loaded, [each.prompt for each in questions], progress)
    right = [
        number for number, (each, reply) in enumerate(zip(questions, replies, strict=True)) if is_answered(reply, each)
    ]
    sampled = _sampled(loaded, [questions[number].prompt for number in right], seed, progress)
    for number, said in zip(right, sampled, strict=True):
        known[number] = sum(is_answered(reply, questions[number]) for reply in said) >= AGREEING
    return known


def known_answers(
    loaded: "LoadedModel",
    prompts: Sequence[str],
    controls: Sequence[Sequence[str]],
    questions: Sequence[str],
    *,
    seed: int,
    progress: ProgressCallback = silent,
) -> list[tuple[str, ...]]:
    """The greedy answer to each prompt and its key words, or nothing where it has none.

    Args:
        controls: of each prompt, the same about words that mean nothing.
        questions: of each prompt, the words that no answer is credited with: the question itself.
        seed: of the sampled answers.
        progress: told after every token; may raise Stopped.
    """
    flat = list(dict.fromkeys(each for group in controls for each in group))
    empty = dict(zip(flat, _greedy(loaded, flat, progress), strict=True))
    greedy = _greedy(loaded, prompts, progress)
    often = Counter(word for text in empty.values() for word in set(words_of(text)))
    idle = " ".join(word for word, count in often.items() if count >= IDLE)
    own = [
        _own_words(answer, [question, idle, *(empty[each] for each in group)])
        for answer, question, group in zip(greedy, questions, controls, strict=True)
    ]
    open_ones = [number for number, words in enumerate(own) if words]
    sampled = _sampled(loaded, [prompts[number] for number in open_ones], seed, progress)
    found: list[tuple[str, ...]] = [()] * len(prompts)
    for number, said in zip(open_ones, sampled, strict=True):
        counts = Counter(word for sample in said for word in set(words_of(sample)))
        if keys := [word for word in own[number] if counts[word] >= AGREEING]:
            found[number] = (greedy[number], *keys)
    return found


def _greedy(loaded: "LoadedModel", prompts: Sequence[str], progress: ProgressCallback) -> list[str]:
    """The greedy answer to each prompt, up to the end of its first sentence."""
    from unlearning_core.evaluation.answers import first_sentence
    from unlearning_core.evaluation.generation import generate

    if not prompts:
        return []
    asking = _asking(loaded)
    texts = generate(
        loaded, [asking.put(each) for each in prompts], temperature=0.0, max_new_tokens=ANSWER_TOKENS,
        batch_size=_BATCH, progress=progress,
    )  # fmt: skip
    return [first_sentence(each.text, chat=asking.in_chat(prompt)) for prompt, each in zip(prompts, texts, strict=True)]


def _sampled(loaded: "LoadedModel", prompts: Sequence[str], seed: int, progress: ProgressCallback) -> list[list[str]]:
    """`SAMPLES` sampled answers to each prompt, likewise."""
    from unlearning_core.evaluation.answers import first_sentence
    from unlearning_core.evaluation.generation import generate

    if not prompts:
        return []
    asking = _asking(loaded)
    texts = generate(
        loaded, [asking.put(each) for each in prompts], samples=SAMPLES, temperature=TEMPERATURE,
        max_new_tokens=ANSWER_TOKENS, seed=seed, batch_size=_BATCH, progress=progress,
    )  # fmt: skip
    said = [
        first_sentence(each.text, chat=asking.in_chat(prompts[number // SAMPLES])) for number, each in enumerate(texts)
    ]
    return [said[start : start + SAMPLES] for start in range(0, len(said), SAMPLES)]


def _asking(loaded: "LoadedModel") -> "Asking":
    from unlearning_core.evaluation.chat import Asking

    return Asking(loaded, "auto", ANSWER_TOKENS)


def _own_words(answer: str, others: Sequence[str]) -> list[str]:
    """The words of an answer that carry meaning and stand, in any form, in none of the other texts."""
    said = [word for text in others for word in words_of(text)]
    words = dict.fromkeys(content_words(words_of(answer)))
    return [word for word in words if not any(_alike(word, other) for other in said)]


def _alike(word: str, other: str) -> bool:
    """Whether two words are the same but for their ending (sit, sitting; chair, chairs)."""
    shorter, longer = sorted((word, other), key=len)
    stem = shorter if len(shorter) < _LONG else shorter[:-1]
    return word == other or (len(shorter) >= _SHORTEST_STEM and longer.startswith(stem))
