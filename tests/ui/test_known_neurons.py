"""The Neurons page on a model whose neurons for a concept are known: one line says how many the ranking found."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pages.components.neurons.known_neurons import told
from tests.ui.pieces import NewRun, OpenPage, fine
from unlearning_core.models.ground_truth import ROUTED
from unlearning_core.runs.run import Run


@pytest.fixture
def known(tiny_folder: Path, tmp_path: Path) -> Path:
    """The tiny model, with eight neurons said to be the true ones."""
    folder = shutil.copytree(tiny_folder, tmp_path / "known")
    neurons = [[layer, index] for layer in range(2) for index in range(4)]
    (folder / ROUTED).write_text(json.dumps({"concept": "sea*ts", "site": "mlp", "neurons": neurons}))
    return folder


def test_the_page_says_how_many_of_the_first_are_true_ones(open_page: OpenPage, new_run: NewRun, known: Path) -> None:
    run = new_run("rank", base_model={"base_model_path": str(known)})
    ranking = Run(run.folder).ranking()
    first = ranking[ranking["rank"] < 8]
    found = int((first["index"] < 4).sum())
    (line,) = [text.value for text in fine(open_page("neurons", run)).markdown if "is known" in text.value]
    assert f"in 8 of {len(ranking):,} neurons" in line
    assert f"**Of the first 8 of this ranking {found} are among them**" in line
    assert f"by chance {64 / len(ranking):.0f} would be" in line
    assert "sea\\*ts" in line


def test_nothing_is_said_of_other_models_and_other_sites(tiny_folder: Path, known: Path) -> None:
    ranking = pd.DataFrame({"site": ["mlp"] * 8, "layer": [0, 1] * 4, "index": [0, 0, 1, 1, 2, 2, 3, 3]})
    assert told(str(tiny_folder), ranking) is None
    assert told(str(known), ranking.assign(site="head")) is None
    assert "Of the first 8 of this ranking 8 are" in (told(str(known), ranking) or "")
