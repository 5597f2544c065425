"""When one neuron is active, as its card shows it: a histogram by class, and the passages at both ends."""

from dataclasses import dataclass

from unlearning_core.concepts.labelling import LabelledSet
from unlearning_core.config import ExperimentConfig
from unlearning_core.models.loading import LoadedModel
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.passages import Passage, passages
from unlearning_core.neurons.reading import Histogram, histogram, read_neuron, rows_of, sample_size


@dataclass(frozen=True)
class Activity:
    """When a neuron was active in a sample of sentences.

    Attributes:
        histogram: of its activations, by class.
        most: the passages where it was most active.
        least: where it was least active.
        sentences: how many the sample has.
    """

    histogram: Histogram
    most: list[Passage]
    least: list[Passage]
    sentences: int


def read_activity(loaded: LoadedModel, labelled: LabelledSet, neuron: Neuron, config: ExperimentConfig) -> Activity:
    """Read `neuron` in a sample of the labelled sentences, where the settings let a ranking read it.

    Raises:
        InputError: there is no such neuron.
        WorkFailed: an activation is not finite.
    """
    probing, few = config.neural_probing, sample_size(loaded.info.parameters)
    items = labelled.take(few, few, config.seed).items
    traces = read_neuron(loaded, items, neuron)
    skip = probing.skip_first_position
    values, classes = rows_of(traces, probing.alignment, probing.aggregation, skip)
    most, least = passages(loaded.tokenizer, traces, skip_first=skip)
    return Activity(histogram(values, classes), most, least, len(items))
