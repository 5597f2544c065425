"""Question sets: what a model is asked about a concept and about what must stay, as one JSON object a line.

    {"prompt": "Q: What is a chair? A:", "answers": ["A chair is a seat with four legs and a back."], "form": "direct",
     "about": "concept", "member": "chair", "fact": "is"}

The forms are those in which unlearned knowledge was found to be still there when only the direct question was closed:
paraphrases and the word in a context (Lynch et al., "Eight Methods to Evaluate Robust Unlearning in LLMs", 2024, arXiv
2402.16835), the way back from the description to the word (Berglund et al., "The Reversal Curse", 2023, arXiv
2309.12288), several facts chained (Zhong et al., "MQuAKE", 2023, arXiv 2305.14795), another name for the thing (Patil,
Hase and Bansal, 2023, arXiv 2309.17410, and Jin et al., "RWKU", 2024, arXiv 2406.10890), fill-ins (RWKU).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from unicodedata import normalize

import regex

from unlearning_core.concepts.json_texts import json_lines
from unlearning_core.concepts.scripts import UNSPACED
from unlearning_core.errors import InputError
from unlearning_core.files import write_text

Form = Literal["direct", "paraphrased", "reversed", "multi_hop", "alias", "in_context", "fill_in"]
FORMS: tuple[Form, ...] = get_args(Form)
"""direct: the plain question. paraphrased: the same in other words. reversed: from the description to the word.
multi_hop: two facts chained. alias: a description or another name instead of the word. in_context: the word stands in a
sentence before the question. fill_in: the answer completes the sentence."""

About = Literal["concept", "neighbour", "other"]
ABOUT: tuple[About, ...] = get_args(About)
"""concept: what is to be forgotten. neighbour: near it, and must stay. other: everything else, and must stay."""

# Where a script puts no space between words, each letter counts as one: an answer is then found inside of a sentence.
_WORD = regex.compile(rf"[{UNSPACED}]\p{{M}}*|(?:(?![{UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}])+", regex.V1)


@dataclass(frozen=True)
class Question:
    """One question and how to tell whether a reply answers it.

    Attributes:
        prompt: what the model goes on from.
        answers: every accepted answer, the one that ROUGE-L compares with first.
        form: how it is asked.
        about: what it is about.
        member: which thing it is about ("chair"), to train on some and test on others; may be empty.
        fact: which of the thing's facts the answer states; may be empty.
        phrasing: "seen" or "held_out" where it is known whether the model was trained on such wording; may be empty.
    """

    prompt: str
    answers: tuple[str, ...]
    form: Form
    about: About
    member: str = ""
    fact: str = ""
    phrasing: str = ""


def is_answered(reply: str, question: Question) -> bool:
    """Whether the first line of `reply` gives an accepted answer, whatever its case and punctuation.

    The answer's words must stand there side by side and whole; the reply to a fill-in must begin with them, because
    they complete the sentence. What follows is not read: small models go on with a question of their own.
    """
    said = words_of(next(iter(reply.strip().splitlines()), ""))
    for answer in question.answers:
        wanted = words_of(answer)
        places = range(1 if question.form == "fill_in" else max(len(said) - len(wanted) + 1, 0))
        if wanted and any(said[place : place + len(wanted)] == wanted for place in places):
            return True
    return False


def read_question_set(path: Path, only: Mapping[str, Any] | None = None) -> list[Question]:
    """The questions of a file with one JSON object a line; keys that `Question` has not are passed over.

    `form` and `about` may be left out: such a question is a direct one about the concept.

    Args:
        only: just those whose keys have these values, such as {"phrasing": "held_out"}.

    Raises:
        InputError: the file is missing, empty, not UTF-8 or not JSON, a question lacks its prompt or answers, or has a
            form or subject that there is not; names the line.
    """
    questions = [_question(row, f"{path}, line {number}") for number, row in json_lines(path, only)]
    if not questions:
        asked = f" with {', '.join(f'{key} = {value}' for key, value in only.items())}" if only else ""
        raise InputError(f"{path} holds no question{asked}. Give at least one, or no file of questions.")
    return questions


def write_question_set(path: Path, questions: Iterable[Question]) -> None:
    """Write the file that `read_question_set` reads, one question a line."""
    write_text(path, "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in questions))


def _question(row: Any, where: str) -> Question:
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: expected an object with prompt and answers.")
    prompt, answers = row.get("prompt"), row.get("answers")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(f"{where}: prompt is {prompt!r}; expected the text that the model goes on from.")
    if not isinstance(answers, list) or not answers or not all(isinstance(each, str) for each in answers):
        raise InputError(f"{where}: answers is {answers!r}; expected a list of one or more accepted answers.")
    if empty := [each for each in answers if not words_of(each)]:
        raise InputError(f"{where}: the answer {empty[0]!r} holds no word, so no reply could give it. Leave it out.")
    form, about = row.get("form", "direct"), row.get("about", "concept")
    for key, value, known in (("form", form, FORMS), ("about", about, ABOUT)):
        if value not in known:
            raise InputError(f"{where}: {key} is {value!r}; expected one of {', '.join(known)}.")
    texts = {key: row.get(key, "") for key in ("member", "fact", "phrasing")}
    if wrong := next((key for key, value in texts.items() if not isinstance(value, str)), None):
        raise InputError(f"{where}: {wrong} is {texts[wrong]!r}; expected text.")
    return Question(prompt, tuple(answers), form, about, **texts)


def words_of(text: str) -> list[str]:
    """The words of a text as answers are compared: casefolded, without punctuation; letters of unspaced scripts."""
    return _WORD.findall(normalize("NFKC", text).casefold())
