"""What a ranking method that runs the model itself is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unlearning_core.concepts.labelling import LabelledText
    from unlearning_core.models.loading import LoadedModel


@dataclass(frozen=True)
class Subject:
    """The model whose neurons are ranked, and the text they are ranked on.

    Attributes:
        loaded: the model; it may be shared, so a method leaves it as it is.
        items: the labelled training sentences, with and without the concept. What a neuron is measured on afterwards
            is not among them.
        folder: where a method that takes long keeps how far it is, to go on from there; None: it keeps nothing.
        neighbour_share: what share of a cut's cost is the neighbours', where sentences have any (0 to below 1); 0: they
            count like every other token.
    """

    loaded: LoadedModel
    items: Sequence[LabelledText]
    folder: Path | None = None
    neighbour_share: float = 0.0
