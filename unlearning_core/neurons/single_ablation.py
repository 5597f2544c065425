"""What cutting one neuron and no other does to the loss."""

from collections.abc import Sequence
from dataclasses import dataclass

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.mask import Mask
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import Measurement, nll_delta
from unlearning_core.evaluation.ratio import Estimate
from unlearning_core.models.loading import LoadedModel
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.reading import sample_size


def held_out_size(parameters: int) -> int:
    """How many held-out sentences of each kind are measured for one neuron: fewer, the larger the model."""
    return max(16, min(50, sample_size(parameters) // 2))


@dataclass(frozen=True)
class SingleAblation:
    """Change of the mean negative log-likelihood, nats a token, with its standard error.

    Attributes:
        concept: at the concept's tokens.
        retain: at all other tokens.
        sentences: how many sentences were measured.
    """

    concept: Estimate
    retain: Estimate
    sentences: int


def ablate(loaded: LoadedModel, items: Sequence[LabelledText], neuron: Neuron, base: Measurement) -> SingleAblation:
    """Measure `items` with the neuron cut, against `base`, the measurement of the same sentences with none cut.

    Raises:
        InputError: there is no such neuron, or `base` is of other sentences.
        WorkFailed: the model's output is not a number.
    """
    shape = loaded.map.require(neuron.site)
    neuron.check(shape)
    cut = measure(loaded, items, mask=Mask.from_neurons({neuron.site: shape}, [neuron.key]))
    return SingleAblation(nll_delta(base, cut, "concept"), nll_delta(base, cut, "retain"), len(items))
