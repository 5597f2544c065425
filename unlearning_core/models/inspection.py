"""What a model is and what it needs, told before its weights are loaded."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ModelInfo:
    """Facts of one model, ready for JSON.

    Attributes:
        source: what the person typed.
        model_type: the family, as transformers calls it.
        layers: number of blocks.
        shapes: (layers, width) for each site that the model offers.
        parameters: numbers in the model; tied ones counted once.
        bytes_in_memory: what the weights take at `dtype`.
        dtype: float32, bfloat16 or float16.
        device: cpu, cuda, cuda:0, mps.
        licence: as the model card or the file names it, or None.
        revision: the Hub's commit, or None for a local source.
    """

    source: str
    model_type: str
    layers: int
    shapes: dict[str, tuple[int, int]]
    parameters: int
    bytes_in_memory: int
    dtype: str
    device: str = "cpu"
    licence: str | None = None
    revision: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same facts as JSON types."""
        return {**asdict(self), "shapes": {site: list(shape) for site, shape in self.shapes.items()}}
