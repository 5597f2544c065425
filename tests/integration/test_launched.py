"""Processes of a launch wait for the one that works, however long it does."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from unlearning_core.distributed import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import torch
from unlearning_core import distributed
distributed.connect()
backend = torch.distributed.group.WORLD._get_backend(torch.device("cpu"))
print(backend.options._timeout.total_seconds(), distributed.share(distributed.process_index() + 7))
distributed.disconnect()
"""


def test_others_wait_for_longer_than_any_stage_takes() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=os.environ | meeting | {"RANK": rank, "LOCAL_RANK": rank, "ACCELERATE_USE_CPU": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    for process in running:
        said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert said.split() == [str(PATIENCE.total_seconds()), "7"]
    assert timedelta(days=1) < PATIENCE
