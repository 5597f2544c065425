"""Neurons as a person types them in a list, and back: "3.17" is neuron 17 of layer 3, both counted from 0."""

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.search import search

_ENTRY = re.compile(r"(?:([a-z]+)\s+)?(\d{1,6})\s*\.\s*(\S.*)")
_PLAIN = re.compile(r"\d{1,9}")
MOST = 10_000
"""Neurons that a list may name: more are what a ranking is for."""


def read_neurons(text: str, ranking: pd.DataFrame, shapes: Mapping[str, tuple[int, int]]) -> list[Neuron]:
    """The neurons that a list names, each once, in its order.

    Entries stand in lines or between commas: "3.17", "3.100-105" (a range), "3.5:17" (neuron 17 of expert 5 in a
    mixture of experts), "head 2.4" (of another site than the ranked one).

    Args:
        ranking: columns site, layer, index, rank, protected; its site is meant where an entry names none.
        shapes: (layers, width) of each site of the model.

    Raises:
        InputError: an entry is none of these, or names a neuron that the model has not; names the entry.
    """
    ranked = str(ranking["site"].iloc[0])
    entries = [entry for entry in map(str.strip, re.split(r"[,;\n]", text)) if entry]
    found = dict.fromkeys(neuron for entry in entries for neuron in _read(entry, ranking, ranked, shapes))
    if len(found) > MOST:
        raise InputError(
            f"The list names {len(found):,} neurons; {MOST:,} can be picked by hand. Raise the share instead."
        )
    return list(found)


def write_neurons(neurons: Iterable[Neuron], ranked: str) -> str:
    """The list that `read_neurons` reads as these neurons, one a line."""
    return "\n".join(
        f"{'' if neuron.site == ranked else neuron.site + ' '}{neuron.layer}.{neuron.index}" for neuron in neurons
    )


def _read(entry: str, ranking: pd.DataFrame, ranked: str, shapes: Mapping[str, tuple[int, int]]) -> list[Neuron]:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise InputError(f"{entry[:80]!r} is no neuron. Write layer.neuron, as 3.17, each in a line of its own.")
    site, layer, index = match[1] or ranked, int(match[2]), match[3]
    if site not in shapes:
        raise InputError(f"{entry[:80]!r} names the site {site!r}; this model has {', '.join(shapes)}. Correct it.")
    try:
        if _PLAIN.fullmatch(index):
            return [Neuron(site, layer, int(index)).check(shapes[site])]
        Neuron(site, layer, 0).check(shapes[site])
        if site != ranked:
            raise InputError("Ranges and experts are known of the ranked site alone. Write each as layer.neuron.")
        rows = search(ranking, layers=[layer], indices=index).sort_values("index")
    except InputError as error:
        raise InputError(f"{entry[:80]!r}: {error}") from error
    if rows.empty:
        width = shapes[site][1]
        raise InputError(
            f"{entry[:80]!r} names no neuron: layer {layer} has {width:,}, counted from 0. Name some of them."
        )
    return [Neuron(site, layer, int(one)) for one in rows["index"]]
