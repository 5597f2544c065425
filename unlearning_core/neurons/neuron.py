"""The name of one neuron."""

from dataclasses import dataclass

from unlearning_core.errors import InputError


@dataclass(frozen=True, order=True)
class Neuron:
    """A neuron of a model.

    Attributes:
        site: which kind it is.
        layer: its layer, from 0.
        index: its place in the layer, from 0.
    """

    site: str
    layer: int
    index: int

    @property
    def key(self) -> tuple[str, int, int]:
        """(site, layer, index), as a mask and a config name it."""
        return (self.site, self.layer, self.index)

    def check(self, shape: tuple[int, int]) -> "Neuron":
        """Itself, if it lies in `shape`, the (layers, width) of its site; raises InputError otherwise."""
        layers, width = shape
        if not (0 <= self.layer < layers and 0 <= self.index < width):
            raise InputError(
                f"There is no neuron {self.index} in layer {self.layer} of the site {self.site!r}: it has {layers} "
                f"layers of {width}, counted from 0. Choose one of them."
            )
        return self
