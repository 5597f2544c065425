"""What the metrics of a run say, in sentences for a person who does not know the numbers."""

import math
from collections.abc import Mapping

from unlearning_core.evaluation.ratio import Z95, Estimate, format_factor, format_likelihood
from unlearning_core.evaluation.registry import Values, interval
from unlearning_core.evaluation.verdict import SUBJECTS, Subject

CHEAP = 0.05
"""Nats a token: a rise of the loss on all other text up to this (1.05 x less likely) is called a small price."""

_WRITTEN = "concept_words_per_100"


def losses_sentence(metrics: Values) -> str:
    """One sentence: how much less likely the last state of the model holds the concept's words, and at what price.

    It does not say that the concept is forgotten: words that are less likely may still be given as an answer. Only an
    evaluation says that (evaluation/verdict.py).

    Args:
        metrics: what `metrics.json` holds; at least the state "base".
    """
    if not (edited := _edited(metrics)):
        return "Nothing has been cut yet, so there is nothing to judge."
    state = edited[-1]
    values = metrics[state]
    forget, margin = _pair(values, "forget_delta")
    price, _ = _pair(values, _price(values))
    if forget - margin <= 0:
        return f"The {state} model finds the concept's words as likely as before."
    costs = "at hardly any cost" if price <= 0 else "at a small cost" if price <= CHEAP else "at a noticeable cost"
    rise, rise_margin = _pair(values, "neighbour_delta")
    before, after = metrics["base"].get(_WRITTEN) or 0.0, values.get(_WRITTEN)
    but = {
        "the neighbours pay for it": rise > CHEAP and rise - rise_margin > 0,
        "it still writes the concept's words": before > 0 and after is not None and after >= before / 2,
    }
    end = f", but {' and '.join(so for so in but if but[so])}" if any(but.values()) else ""
    return (
        f"The {state} model finds the concept's words {format_factor(forget)} times less likely, {costs} to "
        f"other text{end}. Whether it has forgotten them, only an evaluation says."
    )


def findings(metrics: Values) -> dict[str, dict[Subject, str]]:
    """For every state that was made of base: what is gone, what it cost, whether it came back, as far as measured.

    By state, by line of the verdict (`evaluation.verdict.SUBJECTS`) a sentence or two. All but the last line hold the
    state against base; the last one holds it against the state that it was made of.
    """
    edited = _edited(metrics)
    found: dict[str, dict[Subject, str]] = {}
    for number, state in enumerate(edited):
        values, before = metrics[state], metrics[edited[number - 1]] if number else None
        lines: dict[Subject, str | None] = {
            "gone": " ".join([_gone(values), *_asked(values), *_written(metrics["base"], values)]),
            "cost": _cost(values),
            "neighbours": _change(values, "neighbour", "Their words are"),
            "back": None if before is None else _came_back(before, values, edited[number - 1], state),
        }
        found[state] = {subject: line for subject, line in lines.items() if line is not None}
    return found


def asked_subjects(answers: Mapping[str, Mapping[Subject, str]], *, judged: bool) -> dict[Subject, str]:
    """The lines of the verdict to show, with what they are called: neighbours only where there are some, or a verdict.

    Args:
        answers: what `findings` returned.
    """
    known = {subject for lines in answers.values() for subject in lines}
    return {subject: title for subject, title in SUBJECTS.items() if judged or subject in known or subject == "back"}


def _edited(metrics: Values) -> list[str]:
    """The states that were compared with base, in their order."""
    return [state for state, values in metrics.items() if values.get("forget_delta") is not None]


def _pair(values: Mapping[str, float | None], name: str) -> tuple[float, float]:
    """The value and half its 95 % interval; 0 where it is not known."""
    return values.get(name) or 0.0, Z95 * (values.get(f"{name}_stderr") or 0.0)


def _gone(values: Mapping[str, float | None]) -> str:
    forget, margin = _pair(values, "forget_delta")
    if abs(forget) <= margin:
        return "Its words are as likely as before, within the error."
    factor, direction = format_factor(abs(forget)), "less" if forget > 0 else "more"
    low, high = (format_factor(abs(forget) + sign * margin) for sign in (-1, 1))
    return f"Its words are {factor} x {direction} likely (95 % interval {low} to {high})."


def _asked(values: Mapping[str, float | None]) -> list[str]:
    if values.get("questions_answered") is None:
        return []
    low, high = (100 * min(max(end, 0.0), 1.0) for end in interval(values, "questions_answered"))
    share = 100 * (values["questions_answered"] or 0.0)
    return [
        f"Of the questions that base answered, {share:.0f} % still are (95 % interval {low:.0f} % to {high:.0f} %)."
    ]


def _written(base: Mapping[str, float | None], values: Mapping[str, float | None]) -> list[str]:
    before, after = base.get(_WRITTEN), values.get(_WRITTEN)
    if before is None or after is None:
        return []
    return [f"Concept words per 100 written: {after:.1f}, before {before:.1f}."]


def _price(values: Mapping[str, float | None]) -> str:
    """The name of the change that counts as the cost: beside the concept's words others rightly change too."""
    return next((name for name in ("apart_delta", "rest_delta") if values.get(name) is not None), "retain_delta")


def _cost(values: Mapping[str, float | None]) -> str | None:
    name = _price(values)
    what = "Other text without neighbours is" if name == "rest_delta" else "Other text is"
    return _change(values, name.removesuffix("_delta"), what)


def _change(values: Mapping[str, float | None], kind: str, what: str) -> str | None:
    """In the words that the page Prune has for it."""
    change, error = values.get(f"{kind}_delta"), values.get(f"{kind}_delta_stderr")
    if change is None:
        return None
    said, ends = format_likelihood(Estimate(change, math.nan if error is None else error))
    return f"{what} {said}" + (f" (95 % interval {ends})." if ends else ".")


def _came_back(
    before: Mapping[str, float | None], values: Mapping[str, float | None], state_before: str, state: str
) -> str:
    """How much of what the state before had lost is there again: by the loss, and by the questions where asked."""
    forget, margin = _pair(values, "forget_delta")
    added, added_margin = _pair(before, "forget_delta")
    asked = ""
    if before.get("questions_answered") is not None and values.get("questions_answered") is not None:
        was, now = (100 * (one["questions_answered"] or 0.0) for one in (before, values))
        asked = f" Questions answered: {now:.0f} %, before {_process(state)} {was:.0f} %."
    if added - added_margin <= 0:
        taken = _process(state_before)
        return f"{taken[0].upper()}{taken[1:]} had taken nothing that could come back.{asked}"
    share = max(0.0, min(100 * (1 - forget / added), 100.0))
    return (
        f"{share:.0f} % of it came back with {_process(state)}: {forget:.2f} ± {margin:.2f} of the "
        f"{added:.2f} ± {added_margin:.2f} nats that {_process(state_before)} had added to its loss are still there (± "
        "is half a 95 % interval)."
        f"{asked}"
    )


def _process(state: str) -> str:
    """What made a state that is named by a participle: "retraining" of "retrained"."""
    return f"{state.removesuffix('ed')}ing" if state.endswith("ed") else f"making the {state} model"
