"""Several processes under `accelerate launch`: who writes, who waits. One process needs none of it."""

import os
from datetime import timedelta
from typing import Any

PATIENCE = timedelta(days=7)
"""How long a process waits for the others. torch gives up after 30 minutes (NCCL after 10), and all but the first have
nothing to do while that one labels, measures or attacks. If one ends, the launcher ends all, however patient they are.
"""


def world_size() -> int:
    """Processes in this launch; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """This process's number, 0 for the one that writes."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process writes files and prints."""
    return process_index() == 0


def connect() -> None:
    """Join the other processes of the launch; does nothing in a single process or when already joined."""
    if world_size() == 1:
        return
    import accelerate

    # One shared state for the ranking and for the Trainer, which picks it up: the backend is chosen only once.
    accelerate.PartialState(timeout=PATIENCE)


def disconnect() -> None:
    """Leave the group, so that no process warns of, or waits for, one that has ended."""
    if world_size() == 1:
        return
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def share(value: Any) -> Any:
    """The main process's `value`, in every process."""
    if world_size() == 1:
        return value
    import torch

    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]
