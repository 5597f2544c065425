"""From marked replies to the figures of a SmallWorld model: fractions, their errors, and what chance would reach."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from unlearning_core.smallworld.evaluate import Marked, is_repetitive
from unlearning_core.smallworld.items import Question

FORGOTTEN = "seats"
"""The family that the never-knew model has not read about."""


@dataclass(frozen=True)
class Score:
    """Right answers among `count`."""

    right: int
    count: int

    @property
    def fraction(self) -> float:
        """0 to 1; 0 where nothing was asked."""
        return self.right / self.count if self.count else 0.0

    @property
    def stderr(self) -> float:
        """Binomial standard error, sqrt(p (1 - p) / n)."""
        return math.sqrt(self.fraction * (1 - self.fraction) / self.count) if self.count else 0.0

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return {"right": self.right, "count": self.count, "fraction": self.fraction, "stderr": self.stderr}


def score(marked: Iterable[Marked]) -> Score:
    """Count the right ones."""
    replies = list(marked)
    return Score(sum(reply.right for reply in replies), len(replies))


@dataclass(frozen=True)
class Figures:
    """How one model did.

    Attributes:
        marked: every reply.
        stories: sampled stories.
    """

    marked: Sequence[Marked]
    stories: Sequence[str]

    def of(
        self, test: str, phrasing: str = "held_out", *, family: str | None = None, without: str | None = None
    ) -> Score:
        """Score of one test, of one family alone or of all but one."""
        return score(
            reply
            for reply in self.marked
            if reply.test == test
            and reply.phrasing == phrasing
            and family in (None, reply.family)
            and reply.family != without
        )

    @property
    def repetitive(self) -> int:
        """Stories with a sentence that occurs too often."""
        return sum(is_repetitive(story) for story in self.stories)

    def families(self, test: str, phrasing: str) -> list[str]:
        """The families asked about."""
        return sorted({reply.family for reply in self.marked if (reply.test, reply.phrasing) == (test, phrasing)})

    def to_dict(self) -> dict[str, Any]:
        """Every score by test, phrasing and family."""
        pairs = sorted({(reply.test, reply.phrasing) for reply in self.marked})
        scores: dict[str, Any] = defaultdict(dict)
        for test, phrasing in pairs:
            scores[test][phrasing] = {
                "all": self.of(test, phrasing).to_dict(),
                f"without_{FORGOTTEN}": self.of(test, phrasing, without=FORGOTTEN).to_dict(),
                "families": {
                    family: self.of(test, phrasing, family=family).to_dict() for family in self.families(test, phrasing)
                },
            }
        return {**scores, "stories": len(self.stories), "repetitive_stories": self.repetitive}


def chance(questions: Sequence[Question]) -> Score:
    """What someone reaches who knows how the world answers, and nothing about who is asked about.

    For each relation the guesser always gives one and the same answer with the member's name put in ("A ... is a seat
    with four legs."): the one that is right for the most questions of that relation. Every accepted wording counts.
    """
    by_relation: dict[str, list[set[str]]] = defaultdict(list)
    for question in questions:
        by_relation[question.relation].append({_template(text, question.member) for text in question.accepted})
    right = 0
    for accepted in by_relation.values():
        right += max(Counter(template for templates in accepted for template in templates).values())
    return Score(right, len(questions))


def _template(answer: str, member: str) -> str:
    """`answer` with a mark for the member's name and the article before it."""
    return re.sub(rf"\b(?:(?:a|an|the)\s+)?{re.escape(member)}(?:e?s)?\b", "<member>", answer, flags=re.IGNORECASE)


def summary(figures: Figures, never_knew: Figures | None, questions: Sequence[Question]) -> dict[str, Any]:
    """The figures that are compared with what SmallWorld is to reach, on held-out phrasings, and all others beside."""
    asked = [q for q in questions if q.family == FORGOTTEN and q.phrasing == "held_out"]
    result: dict[str, Any] = {
        "questions_exact": figures.of("questions").fraction,
        "cloze_top1": figures.of("cloze").fraction,
        "facts_exact": figures.of("facts").fraction,
        "nonsense_refused": figures.of("nonsense").fraction,
        "repetitive_stories": figures.repetitive,
        "never_knew": None,
        "chance": {"seats_questions_exact": chance(asked).to_dict()},
        "details": {"smallworld": figures.to_dict()},
    }
    if never_knew is not None:
        result["never_knew"] = {
            "seats_questions_exact": never_knew.of("questions", family=FORGOTTEN).fraction,
            "others_questions_exact": never_knew.of("questions", without=FORGOTTEN).fraction,
        }
        result["details"]["never_knew"] = never_knew.to_dict()
    return result
