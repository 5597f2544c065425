"""Neurons that a person pinned: kept in the run folder, so that they survive a refresh and a second visitor."""

from collections.abc import Iterable

from unlearning_core.neurons.neuron import Neuron
from unlearning_core.runs.run import Run

NOTE = "pinned_neurons"


def pinned(run: Run) -> list[Neuron]:
    """The pinned neurons of a run, in the order in which they were pinned."""
    return [Neuron(str(site), int(layer), int(index)) for site, layer, index in run.note(NOTE) or []]


def pin(run: Run, neuron: Neuron) -> None:
    """Pin one more; nothing changes where it is pinned already."""
    known = pinned(run)
    if neuron not in known:
        _write(run, [*known, neuron])


def unpin(run: Run, neuron: Neuron) -> None:
    """Pin it no longer."""
    _write(run, (known for known in pinned(run) if known != neuron))


def _write(run: Run, neurons: Iterable[Neuron]) -> None:
    run.write_note(NOTE, [list(neuron.key) for neuron in neurons])
