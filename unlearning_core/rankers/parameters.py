"""Parameters that several ranking methods have: their type, range and description, each said once.

A method's class derives from `Params` and gives each shared parameter the default that suits the method:

    class Params(parameters.Params):
        candidates: int = Field(300, ge=1, description="...")
        cost: CostParameter = "loss"
        sentences: SentencesParameter = 24
"""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

Direction = Literal["either", "higher", "lower"]
"""Whether a neuron counts that is higher on the concept than on other text, lower, or whichever it is more clearly."""

Cost = Literal["loss", "divergence", "both"]
"""What a cut costs elsewhere (see `gain_for_cost.gain_for_cost`)."""

DirectionParameter = Annotated[
    Direction,
    Field(
        description="Count neurons that are higher on the concept than on other text, lower, or either (the larger)."
    ),
]
CostParameter = Annotated[
    Cost,
    Field(
        description="What a cut costs other text: the rise of the loss on all other tokens, as retain deltas are "
        "measured; how far it moves the predictions there (Kullback-Leibler divergence); or both, the divergence "
        "counting three tenths."
    ),
]
EpsParameter = Annotated[
    float, Field(gt=0, le=100, description="Added to the cost, as a multiple of the middle neuron's.")
]
SentencesParameter = Annotated[
    int, Field(ge=2, description="Training sentences with, and as many without the concept, at most.")
]
PrecisionParameter = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(
        description="Of the matrix products of a model in float32; auto: bfloat16 where the processor multiplies in it "
        "and the model is large enough for it to pay."
    ),
]


class Params(BaseModel):
    """Parameters of a method; an unknown one is refused. A method that has none uses this class itself."""

    model_config = ConfigDict(extra="forbid")


class DirectionParams(Params):
    """Parameters of a method that compares the classes in one direction or in both."""

    direction: DirectionParameter = "either"


class GateParams(Params):
    """Parameters of `gates`, which its training reads too."""

    steps: int = Field(90, ge=1, le=100_000, description="Optimizer steps.")
    batch: int = Field(8, ge=1, description="Sentences with, and as many without the concept, a step.")
    candidates: int = Field(4000, ge=1, description="Neurons that get a gate: the first of the cheap ranking.")
    cap: float = Field(4.0, gt=0, description="Rise of a concept token's loss, in nats, beyond which nothing is won.")
    keep: float = Field(6.0, ge=0, description="Weight of the divergence from the base model at all other tokens.")
    few: float = Field(0.1, ge=0, description="Nats that closing 1 % of the neurons costs.")
    learning_rate: float = Field(0.2, gt=0, description="Adam's, for log alpha; it falls to a tenth at the end.")
    sentences: SentencesParameter = 300
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Of the passes; bfloat16 is faster on a GPU and on a CPU that multiplies it itself.",
    )


def share(sample: int, sentences: int) -> float:
    """Which part of so many sentences `sample` of each kind are, at most 1."""
    return min(1.0, 2 * sample / max(1, sentences))


def directed(
    higher: Float[np.ndarray, "*neurons"], lower: Float[np.ndarray, "*neurons"], direction: Direction
) -> Float[np.ndarray, "*neurons"]:
    """The score of the direction that counts; the larger of both for "either"."""
    return {"either": np.maximum(higher, lower), "higher": higher, "lower": lower}[direction]
