"""Questions about a concept that the model writes itself, answers itself, and is then asked after unlearning.

Kept is only what the model knows (known_answers.py): of a question that the base cannot answer, a wrong answer later
says nothing. What it writes are direct questions, the same in other words, riddles whose answer is the word, and the
question behind a sentence with the word. From sentences with and without the concept come fill-ins, which every model
can complete, in every language; of a model that writes no questions they are all there is. Chains of facts and other
names for a thing are for a person to write. The rest of the file is for a person to read through and mend.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelling import LabelledText, label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.evaluation.fill_ins import LEAST_WORDS, fill_ins
from unlearning_core.evaluation.question_sets import About, Form, Question, is_answered, words_of
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.writing import prompts
from unlearning_core.writing.known_answers import is_known, known_answers
from unlearning_core.writing.quality import content_words, reason_to_drop

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

SHORTEST = 4
"""Words of a question."""

LIST_TOKENS, LINE_TOKENS = 64, 28
"""Length of a list of questions, and of one reworded question or riddle."""

PER_LIST = 4
"""Questions that one list holds, about."""

_BATCH = 64
_NUMBERED = re.compile(r"^\s*(?:\d{1,2}[.)]\s*)?")
_LAST_WORD = re.compile(r"(?<=\s)(\w+)[.!?]?$")


@dataclass(frozen=True)
class WrittenQuestions:
    """What was kept, and how many were dropped for which reason."""

    questions: list[Question]
    dropped: dict[str, int]


def write_questions(
    loaded: "LoadedModel",
    concept: Concept,
    count: int,
    seed: int,
    *,
    neighbours: Sequence[str] = (),
    texts: Iterable[str] = (),
    progress: ProgressCallback = silent,
) -> WrittenQuestions:
    """At most `count` questions about the concept, and half as many about its neighbours and about other things.

    Args:
        neighbours: words that stand near the concept and must stay.
        texts: sentences are taken from them, with the concept and without.
        progress: told after every token; may raise Stopped.

    Raises:
        InputError: `count` is below 1.
        WorkFailed: there is no question about the concept that the model can answer.
    """
    if count < 1:
        raise InputError(f"count is {count}; expected the number of questions about the concept, 1 or more.")
    sentences = [label_text(text, Matcher(concept)) for text in as_sentences(texts)]
    random.Random(seed).shuffle(sentences)
    writer = _Writer(loaded, concept, sentences, seed, progress, Counter())
    found = writer.about(concept, "concept", count)
    if not found:
        raise WorkFailed(
            f"The model knows the answer to none of the questions about {concept.words[0]} that it wrote (dropped: "
            f"{dict(writer.dropped)}). Give sentences about the concept, or write a file of questions by hand."
        )
    if neighbours:
        near = replace(concept, words=tuple(neighbours))
        found += writer.about(near, "neighbour", max(count // 2, 1))
    found += writer.others(max(count // 2, 1))
    return WrittenQuestions(found, dict(writer.dropped.most_common()))


@dataclass(frozen=True)
class _Writer:
    """The model, what it may write about, and what was dropped so far."""

    loaded: "LoadedModel"
    concept: Concept
    sentences: list[LabelledText]
    seed: int
    progress: ProgressCallback
    dropped: Counter[str]

    def about(self, concept: Concept, about: About, count: int) -> list[Question]:
        """At most `count` questions about the words of a concept, every form as often as there is enough of it."""
        matcher = Matcher(concept)
        direct = self._direct(concept, matcher, about, 2 * count)
        found = [
            *direct,
            *self._reworded(direct[:count], matcher),
            *self._riddles(concept, matcher, about, count),
            *self._in_context(direct[:count], matcher),
            *self._completed(matcher, about, count),
        ]
        return _evenly(found if about == "concept" else self._apart(found), count)

    def _apart(self, questions: Sequence[Question]) -> list[Question]:
        """Those that speak of no word of the concept: what must stay is not to be said in words that must go."""
        matcher = Matcher(self.concept)
        texts = (" | ".join([each.prompt, *each.answers]) for each in questions)
        return [
            each
            for each, text in zip(questions, texts, strict=True)
            if self._is(not matcher.spans(text), "speaks of the concept")
        ]

    def others(self, count: int) -> list[Question]:
        """Sentences without the concept up to their last word, where the model completes them."""
        asked = []
        for item in self.sentences:
            last = _LAST_WORD.search(item.text)
            if item.spans or last is None or not content_words([last[1].casefold()]):
                continue
            lead = item.text[: last.start()].rstrip()
            if len(words_of(lead)) >= LEAST_WORDS:
                asked.append(Question(lead, (last[1],), "fill_in", "other"))
        return self._answered(asked[: 8 * count], "completing sentences")[:count]

    def _direct(self, concept: Concept, matcher: Matcher, about: About, most: int) -> list[Question]:
        samples = max(1, min(8, -(-most // (PER_LIST * len(concept.words)))))
        lists = self._write([prompts.QUESTIONS_ABOUT.format(word=word) for word in concept.words], samples, LIST_TOKENS)
        # The first line of every word's list, then the second: a cut at `most` leaves out no word.
        rows = zip_longest(*([line for text in texts for line in text.splitlines()] for texts in lists), fillvalue="")
        lines = [(word, line) for row in rows for word, line in zip(concept.words, row, strict=True) if line]
        fit = self._fit((word, _NUMBERED.sub("", line).strip()) for word, line in lines)
        asked = [(word, text) for word, text in fit if self._is(_names(matcher, text, word), "without the word")][:most]
        framed = [prompts.QUESTION_AND_ANSWER.format(question=text) for _, text in asked]
        controls = [
            [prompts.QUESTION_AND_ANSWER.format(question=_with(matcher, text, word)) for word in prompts.NO_WORDS]
            for _, text in asked
        ]
        answers = known_answers(
            self.loaded, framed, controls, [text for _, text in asked], seed=self.seed,
            progress=self._named("answering the questions"),
        )  # fmt: skip
        return [
            Question(prompt, known, "direct", about, word, text)
            for (word, text), prompt, known in zip(asked, framed, answers, strict=True)
            if self._is(bool(known), "answer not known")
        ]

    def _reworded(self, direct: Sequence[Question], matcher: Matcher) -> list[Question]:
        """The same in other words, where the model's answer has the same key words."""
        asked = [prompts.IN_OTHER_WORDS.format(question=each.fact) for each in direct]
        lines = [
            (each, _first_line(texts[0]))
            for each, texts in zip(direct, self._write(asked, 1, LINE_TOKENS), strict=True)
        ]
        found = [
            replace(each, prompt=prompts.QUESTION_AND_ANSWER.format(question=line), form="paraphrased")
            for each, line in self._fit(lines)
            if line != each.fact
            and self._is(_names(matcher, line, each.member), "without the word")
            and self._is(not is_answered(line, each), "gives the answer away")
        ]
        return self._answered(found, "answering the same in other words")

    def _riddles(self, concept: Concept, matcher: Matcher, about: About, most: int) -> list[Question]:
        """From a description to the word; the word itself must not be in it."""
        samples = max(1, min(8, -(-2 * most // len(concept.words))))
        written = self._write([prompts.RIDDLE.format(word=word) for word in concept.words], samples, LINE_TOKENS)
        lines = [
            (word, _first_line(text)) for word, texts in zip(concept.words, written, strict=True) for text in texts
        ]
        found = [
            Question(prompts.QUESTION_AND_ANSWER.format(question=line), (word,), "reversed", about, word)
            for word, line in self._fit(lines)
            if self._is(not matcher.spans(line), "riddle with the word")
        ]
        return self._answered(found, "solving riddles")

    def _in_context(self, direct: Sequence[Question], matcher: Matcher) -> list[Question]:
        """A sentence with the word, then the question; the sentence must not hold the answer."""
        by_word: dict[str, list[str]] = defaultdict(list)
        for item in self.sentences:
            words = {span.word for span in matcher.spans(item.text)}
            if len(words) == 1:
                by_word[words.pop()].append(item.text)
        found = []
        for number, each in enumerate(direct):
            if texts := by_word.get(each.member):
                sentence = texts[number % len(texts)]
                if not is_answered(sentence, replace(each, form="direct")):
                    prompt = prompts.QUESTION_IN_CONTEXT.format(sentence=sentence, question=each.fact)
                    found.append(replace(each, prompt=prompt, form="in_context"))
        return self._answered(found, "answering in a context")

    def _completed(self, matcher: Matcher, about: About, most: int) -> list[Question]:
        """Sentences up to the word, where the model goes on with it."""
        labelled = [label_text(item.text, matcher) for item in self.sentences]
        gaps = fill_ins(item for item in labelled if item.spans)
        return self._answered([replace(each, about=about) for each in gaps[: 8 * most]], "completing sentences")

    def _answered(self, questions: Sequence[Question], task: str) -> list[Question]:
        """Those that the model knows the answer to, by a key word of it where a whole sentence stands before them."""
        asked = [replace(each, answers=each.answers[1:] or each.answers) for each in questions]
        known = is_known(self.loaded, asked, seed=self.seed, progress=self._named(task))
        return [each for each, fit in zip(questions, known, strict=True) if self._is(fit, "answer not known")]

    def _write(self, asked: Sequence[str], samples: int, tokens: int) -> list[list[str]]:
        """What the model writes after each prompt, up to the first empty line."""
        from unlearning_core.evaluation.generation import generate

        if not asked:
            return []
        written = generate(
            self.loaded, asked, samples=samples, temperature=0.8, top_p=0.95, max_new_tokens=tokens, seed=self.seed,
            batch_size=_BATCH, progress=self._named("writing questions"),
        )  # fmt: skip
        texts = [each.text.strip().split("\n\n")[0] for each in written]
        return [texts[start : start + samples] for start in range(0, len(texts), samples)]

    def _fit(self, lines: Iterable[tuple[Any, str]]) -> list[tuple[Any, str]]:
        """Whole plain questions, none twice."""
        kept: dict[str, tuple[Any, str]] = {}
        for key, line in lines:
            reason = "not a question" if not line.endswith("?") else reason_to_drop(line, SHORTEST)
            if self._is(reason is None, str(reason)) and self._is(line not in kept, "duplicate"):
                kept[line] = (key, line)
        return list(kept.values())

    def _is(self, fit: bool, reason: str) -> bool:
        if not fit:
            self.dropped[reason] += 1
        return fit

    def _named(self, task: str) -> ProgressCallback:
        return lambda update: self.progress(Progress(task, update.done, update.total, update.unit))


def _names(matcher: Matcher, text: str, word: str) -> bool:
    """Whether the text holds the word, in any form."""
    return any(span.word == word for span in matcher.spans(text))


def _with(matcher: Matcher, text: str, word: str) -> str:
    """The text with every word of the concept exchanged for another one."""
    for span in reversed(matcher.spans(text)):
        text = text[: span.start] + word + text[span.end :]
    return text


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].strip() if text.strip() else ""


def _evenly(questions: Iterable[Question], count: int) -> list[Question]:
    """At most `count` of them: of each form and member in turn, in the order of the forms."""
    left: dict[Form, dict[str, list[Question]]] = defaultdict(lambda: defaultdict(list))
    for each in questions:
        left[each.form][each.member].append(each)
    turns = {
        form: [each for row in zip_longest(*members.values()) for each in row if each] for form, members in left.items()
    }
    drawn = [each for row in zip_longest(*turns.values()) for each in row if each][:count]
    order = list(turns)
    return sorted(drawn, key=lambda each: order.index(each.form))
