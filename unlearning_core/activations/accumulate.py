"""Running sums of one site of a model, fed by hooks while the model runs; no activation outlives its layer's hook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from unlearning_core.activations.batches import Batch
from unlearning_core.activations.statistics import CONCEPT, RETAIN, Statistics

CHUNK_VALUES = 2**18
"""Activations reduced at once on a CPU: 2 MB in float64, which a cache still holds through all the sums, and few enough
chunks that starting threads for each costs little."""

CHUNK_VALUES_GPU = 2**25


@dataclass(frozen=True)
class Chunk:
    """Rows of one class, reduced together.

    Attributes:
        label: their class.
        reads: j-th positions of the rows that have one, a list; each is a prefix of the one before.
        count: how many positions each row averages; None where all average one.
        picked: rows of the chunk that enter the reservoir.
        slots: their places in it.
    """

    label: int
    reads: list[Int64[Tensor, " _"]]
    count: Float64[Tensor, "rows 1"] | None
    picked: Int64[np.ndarray, " picked"]
    slots: Int64[np.ndarray, " picked"]


def plan(
    batch: Batch,
    width: int,
    device: torch.device,
    picked: Int64[np.ndarray, " picked"],
    slots: Int64[np.ndarray, " picked"],
) -> list[Chunk]:
    """Cut a batch's rows into chunks, once for all layers; `picked` are the rows that enter the reservoir."""
    step = max(16, (CHUNK_VALUES if device.type == "cpu" else CHUNK_VALUES_GPU) // width)
    chunks = []
    for label, low, high in ((RETAIN, 0, batch.retain), (CONCEPT, batch.retain, batch.retain + batch.concept)):
        for start in range(low, high, step):
            stop = min(start + step, high)
            count = batch.read_count[start:stop]
            reads = [
                torch.from_numpy(batch.reads[start : start + int((count > place).sum()), place].copy()).to(device)
                for place in range(int(count.max()))
            ]
            scale = torch.from_numpy(count.astype(np.float64))[:, None].to(device) if len(reads) > 1 else None
            inside = (picked >= start) & (picked < stop)
            chunks.append(Chunk(label, reads, scale, picked[inside] - start, slots[inside]))
    return chunks


class LayerSums:
    """Sums over the rows of one layer, by class, on the device where the layer lives.

    Attributes:
        heads: attention heads to take the norm of, or 0 where activations are read as they are.
    """

    def __init__(self, width: int, device: torch.device, heads: int = 0) -> None:
        self.heads = heads
        # Apple's GPUs have no float64: there a chunk is summed in float32 and only the running sum is in float64.
        self.dtype = torch.float32 if device.type == "mps" else torch.float64
        exact: Any = {"dtype": torch.float64, "device": "cpu" if device.type == "mps" else device}
        self.sums = torch.zeros(4, 2, width, **exact)
        self.min = torch.full((2, width), torch.inf, **exact)
        self.max = torch.full((2, width), -torch.inf, **exact)
        self.first_abs = torch.zeros(width, **exact)

    def add(
        self,
        values: Float[Tensor, "*positions inputs"],
        chunks: list[Chunk],
        texts: int,
        buffer: Float32[np.ndarray, "slots width"] | None,
    ) -> None:
        """Take in one batch of one layer.

        Args:
            values: what the site's module read.
            chunks: the batch's rows.
            texts: how many texts stand side by side.
            buffer: the reservoir's rows of this layer.
        """
        flat = values.detach().reshape(-1, values.shape[-1])
        firsts = self._neurons(flat[:: flat.shape[0] // texts])
        self.first_abs += firsts.abs().sum(0).to(self.first_abs.device)
        for chunk in chunks:
            rows = self._rows(flat, chunk)
            if buffer is not None and len(chunk.picked):
                buffer[chunk.slots] = rows[torch.from_numpy(chunk.picked).to(rows.device)].float().cpu().numpy()
            self._reduce(rows, chunk.label)

    def _rows(self, flat: Float[Tensor, "positions inputs"], chunk: Chunk) -> Float[Tensor, "rows width"]:
        """The chunk's rows, in a tensor of their own."""
        rows = self._neurons(flat.index_select(0, chunk.reads[0].to(flat.device)))
        for reads in chunk.reads[1:]:
            rows[: len(reads)] += self._neurons(flat.index_select(0, reads.to(flat.device)))
        if chunk.count is not None:
            rows /= chunk.count.to(rows)
        return rows

    def _neurons(self, inputs: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows width"]:
        """From what a module reads to one number a neuron, in the dtype of the sums (a copy)."""
        values = inputs.to(self.dtype, copy=True)
        if self.heads:
            return torch.linalg.vector_norm(values.unflatten(-1, (self.heads, -1)), dim=-1)
        return values

    def _reduce(self, rows: Float[Tensor, "rows width"], label: int) -> None:
        """Add the rows to the sums; uses `rows` up. A product with ones sums a cached chunk fastest."""
        ones = torch.ones(1, len(rows), dtype=rows.dtype, device=rows.device)
        home = self.sums.device
        self.min[label] = torch.minimum(self.min[label], rows.amin(0).to(home))
        self.max[label] = torch.maximum(self.max[label], rows.amax(0).to(home))
        self.sums[0, label] += (ones @ rows)[0].to(home)
        self.sums[3, label] += (ones @ torch.gt(rows, 0, out=torch.empty_like(rows)))[0].to(home)
        rows.abs_()
        self.sums[2, label] += (ones @ rows)[0].to(home)
        rows.square_()
        self.sums[1, label] += (ones @ rows)[0].to(home)


def to_statistics(layers: list[LayerSums], count: Int64[np.ndarray, " 2"]) -> Statistics:
    """Gather the layers' sums; `count` is rows by class."""

    parts = [torch.stack([*layer.sums, layer.min, layer.max]).cpu().numpy() for layer in layers]
    total, squares, absolute, positive, least, most = np.stack(parts, axis=2)
    return Statistics(count, total, squares, absolute, least, most, positive)
