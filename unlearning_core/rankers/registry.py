"""The ranking methods by name. Importing this loads no torch and no NeuroX: a page can list the methods at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

import numpy as np
from pydantic import BaseModel, ValidationError

from unlearning_core.errors import InputError
from unlearning_core.progress import ProgressCallback, silent
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

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.ranking_input import Subject


Group = Literal["fires on it", "fires only on it", "causes it", "learned to matter", "control"]
"""What a method says of a neuron: it answers to the concept; to the concept and little else; the model's loss on the
concept depends on it; training a gate on it showed that the concept needs it; nothing (what the others must beat)."""

GROUPS: tuple[Group, ...] = get_args(Group)


class Score(Protocol):
    """A method's calculation: one number a neuron, `[layers, width]`, larger for more concept-relevant."""

    def __call__(
        self,
        activations: Activations,
        outgoing_norm: np.ndarray,
        params: Any,
        *,
        seed: int,
        progress: ProgressCallback,
    ) -> np.ndarray: ...


class ModelScore(Protocol):
    """The calculation of a method that runs the model itself; the rest is as in `Score`."""

    def __call__(
        self,
        activations: Activations,
        outgoing_norm: np.ndarray,
        params: Any,
        *,
        seed: int,
        progress: ProgressCallback,
        subject: Subject,
    ) -> np.ndarray: ...


def always_available() -> str | None:
    """For a method that needs nothing but this package."""
    return None


@dataclass(frozen=True)
class Ranker:
    """One ranking method.

    Attributes:
        name: what configurations call it.
        title: what a page calls it.
        group: what it says of a neuron.
        answers: the question it answers, in one sentence.
        needs_rows: whether it needs sampled activation rows beside the statistics.
        params: pydantic model of its parameters, each with a description and a default.
        calculate: the calculation.
        unavailable: None, or a sentence that says what is missing and the command that adds it.
        needs_model: whether `calculate` is a `ModelScore`: it runs the model itself.
    """

    name: str
    title: str
    group: Group
    answers: str
    needs_rows: bool
    params: type[BaseModel]
    calculate: Score | ModelScore
    unavailable: Callable[[], str | None] = always_available
    needs_model: bool = False

    def check(self, params: Mapping[str, Any] | BaseModel | None = None) -> BaseModel:
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
        self,
        activations: Activations,
        outgoing_norm: np.ndarray,
        *,
        seed: int = 0,
        progress: ProgressCallback = silent,
        subject: Subject | None = None,
        **params: Any,
    ) -> np.ndarray:
        """One number a neuron, `[layers, width]`, larger for more concept-relevant.

        `subject` is only for a method that runs the model itself; such a one may raise Stopped through `progress`.

        Raises:
            InputError: the parameters do not hold, the method is unavailable here, or it lacks the model.
        """
        if reason := self.unavailable():
            raise InputError(f"The ranker {self.name!r} cannot be used: {reason}")
        checked = self.check(params)
        if not self.needs_model:
            return cast("Score", self.calculate)(activations, outgoing_norm, checked, seed=seed, progress=progress)
        if subject is None:
            raise InputError(
                f"The ranker {self.name!r} runs the model on the training sentences, and was given neither. Rank with "
                "it in a run, or choose a ranker that needs the statistics of a pass alone."
            )
        calculate = cast("ModelScore", self.calculate)
        return calculate(activations, outgoing_norm, checked, seed=seed, progress=progress, subject=subject)


RANKERS: dict[str, Ranker] = {
    ranker.name: ranker
    for ranker in (
        Ranker(
            "combined",
            "Combined",
            "causes it",
            "Which neurons together raise the concept's loss most within a budget for everything else?",
            False,
            combined.Params,
            combined.score,
            needs_model=True,
        ),
        Ranker(
            "activation_ratio",
            "Activation ratio",
            "fires only on it",
            "Which neurons are much more active for the concept than for everything else?",
            False,
            activation_ratio.Params,
            activation_ratio.score,
        ),
        Ranker(
            "wanda_difference",
            "Wanda difference",
            "fires only on it",
            "Which neurons put out more into the model for the concept than for everything else?",
            False,
            wanda_difference.Params,
            wanda_difference.score,
        ),
        Ranker(
            "probeless",
            "Probeless",
            "fires on it",
            "Which neurons differ most in their mean activation between concept and other words?",
            False,
            probeless.Params,
            probeless.score,
        ),
        Ranker(
            "linear_probe",
            "Linear probe",
            "fires on it",
            "Which neurons does a linear classifier use to tell concept words from others?",
            True,
            linear_probe.Params,
            linear_probe.score,
            linear_probe.unavailable,
        ),
        Ranker(
            "mean_difference",
            "Standardised mean difference",
            "fires on it",
            "Which neurons have class means the most standard deviations apart?",
            False,
            mean_difference.Params,
            mean_difference.score,
        ),
        Ranker(
            "mean_select",
            "Mean select",
            "fires on it",
            "Which neurons move between concept and other words by the largest share of their range?",
            False,
            mean_select.Params,
            mean_select.score,
        ),
        Ranker(
            "average_precision",
            "Average precision",
            "fires on it",
            "Which neurons alone would detect the concept best, whatever the threshold?",
            True,
            average_precision.Params,
            average_precision.score,
        ),
        Ranker(
            "iou",
            "Intersection over union",
            "fires on it",
            "Which neurons are at their most active on concept words and not on others?",
            True,
            iou.Params,
            iou.score,
        ),
        Ranker(
            "mutual_information",
            "Mutual information",
            "fires on it",
            "Which neurons' activations tell most about whether a word belongs to the concept?",
            True,
            mutual_information.Params,
            mutual_information.score,
        ),
        Ranker(
            "taylor",
            "Gradient x activation",
            "causes it",
            "Whose cut would raise the concept's loss most for what it costs elsewhere, going by the gradient?",
            False,
            taylor.Params,
            taylor.score,
            needs_model=True,
        ),
        Ranker(
            "ablation",
            "Exact ablation",
            "causes it",
            "Whose cut, tried one by one, raises the concept's loss most for what it costs elsewhere?",
            False,
            ablation.Params,
            ablation.score,
            needs_model=True,
        ),
        Ranker(
            "gates",
            "Learned gates",
            "learned to matter",
            "Which neurons does a training choose to close to lose the concept and keep everything else?",
            False,
            gates.Params,
            gates.score,
            needs_model=True,
        ),
        Ranker(
            "integrated_gradients",
            "Integrated gradients",
            "causes it",
            "Whose activation, dimmed step by step to nothing, takes the concept's words away?",
            False,
            integrated_gradients.Params,
            integrated_gradients.score,
            needs_model=True,
        ),
        Ranker(
            "random",
            "Random",
            "control",
            "What does cutting as many neurons anywhere do? (the control that a method must beat)",
            False,
            random.Params,
            random.score,
        ),
    )
}
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
    """A row a method for a table: its name, what it says of a neuron, the question it answers, what it needs."""
    return [
        {
            "ranker": ranker.name,
            "finds neurons that": ranker.group,
            "answers": ranker.answers,
            "parameters": ", ".join(ranker.params.model_fields),
        }
        for ranker in RANKERS.values()
    ]


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"Did you mean {close[0]!r}? " if close else ""
