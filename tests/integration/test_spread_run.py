"""A run whose base model comes from disk as it is run: ranked, cut and written as one in memory, file by file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_experiment import write_experiment
from unlearning_core.config.reading import load_config
from unlearning_core.models import loading
from unlearning_core.models.placement import is_spread, spread_over
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run


def pruned(folder: Path, **base_model: str) -> Run:
    probing = {"token_rows": {"strength": 0.5, "broad_text": False}, "ranker": "taylor"}
    config = write_experiment(folder, neural_probing=probing, base_model=base_model)
    run = create_run(load_config(config), folder / "runs")
    execute(run, until="prune")
    return run


def test_the_pruned_model_is_the_same_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near = pruned(tmp_path / "near")
    monkeypatch.setattr(loading, "spread_over", lambda most: spread_over({"cpu": 60_000}))
    far = pruned(tmp_path / "far", device_map="auto")
    assert is_spread(RunContext(far).model("base").model)
    one, other = (load_file(run.model("pruned") / "model.safetensors") for run in (near, far))
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert far.recipe().rows == near.recipe().rows
    entries = [load_file(run.folder / "recipe" / "entries.safetensors") for run in (near, far)]
    assert entries[0].keys() == entries[1].keys()
