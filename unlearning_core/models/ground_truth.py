"""Where a model keeps a concept, for models that were trained so that this is known."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from unlearning_core.errors import InputError
from unlearning_core.models.sources.resolve import resolve
from unlearning_core.models.sources.starters import STARTERS

ROUTED = "routed.json"
"""In the folder of a model that was trained with routing: {"concept": ..., "site": "mlp", "neurons": [[layer, index]]}.

What was learned about the concept went into these neurons alone (smallworld/routing.py).
"""


@dataclass(frozen=True)
class GroundTruth:
    """The neurons of one site that alone learned about a concept, as (layer, index)."""

    concept: str
    site: str
    neurons: frozenset[tuple[int, int]]


def ground_truth(source: str) -> GroundTruth | None:
    """What is known of the model `source`; None for nearly every model. Nothing is fetched.

    Raises:
        InputError: its routed.json is not of that form, or names no neuron.
    """
    found = resolve(source)
    folder = STARTERS[found.name].ready() if found.kind == "starter" else found.path
    path = Path(folder or "") / ROUTED
    if folder is None or not path.is_file():
        return None
    try:
        truth = TypeAdapter(GroundTruth).validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(
            f'{path} is not of the form {{"concept": "seats", "site": "mlp", "neurons": [[layer, index], ...]}}: '
            f"{error.errors()[0]['msg']}. Restore the file, or delete it to use the model as any other."
        ) from error
    if not truth.neurons:
        raise InputError(f"{path} names no neuron. Restore the file, or delete it to use the model as any other.")
    return truth
