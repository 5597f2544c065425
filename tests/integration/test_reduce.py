"""Two processes that share a corpus end with the statistics, the sample and the ranking of one."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import pickle, sys, torch
import torch.distributed as dist
from types import SimpleNamespace
from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.activations.collect import collect
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.models.mapping import map_model
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput

torch.set_num_threads(1)
number, world, meeting, output = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if world > 1:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=world)
words = "the cat sat on a chair near some bench and saw the small boat cross it".split()
texts = [" ".join(words[(i * 7 + j * (i % 5 + 1)) % len(words)] for j in range(3 + i % 11)) for i in range(60)]
def spans(text):
    found, start = [], 0
    for word in text.split(" "):
        if word in ("chair", "bench", "sat"):
            found.append((start, start + len(word)))
        start += len(word) + 1
    return tuple(found)
model = tiny_model("llama")
loaded = SimpleNamespace(model=model, tokenizer=tiny_tokenizer(), map=map_model(model))
texts_and_spans = [LabelledText(t, spans(t)) for t in texts]
result = collect(loaded, texts_and_spans, token_budget=64, rows=30, seed=4)
given = RankingInput(result, seed=4)
rankings = {n: rank(given, n) for n in ("activation_ratio", "probeless", "linear_probe", "random")}
import unlearning_core.rankers.token_batches as token_batches
token_batches.MOST_POSITIONS = 64  # several batches for each process
given = RankingInput(result, seed=4, model=loaded, items=texts_and_spans)
settings = {"taylor": {}, "combined": {"rounds": 2, "most": 8, "tests": 4, "budget": 10.0}}
settings["gates"] = {"steps": 5, "batch": 3, "candidates": 40}
read = []  # texts that go through the first block
handle = loaded.map.blocks[0].register_forward_pre_hook(
    lambda module, args, kwargs: read.append(len(args[0] if args else kwargs["hidden_states"])), with_kwargs=True
)
rankings |= {n: rank(given, n, of) for n, of in settings.items()}
handle.remove()
with open(f"{output}.{number}", "wb") as file:
    pickle.dump((vars(result.statistics), result.rows, result.massive, result.tokens, rankings, sum(read)), file)
if world > 1:
    dist.destroy_process_group()
"""


def passes(folder: Path, world: int) -> list[Any]:
    output, meeting = folder / f"result{world}", folder / f"meeting{world}"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(number), str(world), str(meeting), str(output)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(world)
    ]
    for process in running:
        _, errors = process.communicate(timeout=800)
        assert process.returncode == 0, errors
    return [pickle.loads((folder / f"{output.name}.{number}").read_bytes()) for number in range(world)]


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[Any]]:
    folder = tmp_path_factory.mktemp("reduce")
    return passes(folder, 1)[0], passes(folder, 2)


def test_statistics_of_two_processes_are_those_of_one(one_and_two: tuple[Any, list[Any]]) -> None:
    one, two = one_and_two
    for other in two:
        for name, value in one[0].items():
            np.testing.assert_allclose(other[0][name], value, rtol=1e-12, atol=1e-12, err_msg=name)
        assert other[3] == one[3], "tokens"


def test_rankings_of_two_processes_are_those_of_one(one_and_two: tuple[Any, list[Any]]) -> None:
    one, two = one_and_two
    for other in two:
        for name, ranking in one[4].items():
            columns = ["site", "layer", "index", "rank", "protected"]
            pd.testing.assert_frame_equal(other[4][name][columns], ranking[columns])
            np.testing.assert_allclose(other[4][name]["score"], ranking["score"], rtol=1e-6)
        pd.testing.assert_frame_equal(other[2], one[2])


def test_each_process_reads_about_half_of_the_texts(one_and_two: tuple[Any, list[Any]]) -> None:
    one, two = one_and_two
    assert max(other[5] for other in two) < 0.7 * one[5]
    assert sum(other[5] for other in two) >= one[5]


def test_the_sample_of_two_processes_is_that_of_one(one_and_two: tuple[Any, list[Any]]) -> None:
    one, two = one_and_two
    for other in two:
        np.testing.assert_array_equal(other[1].X, one[1].X)
        np.testing.assert_array_equal(other[1].y, one[1].y)
        np.testing.assert_array_equal(other[1].key, one[1].key)
