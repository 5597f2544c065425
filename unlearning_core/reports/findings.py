"""What the metrics of a run say, in sentences for a person who does not know the numbers."""

import math
from collections.abc import Mapping
from itertools import pairwise

from unlearning_core.evaluation.ratio import Z95
from unlearning_core.evaluation.registry import Values

CHEAP = 0.05
"""Nats a token: a rise of the loss on all other text up to this (5 % perplexity) is called a small price."""

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
        return f"The {state} model holds the concept's words for as likely as before."
    costs = "at hardly any cost" if price <= 0 else "at a small cost" if price <= CHEAP else "at a noticeable cost"
    rise, rise_margin = _pair(values, "neighbour_delta")
    before, after = metrics["base"].get(_WRITTEN) or 0.0, values.get(_WRITTEN)
    but = {
        "its neighbours pay for it": rise > CHEAP and rise - rise_margin > 0,
        "it still writes the concept's words": before > 0 and after is not None and after >= before / 2,
    }
    end = f", but {' and '.join(so for so in but if but[so])}" if any(but.values()) else ""
    return (
        f"The {state} model holds the concept's words for {math.exp(forget):.3g} times less likely, {costs} to "
        f"everything else{end}. Whether it has forgotten them, only an evaluation says."
    )


def findings(metrics: Values) -> list[str]:
    """How much is gone, what it cost, and whether it came back: a sentence each, as far as it was measured.

    The first state after base is judged against base, every later one against the state before it too.
    """
    edited = _edited(metrics)
    if not edited:
        return []
    first = edited[0]
    sentences = [_gone(first, metrics[first]), *_costs(first, metrics[first])]
    for before, state in pairwise(edited):
        sentences += [_came_back(metrics, before, state), *_costs(state, metrics[state])]
    return sentences + _on_the_page(metrics)


def _edited(metrics: Values) -> list[str]:
    """The states that were compared with base, in their order."""
    return [state for state, values in metrics.items() if values.get("forget_delta") is not None]


def _pair(values: Mapping[str, float | None], name: str) -> tuple[float, float]:
    """The value and half its 95 % interval; 0 where it is not known."""
    return values.get(name) or 0.0, Z95 * (values.get(f"{name}_stderr") or 0.0)


def _gone(state: str, values: Mapping[str, float | None]) -> str:
    forget, margin = _pair(values, "forget_delta")
    if abs(forget) <= margin:
        return f"Gone: the {state} model predicts the concept's words as well as before, within the error."
    factor, direction = math.exp(abs(forget)), "less" if forget > 0 else "more"
    low, high = (math.exp(abs(forget) + sign * margin) for sign in (-1, 1))
    return (
        f"Gone: the {state} model thinks each word of the concept {factor:.3g} times {direction} likely than before, "
        f"on average (95 % interval {low:.3g} to {high:.3g})."
    )


def _price(values: Mapping[str, float | None]) -> str:
    """The name of the change that counts as the cost: beside the concept's words others rightly change too."""
    return next((name for name in ("apart_delta", "rest_delta") if values.get(name) is not None), "retain_delta")


def _costs(state: str, values: Mapping[str, float | None]) -> list[str]:
    where = "in sentences without the concept" if _price(values) == "apart_delta" else "on all other words"
    change = _change(values, "apart" if _price(values) == "apart_delta" else "retain")
    found = [f"Cost: the perplexity of the {state} model {where} changed by {change}."]
    if values.get("neighbour_delta") is not None:
        found.append(
            f"Neighbours: on the words that were to stay it changed by {_change(values, 'neighbour')}, on everything "
            f"else by {_change(values, 'rest')}."
        )
    return found


def _change(values: Mapping[str, float | None], kind: str) -> str:
    price, margin = _pair(values, f"{kind}_delta")
    low, high = (_percent(price + sign * margin) for sign in (-1, 1))
    return f"{_percent(price)} (95 % interval {low} to {high})"


def _came_back(metrics: Values, before: str, state: str) -> str:
    forget, margin = _pair(metrics[state], "forget_delta")
    added, added_margin = _pair(metrics[before], "forget_delta")
    if added - added_margin <= 0:
        return (
            f"After {_process(state)} the concept's loss stands {forget:+.2f} ± {margin:.2f} nats from where it began "
            "(± half a 95 % interval)."
        )
    share = max(0.0, min(100 * forget / added, 100.0))
    return (
        f"Came back: after {_process(state)}, {share:.0f} % of the loss that {_process(before)} added to the concept's "
        f"words is still there ({forget:.2f} ± {margin:.2f} of {added:.2f} ± {added_margin:.2f} nats, half a 95 % "
        "interval)."
    )


def _process(state: str) -> str:
    """What made a state that is named by a participle: "retraining" of "retrained"."""
    return f"{state.removesuffix('ed')}ing" if state.endswith("ed") else f"making the {state} model"


def _on_the_page(metrics: Values) -> list[str]:
    there = {state: value for state, values in metrics.items() if (value := values.get(_WRITTEN)) is not None}
    if "base" not in there or len(there) < 2:
        return []
    listed = ", ".join(f"{value:.1f} ({state})" for state, value in there.items())
    return [f"On the page: of 100 words written after the test prompts, so many belong to the concept: {listed}."]


def _percent(nats: float) -> str:
    percent = 100 * math.expm1(nats)
    return f"{percent:+.0f} %" if abs(percent) >= 100 else f"{percent:+.1f} %"
