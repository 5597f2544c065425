"""Sum what several processes saw, so that each of them holds the statistics of the whole corpus."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Shaped

from unlearning_core.activations.reservoir import Reservoir, Rows, merged
from unlearning_core.activations.statistics import Statistics


def processes() -> tuple[int, int]:
    """(this process's number, how many there are); (0, 1) outside torch.distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def all_statistics(own: Statistics) -> Statistics:
    """The sum of every process's statistics, the same in each."""
    operations = {"min": dist.ReduceOp.MIN, "max": dist.ReduceOp.MAX} if processes()[1] > 1 else {}
    return Statistics(**{name: all_reduced(value, operations.get(name)) for name, value in vars(own).items()})


def all_reduced(array: Shaped[np.ndarray, "*shape"], operation: Any = None) -> Shaped[np.ndarray, "*shape"]:
    """The sum, or what another operation of torch.distributed makes, element by element over processes."""
    if processes()[1] == 1:
        return array
    # NCCL moves only what is on a GPU; gloo takes the CPU.
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    tensor = torch.from_numpy(np.array(array)).to(device)
    dist.all_reduce(tensor, op=operation or dist.ReduceOp.SUM)
    return tensor.cpu().numpy()


def all_rows(own: Reservoir) -> Rows:
    """The sample of the whole corpus from the samples of the processes, the same in each."""
    if processes()[1] == 1:
        return own.rows()
    return merged(gathered(own.rows(trim=False)), own.half)


def gathered(own: Any) -> list[Any]:
    """What every process has, in their order, the same in each."""
    world = processes()[1]
    if world == 1:
        return [own]
    found: list[Any] = [None] * world
    dist.all_gather_object(found, own)
    return found
