"""What a ranking method is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from unlearning_core.concepts.labelling import LabelledSet, LabelledText
from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.activations.reservoir import Rows
    from unlearning_core.models.loading import LoadedModel


@dataclass(frozen=True)
class RankingInput:
    """The neurons to rank, what a pass saw of them and, for methods that run the model, the model and the text.

    Attributes:
        activations: what the pass over the training sentences kept; its site is the one that is ranked.
        outgoing_norm: L2 norm of the weights that leave each neuron, `[layers, width]`; None: the same for all.
        seed: of methods that draw numbers.
        progress: told how far a method that takes long is; may raise Stopped.
        model: the model, or None where it is not at hand; it may be shared, so a method leaves it as it is.
        items: the labelled training sentences, with and without the concept. What a neuron is measured on afterwards
            is not among them.
        folder: where a method that takes long keeps how far it is, to go on from there; None: it keeps nothing.
        neighbour_share: what share of a cut's cost is the neighbours', where sentences have any (0 to below 1); 0: they
            count like every other token.
        ranker: name of the method, for error messages; `Ranker.score` fills it in.
    """

    activations: Activations
    outgoing_norm: Float[np.ndarray, "layers width"] | None = None
    seed: int = 0
    progress: ProgressCallback = silent
    model: LoadedModel | None = None
    items: Sequence[LabelledText] = ()
    folder: Path | None = None
    neighbour_share: float = 0.0
    ranker: str = ""

    @property
    def site(self) -> str:
        """Which kind of neuron is ranked."""
        return self.activations.site

    @property
    def loaded(self) -> LoadedModel:
        """The model, for a method that runs it; raises InputError where there is none."""
        if self.model is None:
            raise InputError(
                f"The ranker {self.ranker!r} runs the model on the training sentences, and was given neither. Rank "
                "with it in a run, or choose a ranker that needs the statistics of a pass alone."
            )
        return self.model

    @property
    def rows(self) -> Rows:
        """The sampled activation rows, as many of one class as of the other.

        Raises:
            InputError: the pass sampled no rows of both classes.
        """
        rows = self.activations.rows
        if rows is None or len(np.unique(rows.y)) < 2:
            raise InputError(
                f"The ranker {self.ranker!r} needs activation rows of both classes and the pass sampled none: collect "
                "the activations again with rows above 0 and sentences of both kinds."
            )
        return rows

    def rows_by_layer(self) -> Iterator[Float[np.ndarray, "width rows"]]:
        """The sampled rows of one layer after the other, each neuron's side by side in memory; tells the progress."""
        values = self.rows.X
        layers = values.shape[1]
        for layer in range(layers):
            self.progress(Progress("scoring neurons", layer, layers, "layers"))
            yield np.ascontiguousarray(values[:, layer].T)
        self.progress(Progress("scoring neurons", layers, layers, "layers"))

    def massive(self) -> Bool[np.ndarray, "layers width"]:
        """Which neurons write the attention sink: a method need not try them, and a ranking puts them last."""
        found = np.zeros(self.activations.statistics.shape, bool)
        table = self.activations.massive
        found[table["layer"].to_numpy(int), table["index"].to_numpy(int)] = True
        return found

    def sample(self, sentences: int) -> RankingInput:
        """The same with at most so many sentences with, and as many without the concept, drawn with the seed."""
        return replace(self, items=LabelledSet(list(self.items)).take(sentences, sentences, self.seed).items)
