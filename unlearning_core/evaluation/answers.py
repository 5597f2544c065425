"""The part `questions`: what a model answers, and which of the answers are right.

Each question is put as a person would put it to this model (`chat.Asking`), answered greedily and, where asked for,
sampled. A reply counts up to the end of its first sentence or line: what a model rambles on with is not its answer. Two
measures:

- *exact*: the reply holds an accepted answer word for word (`question_sets.is_answered`).
- *ROUGE-L*: the largest F-measure over the accepted answers of the longest common subsequence of words (Lin, 2004),
  computed by the library `rouge-score`; TOFU (Maini et al., 2024) marks answers by it.

A question that the base answers without hearing the concept's words ("The golden ... in the palace belongs to the")
says nothing of what it knows about them: the base is asked once more with these words blanked (`guessable`), and what
it still answers does not count.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.chat import Asking
from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.question_sets import ABOUT, Question, is_answered
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate, share_estimate
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

GREEDY = -1
"""`sample` of the greedy answer."""

BLANK = "thing"
"""Stands for the concept's words where it is asked what can be told without them."""

Pair = tuple[Question, Question]
"""A question, and as it is asked: the same, or with the concept's words blanked."""

TEMPERATURE = 1.0
_BATCH = 64

_ENDS = re.compile(r"(?<=[.!?])\s|(?<=[.!?][\"'”’])\s")
_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_LEAST_WORDS = 3


def ask(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """The frame `answers` of the material's questions (see `answered`); of the base also `guessed` (`guessed_by`)."""
    chosen = some_questions(material.questions, settings.max_questions, subject.seed)
    asking = Asking(subject.base, settings.chat, settings.answer_tokens)
    found = {
        "answers": answered(
            subject.loaded,
            chosen,
            asking=asking,
            samples=settings.question_samples,
            new_tokens=settings.answer_tokens,
            seed=subject.seed,
            progress=progress,
        )
    }
    if subject.state == "base":
        found["guessed"] = guessed_by(subject.loaded, guessable(chosen, material.matcher), asking, settings, progress)
    return found


def guessable(questions: Sequence[Question], matcher: Matcher) -> list[Pair]:
    """Each question that can be asked without the concept's words, and as it is then asked, `BLANK` in their place.

    One whose answer is a word of the concept asks for that word however it is put, and one that holds none of them is
    asked without them already; neither is here.
    """
    found = []
    for question in questions:
        spans = matcher.spans(question.prompt)
        if question.about != "concept" or not spans or any(matcher.spans(answer) for answer in question.answers):
            continue
        prompt = question.prompt
        for span in reversed(spans):
            prompt = prompt[: span.start] + BLANK + prompt[span.end :]
        found.append((question, replace(question, prompt=prompt)))
    return found


def guessed_by(
    loaded: LoadedModel,
    pairs: Sequence[Pair],
    asking: Asking,
    settings: ProofSection,
    progress: ProgressCallback,
) -> pd.DataFrame:
    """What the model answers greedily to each pair's second question: as `answered`, with `question`, the first one's
    prompt."""
    found = answered(
        loaded, [blank for _, blank in pairs], asking=asking, new_tokens=settings.answer_tokens, progress=progress
    )
    return found.assign(question=[question.prompt for question, _ in pairs])


def some_questions(questions: Sequence[Question], most: int, seed: int) -> list[Question]:
    """At most `most` questions about the concept and half as many about each other thing, in their order.

    Where there are more, each form keeps its share; the direct ones come first.
    """
    found: list[Question] = []
    for about in ABOUT:
        of_kind = [question for question in questions if question.about == about]
        limit = most if about == "concept" else most // 2
        if len(of_kind) > limit:
            draw = np.random.default_rng(seed)
            by_form = pd.Series([question.form for question in of_kind])
            place = pd.Series(draw.permutation(len(of_kind))).groupby(by_form).rank(method="first")
            share = place / by_form.map(by_form.value_counts())
            share[by_form == "direct"] = 0.0
            of_kind = [of_kind[index] for index in sorted(np.argsort(share.to_numpy(), kind="stable")[:limit])]
        found += of_kind
    return found


def answered(
    loaded: LoadedModel,
    questions: Sequence[Question],
    *,
    asking: Asking | None = None,
    samples: int = 0,
    new_tokens: int = 40,
    seed: int = 0,
    progress: ProgressCallback = silent,
) -> pd.DataFrame:
    """Every question answered greedily and `samples` times by sampling at temperature 1.

    Args:
        asking: how the questions are put; None: as they are written.

    Returns:
        A row an answer: `prompt`, `form`, `about`, `member`, `fact`, `expected` (the first accepted answer), `sample`
        (`GREEDY`, 0, 1, ...), `answer` (as written, up to its end), `exact` (bool), `rouge_l` (0 to 1).

    Raises:
        InputError: a prompt is empty or fills the model's context, or cannot be put so.
        WorkFailed: the model's output is not a number.
    """
    # It brings nltk, which takes seconds to import: who only marks answers does without.
    from rouge_score.rouge_scorer import RougeScorer

    columns = ["prompt", "form", "about", "member", "fact", "expected", "sample", "answer", "exact", "rouge_l"]
    if not questions:
        return pd.DataFrame(columns=columns)
    prompts = [asking.put(question.prompt) if asking else question.prompt for question in questions]
    texts = generate(
        loaded, prompts, temperature=0.0, max_new_tokens=new_tokens, batch_size=_BATCH,
        progress=_named("asking", progress),
    )  # fmt: skip
    found = [(question, GREEDY, text.text) for question, text in zip(questions, texts, strict=True)]
    if samples:
        texts = generate(
            loaded, prompts, samples=samples, temperature=TEMPERATURE, max_new_tokens=new_tokens, seed=seed,
            batch_size=_BATCH, progress=_named("asking, with samples", progress),
        )  # fmt: skip
        found += [(questions[number // samples], text.sample, text.text) for number, text in enumerate(texts)]
    scorer, rows = RougeScorer(["rougeL"], use_stemmer=False), []
    for question, sample, text in found:
        reply, right = marked(text, question, chat=asking is not None and asking.in_chat(question.prompt))
        rows.append(
            (
                question.prompt, question.form, question.about, question.member, question.fact, question.answers[0],
                sample, reply, right, rouge_l(scorer, reply, question.answers),
            )
        )  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def first_sentence(text: str, *, chat: bool = False) -> str:
    """What a model answered, up to the end of its first sentence or line.

    A beginning of fewer than three words ("Sure!", "1.") is no sentence yet: the next one belongs to it.

    Args:
        chat: it was asked in a chat, where an answer may be announced: with an exclamation ("I am glad to help!"), or
            with a line that ends in a colon ("Here are its uses:"). What comes next belongs to that.
    """
    lines = [line for line in text.strip().split("\n") if line.strip()] or [""]
    announced = chat and len(lines) > 1 and lines[0].rstrip("* ").endswith(":")
    line = f"{lines[0]} {_MARK.sub('', lines[1])}" if announced else lines[0]
    ends = [match.start() for match in _ENDS.finditer(line) if not (chat and line[match.start() - 1] == "!")]
    end = next((place for place in ends if len(line[:place].split()) >= _LEAST_WORDS), len(line))
    return " ".join(line[:end].split())


def marked(text: str, question: Question, *, chat: bool = False) -> tuple[str, bool]:
    """(what was answered, whether it is right).

    Args:
        chat: it was asked in a chat. There a sentence to complete is mostly said again as a whole, so that its answer
            need not come first; what the reply only repeats of the question is no answer.
    """
    reply = first_sentence(text, chat=chat)
    if not chat:
        return reply, is_answered(reply, question)
    return reply, is_answered(reply.removeprefix(question.prompt), replace(question, form="direct"))


def rouge_l(scorer: "RougeScorer", reply: str, answers: Sequence[str]) -> float:
    """The largest ROUGE-L F-measure over the accepted answers."""
    return max((float(scorer.score(answer, reply)["rougeL"].fmeasure) for answer in answers), default=0.0)


def still_right(base: Frames, after: Frames, about: str = "concept") -> pd.DataFrame:
    """The questions that the base answers right greedily and does not guess, with what the other state says of them.

    Returns:
        The base's rows (`prompt`, `form`, `member`, `expected`, `answer` ...) with `now` (the other state's greedy
        answer), `right` (bool: also exact), `same` (bool: word for word the base's answer).
    """
    rows, others = base["answers"], after["answers"]
    known = rows[(rows["sample"] == GREEDY) & (rows["about"] == about) & rows["exact"].astype(bool)]
    if "guessed" in base:
        guessed = base["guessed"]
        known = known[~known["prompt"].isin(guessed["question"][guessed["exact"].astype(bool)])]
    greedy = others[others["sample"] == GREEDY].drop_duplicates("prompt").set_index("prompt")
    known = known[known["prompt"].isin(greedy.index)]
    now = greedy.loc[known["prompt"]]
    return known.assign(
        now=now["answer"].to_numpy(),
        right=now["exact"].to_numpy(dtype=bool),
        same=now["answer"].to_numpy() == known["answer"].to_numpy(),
    )


def share_still_right(base: Frames, after: Frames, about: str = "concept") -> Estimate | None:
    """Of the questions that the base answers right and does not guess, the share that still is; None where there is
    none.

    The standard error is that of a proportion over questions, by the ratio estimator; the interval of all or none is
    Wilson's (ratio.py).
    """
    pairs = still_right(base, after, about)
    return share_estimate(pairs["right"].to_numpy(float)) if len(pairs) else None


def share_exact(found: Frames, about: str) -> Estimate | None:
    """The share of the questions answered right, greedily."""
    rows = _greedy(found, about)
    return share_estimate(rows["exact"].to_numpy(float)) if len(rows) else None


def mean_rouge(found: Frames, about: str) -> Estimate | None:
    """Mean ROUGE-L of the greedy answers."""
    rows = _greedy(found, about)
    return ratio_estimate(rows["rouge_l"].to_numpy(float), np.ones(len(rows))) if len(rows) else None


def share_sampled(found: Frames, about: str) -> Estimate | None:
    """The share of the sampled answers that are right; its standard error is clustered by question."""
    rows = found["answers"]
    rows = rows[(rows["sample"] != GREEDY) & (rows["about"] == about)]
    if not len(rows):
        return None
    by_question = rows.groupby("prompt")["exact"].agg(["sum", "count"])
    return share_estimate(by_question["sum"].to_numpy(float), by_question["count"].to_numpy(float))


def _greedy(found: Frames, about: str) -> pd.DataFrame:
    rows = found["answers"]
    return rows[(rows["sample"] == GREEDY) & (rows["about"] == about)]


def _named(task: str, progress: ProgressCallback) -> ProgressCallback:
    return lambda update: progress(Progress(task, update.done, update.total, update.unit))
