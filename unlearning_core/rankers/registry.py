"""The ranking methods by name. Importing this loads no torch and no NeuroX: a page can list the methods at once.

A method is a file of this folder with `score(given, params)`, and a row of the table below.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ValidationError

from unlearning_core.errors import InputError
from unlearning_core.rankers import (
    ablation,
    activation_ratio,
    average_precision,
    combined,
    gates,
    integrated_gradients,
    iou,
    linear_probe,
    mean_difference,
    mean_select,
    mutual_information,
    probeless,
    random,
    taylor,
    wanda_difference,
)
from unlearning_core.rankers.parameters import Params
from unlearning_core.rankers.ranking_input import RankingInput

Group = Literal["fires on it", "fires only on it", "causes it", "learned to matter", "control"]
"""What a method says of a neuron: it answers to the concept; to the concept and little else; the model's loss on the
concept depends on it; training a gate on it showed that the concept needs it; nothing (what the others must beat)."""

GROUPS: tuple[Group, ...] = get_args(Group)


class Quantity(NamedTuple):
    """What a method's number for a neuron is; the larger, the more concept-relevant.

    Attributes:
        name: what it is called.
        unit: what stands behind the number; empty for a number without a unit.
        meaning: how to read it, in one sentence.
    """

    name: str
    unit: str
    meaning: str

    @property
    def title(self) -> str:
        """Its name with the unit in brackets."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def key(self) -> str:
        """Its name as a column of a file: "mutual_information"."""
        return self.name.replace(" ", "_")

    def written(self, value: float) -> str:
        """`value` with three digits and the unit."""
        number = f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3g}"
        return f"{number} {self.unit}".rstrip()


@dataclass(frozen=True)
class Ranker:
    """One ranking method.

    Attributes:
        name: what configurations call it.
        title: what a page calls it.
        group: what it says of a neuron.
        calculate: the calculation: one number a neuron, `[layers, width]`, larger for more concept-relevant.
        params: pydantic model of its parameters, each with a description and a default.
        answers: the question it answers, in one sentence.
        quantity: what its number for a neuron is.
        version: raised when the method gives other scores than before, also because one that it builds on does
            (`ablation` and `gates` build on `taylor`): rankings by it, and no others, are made again.
        needs_rows: whether it needs sampled activation rows beside the statistics.
        needs_model: whether it runs the model itself.
        trains: whether it trains something and keeps a history of that (rankers/history.py).
        passes: forward passes over so many sentences that it costs with these parameters, roughly; what statistics
            take by default (docs/rankers.md).
        unavailable: None, or a sentence that says what is missing and the command that adds it.
    """

    name: str
    title: str
    group: Group
    calculate: Callable[[RankingInput, Any], Float[np.ndarray, "layers width"]]
    params: type[Params]
    answers: str
    quantity: Quantity
    version: int = 1
    needs_rows: bool = False
    needs_model: bool = False
    trains: bool = False
    passes: Callable[[Any, int], float] = lambda params, sentences: 1.5
    unavailable: Callable[[], str | None] = lambda: None

    def check(self, params: Mapping[str, Any] | BaseModel | None = None) -> Params:
        """The method's parameters, checked and completed with defaults.

        Raises:
            InputError: an unknown parameter (the nearest known one is named) or a value outside its range.
        """
        values = params.model_dump() if isinstance(params, BaseModel) else dict(params or {})
        known = list(self.params.model_fields)
        for name in values:
            if name not in known:
                raise InputError(
                    f"The ranker {self.name!r} has no parameter {name!r}. {_nearest(name, known)}"
                    f"Known: {', '.join(known) or 'none'}. In a config they stand in neural_probing.ranker_parameters; "
                    "{} there takes the defaults."
                )
        try:
            return self.params(**values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"The parameter {field!r} of the ranker {self.name!r} is {first['input']!r}: {first['msg']}."
            ) from error

    def score(
        self, given: RankingInput, params: Mapping[str, Any] | BaseModel | None = None
    ) -> Float[np.ndarray, "layers width"]:
        """One number a neuron, larger for more concept-relevant.

        Raises:
            InputError: the parameters do not hold, the method is unavailable here, or it lacks the model or rows.
            Stopped: `given.progress` raised it.
        """
        if reason := self.unavailable():
            raise InputError(f"The ranker {self.name!r} cannot be used: {reason}")
        return self.calculate(replace(given, ranker=self.name), self.check(params))


# fmt: off
_ROWS = (
    Ranker("combined", "Combined", "causes it", combined.score, combined.Params,
           "Which neurons together raise the concept loss most within a budget for other text?",
           version=2, needs_model=True, passes=combined.passes,
           quantity=Quantity("order score", "",
               "Neurons that were cut together stand above all others, in the order of their cut; those below have "
               "their gain for cost: the rise of the concept loss by their cut over what it costs other text.")),
    Ranker("activation_ratio", "Activation ratio", "fires only on it", activation_ratio.score, activation_ratio.Params,
           "Which neurons are much more active on the concept than on other text?",
           version=2,
           quantity=Quantity("activity ratio", "x",
               "How many times as active the neuron is for the concept as for other text; 1 is no difference.")),
    Ranker("wanda_difference", "Wanda difference", "fires only on it", wanda_difference.score, wanda_difference.Params,
           "Which neurons write more into the model on the concept than on other text?",
           version=2,
           quantity=Quantity("output difference", "",
               "What it puts out for the concept less what it puts out for other text, by default in units of what "
               "the layer's mean neuron puts out.")),
    Ranker("probeless", "Probeless", "fires on it", probeless.score, probeless.Params,
           "Which neurons differ most in mean activation between the concept and other text?",
           version=2,
           quantity=Quantity("difference of means", "",
               "Distance of its mean activation for the concept from that for other text.")),
    Ranker("linear_probe", "Linear probe", "fires on it", linear_probe.score, linear_probe.Params,
           "Which neurons does a linear classifier use to tell the concept from other text?",
           version=2, needs_rows=True, passes=linear_probe.passes, unavailable=linear_probe.unavailable,
           quantity=Quantity("standing in the probe", "",
               "1 less the share of the classifier's total weight that larger weights hold: 1 is the largest "
               "weight.")),
    Ranker("mean_difference", "Standardised mean difference", "fires on it", mean_difference.score,
           mean_difference.Params,
           "Whose mean activations on the concept and on other text lie the most standard deviations apart?",
           version=2,
           quantity=Quantity("difference of means", "SD",
               "Distance of its mean activations for concept and other text, in standard deviations within a "
               "class.")),
    Ranker("mean_select", "Mean select", "fires on it", mean_select.score, mean_select.Params,
           "Whose activation moves by the largest share of its range between the concept and other text?",
           version=2,
           quantity=Quantity("difference of means", "of its range",
               "Distance of its mean activations for concept and other text, as a share of its whole range.")),
    Ranker("average_precision", "Average precision", "fires on it", average_precision.score, average_precision.Params,
           "Which neurons alone would detect the concept best, whatever the threshold?",
           version=2, needs_rows=True,
           quantity=Quantity("average precision", "",
               "As a detector of the concept: 1 is perfect, 0.5 knows nothing.")),
    Ranker("iou", "Intersection over union", "fires on it", iou.score, iou.Params,
           "Which neurons are at their most active on the concept and not on other text?",
           version=2, needs_rows=True,
           quantity=Quantity("intersection over union", "",
               "Of the rows where it is most active and those of the concept: the larger, the better they "
               "coincide.")),
    Ranker("mutual_information", "Mutual information", "fires on it", mutual_information.score,
           mutual_information.Params,
           "Which neurons' activations tell most about whether a word belongs to the concept?",
           version=2, needs_rows=True,
           quantity=Quantity("mutual information", "nats",
               "What its activation tells about the class: 0.693 nats know it for sure.")),
    Ranker("taylor", "Gradient x activation", "causes it", taylor.score, taylor.Params,
           "Whose cut would raise the concept loss most for what it costs other text, going by the gradient?",
           version=2, needs_model=True, passes=taylor.passes,
           quantity=Quantity("estimated gain for cost", "",
               "Rise of the concept loss that the gradient expects of its cut, by default over what other text "
               "would pay.")),
    Ranker("ablation", "Exact ablation", "causes it", ablation.score, ablation.Params,
           "Whose cut, tried one by one, raises the concept loss most for what it costs other text?",
           version=2, needs_model=True, passes=ablation.passes,
           quantity=Quantity("measured gain for cost", "",
               "Rise of the concept loss by its cut over what other text paid; neurons that were not tried have "
               "a place below those whose cut helped, by the gradient.")),
    Ranker("gates", "Learned gates", "learned to matter", gates.score, gates.Params,
           "Which neurons does a training choose to close to lose the concept and keep other text?",
           version=2, needs_model=True, trains=True, passes=gates.passes,
           quantity=Quantity("gate closedness", "",
               "- log alpha of its gate after training: above 0 the gate is more often closed than open.")),
    Ranker("integrated_gradients", "Integrated gradients", "causes it", integrated_gradients.score,
           integrated_gradients.Params,
           "What is the effect of fading a neuron out, step by step?",
           version=2, needs_model=True, passes=integrated_gradients.passes,
           quantity=Quantity("integrated gain for cost", "",
               "Its share of the rise of the concept loss as its layer is faded out, over its share of what "
               "other text pays.")),
    Ranker("random", "Random order", "control", random.score, random.Params,
           "The baseline to beat: what does cutting as many neurons anywhere do?",
           version=2,
           quantity=Quantity("random number", "",
               "From 0 to 1, by the seed.")),
)
# fmt: on

RANKERS: dict[str, Ranker] = {ranker.name: ranker for ranker in _ROWS}
"""Every method by name, the default first."""

DEFAULT_RANKER = next(iter(RANKERS))


def get_ranker(name: str) -> Ranker:
    """The method called `name`.

    Raises:
        InputError: there is none; names the nearest one.
    """
    if name in RANKERS:
        return RANKERS[name]
    raise InputError(
        f"There is no ranker called {name!r}. {_nearest(name, list(RANKERS))}Choose one of: {', '.join(RANKERS)}."
    )


def ranker_table() -> list[dict[str, str]]:
    """The methods as text, the default first: name, title, group, answers, needs, parameters with their defaults.

    `needs` also says what is missing here, where something is.
    """
    table = []
    for ranker in RANKERS.values():
        row = {field: getattr(ranker, field) for field in ("name", "title", "group", "answers")}
        needs = "the model" if ranker.needs_model else "activation rows" if ranker.needs_rows else "statistics"
        defaults = ranker.check().model_dump(mode="json")
        row["needs"] = ". ".join(filter(None, [needs, ranker.unavailable()]))
        row["parameters"] = ", ".join(f"{parameter}={value}" for parameter, value in defaults.items())
        table.append(row)
    return table


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"Did you mean {close[0]!r}? " if close else ""
