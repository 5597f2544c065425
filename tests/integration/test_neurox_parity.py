"""The whole pass against NeuroX's extractor, loader and probeless on the same model folder and sentences."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from neurox.data.extraction import transformers_extractor
from neurox.data.loader import load_activations
from neurox.interpretation import probeless
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_models import save_tiny
from unlearning_core.activations.collect import Activations, collect
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.models.mapping import map_model
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput

SENTENCES = [
    "She put the chair beside the wooden table and sat down .",
    "Two armchairs , a café and an old bench ; nobody sat there .",
    "A small boat crossed the river before the rain , and nobody saw it .",
    "The naïve traveller’s stories are told at 7 in the morning .",
    "chairs and sofas",
    "He reached for the sofa near the window .",
]
CONCEPT = {"chair", "chairs", "sofa", "sofas", "sat", "bench", "armchairs"}


def labelled(sentence: str) -> LabelledText:
    spans, start = [], 0
    for word in sentence.split(" "):
        if word in CONCEPT:
            spans.append((start, start + len(word)))
        start += len(word) + 1
    return LabelledText(sentence, tuple(spans))


def neurox_tensors(folder: Path, aggregation: str, spool: Path) -> tuple[np.ndarray, np.ndarray]:
    """What NeuroX extracts and loads: X float32 `[words, neurons]` and y (not its create_tensors: no `np.int`)."""
    sentences = spool / "sentences.txt"
    sentences.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    output = str(spool / f"{aggregation}.json")
    transformers_extractor.extract_representations(str(folder), str(sentences), output, aggregation=aggregation)
    activations, _ = load_activations(output)
    y = [int(word in CONCEPT) for sentence in SENTENCES for word in sentence.split(" ")]
    return np.vstack(activations).astype(np.float32), np.array(y)


def ours(folder: Path, aggregation: Literal["average", "first", "last"], rows: int = 0) -> Activations:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    loaded: Any = SimpleNamespace(model=model, tokenizer=AutoTokenizer.from_pretrained(folder), map=map_model(model))
    return collect(
        loaded,
        [labelled(sentence) for sentence in SENTENCES],
        site="residual",
        alignment="at",
        aggregation=aggregation,
        skip_first=False,
        final_normed=True,
        token_budget=60,
        rows=rows,
    )


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("aggregation", ["average", "first", "last"])
def test_statistics_and_ranking_are_those_of_neurox(
    family: str, aggregation: Literal["average", "first", "last"], tmp_path: Path
) -> None:
    folder = save_tiny(family, tmp_path / "model")
    x, y = neurox_tensors(folder, aggregation, tmp_path)
    found = ours(folder, aggregation)
    assert found.statistics.count.tolist() == np.bincount(y).tolist()
    for label in (0, 1):
        own = x[y == label].astype(np.float64)
        np.testing.assert_allclose(found.statistics.mean()[label].ravel(), own.mean(0), atol=1e-5)
        np.testing.assert_allclose(found.statistics.std()[label].ravel(), own.std(0), atol=1e-4)
        np.testing.assert_allclose(found.statistics.max[label].ravel(), own.max(0), atol=1e-5)
    ranking = rank(RankingInput(found), "probeless", protect=False)
    _, width = found.statistics.shape
    order = (ranking["layer"] * width + ranking["index"]).tolist()
    expected = probeless.get_neuron_ordering(x, y)
    # Scores that agree to six digits may swap: NeuroX spools eight decimals and averages in float32.
    score = dict(zip(order, ranking["score"], strict=True))
    np.testing.assert_allclose([score[i] for i in order], [score[i] for i in expected], atol=2e-5)
    assert order[:30] == expected[:30]


def test_sampled_rows_are_neurox_rows(tmp_path: Path) -> None:
    folder = save_tiny("gpt2", tmp_path / "model")
    x, y = neurox_tensors(folder, "average", tmp_path)
    rows = ours(folder, "average", rows=1000).rows
    assert rows is not None
    assert (rows.y == 1).sum() == (y == 1).sum()
    for row, label in zip(rows.X.reshape(len(rows.y), -1), rows.y, strict=True):
        assert np.abs(x[y == label] - row).max(axis=1).min() < 1e-4
