"""What a SmallWorld model knows: it answers, completes and tells, and every reply is marked against the world."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from unlearning_core.evaluation.generation import generate
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.smallworld import sets
from unlearning_core.smallworld.items import Cloze, Phrasing, Question

REFUSAL = "I do not know"
"""How an answer to a nonsense question has to begin."""

STORY_TOKENS = 80
STORY_TEMPERATURE = 0.8
REPEATED = 3
"""A story counts as repetitive when one of its sentences occurs so often."""

_BATCH = 128
_T = TypeVar("_T")


@dataclass(frozen=True)
class Exam:
    """Everything a model is asked.

    Attributes:
        questions: of all families, both phrasings.
        clozes: of all families, both phrasings.
        facts: world facts as clozes, both phrasings.
        nonsense: questions about words that mean nothing.
        openings: beginnings of stories.
    """

    questions: Sequence[Question]
    clozes: Sequence[Cloze]
    facts: Sequence[Cloze]
    nonsense: Sequence[Question]
    openings: Sequence[str]


def world_exam(seed: int, limit: int | None = None) -> Exam:
    """Everything that the world asks: all of it, or a seeded sample of `limit` items of each kind and phrasing."""

    def some(items: Sequence[_T]) -> list[_T]:
        if limit is None or limit >= len(items):
            return list(items)
        return random.Random(seed).sample(list(items), limit)

    def both(make: Callable[[Phrasing], Sequence[_T]]) -> list[_T]:
        return [*some(make("held_out")), *some(make("seen"))]

    return Exam(
        questions=both(sets.questions),
        clozes=both(sets.clozes),
        facts=both(sets.world_facts),
        nonsense=both(lambda phrasing: sets.nonsense(phrasing, 200, seed)),
        openings=some(sets.story_openings(200, seed)),
    )


@dataclass(frozen=True)
class Marked:
    """One reply.

    Attributes:
        test: questions, cloze (one accepted answer), cloze_several (more than one), facts or nonsense.
        phrasing, family, prompt, accepted: of what was asked.
        written: what the model wrote, greedily.
        right: whether it counts.
    """

    test: str
    phrasing: str
    family: str
    prompt: str
    accepted: tuple[str, ...]
    written: str
    right: bool


def examine(loaded: LoadedModel, exam: Exam, progress: ProgressCallback = silent) -> list[Marked]:
    """Put every question and gap of `exam` to the model, decoded greedily, and mark the replies."""
    tests: dict[str, Sequence[Question | Cloze]] = {
        "questions": exam.questions,
        "cloze": [cloze for cloze in exam.clozes if len(cloze.accepted) == 1],
        "cloze_several": [cloze for cloze in exam.clozes if len(cloze.accepted) != 1],
        "facts": exam.facts,
        "nonsense": exam.nonsense,
    }
    marked = []
    for test, items in tests.items():
        if not items:
            continue
        replies = generate(
            loaded,
            [item.prompt for item in items],
            temperature=0.0,
            max_new_tokens=_room(loaded, items),
            batch_size=_BATCH,
            progress=_named(f"asking {test}", progress),
        )
        is_right = is_exact if test == "questions" else begins_with_word
        for item, reply in zip(items, replies, strict=True):
            right = is_right(reply.text, (REFUSAL,) if test == "nonsense" else item.accepted)
            written = reply.text.strip()
            marked.append(Marked(test, item.phrasing, item.family, item.prompt, item.accepted, written, right))
    return marked


def tell(loaded: LoadedModel, openings: Sequence[str], seed: int, progress: ProgressCallback = silent) -> list[str]:
    """One sampled story for each opening, the opening included: at most `STORY_TOKENS` new tokens."""
    if not openings:
        return []
    told = generate(
        loaded,
        openings,
        temperature=STORY_TEMPERATURE,
        max_new_tokens=STORY_TOKENS,
        seed=seed,
        batch_size=_BATCH,
        progress=_named("telling stories", progress),
    )
    return [opening + story.text for opening, story in zip(openings, told, strict=True)]


def is_repetitive(story: str) -> bool:
    """Whether one sentence of `story` occurs `REPEATED` times or more, whatever its case, quotes and end mark."""
    sentences = (" ".join(re.findall(r"[\w'’-]+", part)).casefold() for part in re.split(r"[.!?\n]+", story))
    return max(Counter(sentence for sentence in sentences if sentence).values(), default=0) >= REPEATED


def is_exact(written: str, accepted: Iterable[str]) -> bool:
    """Whether the first line of `written` is an accepted answer, white space aside."""
    lines = written.strip().splitlines()
    answer = " ".join(lines[0].split()) if lines else ""
    return any(answer == " ".join(option.split()) for option in accepted)


def begins_with_word(written: str, accepted: Iterable[str]) -> bool:
    """Whether `written` begins with an accepted word or phrase that ends where a word of `written` ends."""
    text = " ".join(written.split())
    return any(re.match(rf"{re.escape(' '.join(option.split()))}(?![\w'’-])", text) for option in accepted)


def _room(loaded: LoadedModel, items: Sequence[Question | Cloze]) -> int:
    """New tokens that show whether any accepted answer was given and ended: the longest one and two more."""
    options = {f" {option}" for item in items for option in item.accepted}
    return max(len(ids) for ids in loaded.tokenizer(sorted(options))["input_ids"]) + 2


def _named(task: str, progress: ProgressCallback) -> ProgressCallback:
    return lambda update: progress(Progress(task, update.done, update.total, update.unit))
