"""More than a thousand hostile files: each is read, or refused in a sentence, within a limit of memory and time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = int(os.environ.get("UNLEARNING_FUZZ_CASES", "1200"))
"""In all, in equal parts of each kind: half a minute on a free core."""

KINDS = ("config.json", "tokenizer.json", "safetensors", "gguf", "recipe", "zip")


@pytest.mark.slow
def test_hostile_files_end_in_a_sentence_within_memory_and_time(tmp_path: Path) -> None:
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "RUST_BACKTRACE": "0", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzed", str(CASES), str(tmp_path)],
        cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, errors="replace", timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    read = {kind: (told.get(f"{kind}: read", 0), told.get(f"{kind}: a sentence", 0)) for kind in KINDS}
    assert all(sum(both) >= CASES // len(KINDS) for both in read.values()), read
    # A reader that refuses everything, or nothing, was not tried.
    assert all(min(both) > 0 for both in read.values()), read
