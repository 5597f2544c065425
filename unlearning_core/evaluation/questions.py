"""Questions with a right and several wrong answers, as JSON lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearning_core.concepts.texts import json_lines
from unlearning_core.errors import InputError


@dataclass(frozen=True)
class TruthQuestion:
    """A question that a model may know the answer to.

    Attributes:
        prompt: the question, up to where the answer begins.
        paraphrase: the right answer in other words than those that were trained on.
        perturbed: wrong answers of the same form.
    """

    prompt: str
    paraphrase: str
    perturbed: tuple[str, ...]


def read_questions(path: Path, only: Mapping[str, Any] | None = None) -> list[TruthQuestion]:
    """The questions of a file with one JSON object a line; keys that `TruthQuestion` has not are passed over.

    Args:
        only: just those whose other keys have these values, such as {"family": "seats"}.

    Raises:
        InputError: the file is missing, empty, not UTF-8 or not JSON, or a question lacks a key; names the line.
    """
    questions = [_question(row, f"{path}, line {number}") for number, row in json_lines(path, only)]
    if not questions:
        asked = f" with {', '.join(f'{key} = {value}' for key, value in only.items())}" if only else ""
        raise InputError(f"{path} holds no question{asked}. Give at least one, or no file of questions.")
    return questions


def _question(row: Any, where: str) -> TruthQuestion:
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: expected an object with prompt, paraphrase and perturbed.")
    for key in ("prompt", "paraphrase"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise InputError(f"{where}: {key} is {row.get(key)!r}; expected text.")
    wrong = row.get("perturbed")
    if not isinstance(wrong, list) or not wrong or not all(isinstance(text, str) and text.strip() for text in wrong):
        raise InputError(f"{where}: perturbed is {wrong!r}; expected a list of one or more wrong answers.")
    return TruthQuestion(row["prompt"], row["paraphrase"], tuple(wrong))
