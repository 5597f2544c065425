"""The logit lens and the probe: against plain forward passes, ridge written out, and states without meaning."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny_models import tiny
from tests.unit.test_patching import hidden_states, marked, whole
from unlearning_core.concepts.labelling import LabelledText, label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation import linear_probe
from unlearning_core.evaluation.linear_probe import right_elsewhere
from unlearning_core.evaluation.readout import (
    best_layer,
    lens_by_layer,
    lens_nats,
    lens_rank,
    lens_told,
    probe_accuracy,
    probe_by_layer,
    probe_selectivity,
    readout,
)
from unlearning_core.evaluation.registry import metrics_table
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.models.loading import LoadedModel, load_model

ROOT = Path(__file__).parents[2]
WORDS = ("chair", "sofa", "bench", "stool")
MATCHER = Matcher(Concept(WORDS))
STATEMENTS = (
    marked("She put the chair beside the wooden sofa and sat down.", "chair", "sofa"),
    marked("The cat sleeps on a bench.", "bench"),
)


def read(loaded: LoadedModel, statements: tuple[LabelledText, ...] = STATEMENTS) -> Frames:
    return readout(Subject("base", loaded, loaded), Material(MATCHER, statements=statements), ProofSection())


def by_hand(loaded: LoadedModel, statements: tuple[LabelledText, ...]) -> list[tuple[int, int, float, int]]:
    """(layer, token, nats, rank) of the first token of each marked word, text by text, one text at a time."""
    rows = []
    for layer in range(len(loaded.map.blocks) + 1):
        for item in statements:
            for span in item.spans:
                ids, places = whole(loaded, LabelledText(item.text, (span,)))
                place, token = places[0], ids[places[0] + 1]
                with torch.no_grad():
                    state = loaded.map.final_norm(hidden_states(loaded, ids)[layer][place])
                    logits = loaded.model.get_output_embeddings()(state).double()
                    cap = getattr(loaded.model.config, "final_logit_softcapping", None)
                    logits = torch.tanh(logits / cap) * cap if cap else logits
                logs = torch.log_softmax(logits, dim=-1)
                rows.append((layer, token, -float(logs[token]), int((logits > logits[token]).sum()) + 1))
    return rows


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bloom", "gpt_neox", "mixtral"])
def test_the_lens_is_the_final_norm_and_the_head_on_the_state_of_each_layer(family: str) -> None:
    loaded = tiny(family)
    found, expected = read(loaded)["lens"], by_hand(loaded, STATEMENTS)
    assert found["layer"].tolist() == [layer for layer, _, _, _ in expected]
    assert found["token"].tolist() == [loaded.tokenizer.decode([token]) for _, token, _, _ in expected]
    np.testing.assert_allclose(found["nats"], [nats for _, _, nats, _ in expected], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["rank"], [rank for _, _, _, rank in expected], atol=1)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_last_layer_is_what_the_model_says(family: str) -> None:
    loaded = tiny(family)
    last = read(loaded)["lens"].query("layer == 3")
    losses, first, texts = [], [], []
    for item in STATEMENTS:
        for span in item.spans:
            ids, places = whole(loaded, LabelledText(item.text, (span,)))
            with torch.no_grad():
                logs = torch.log_softmax(loaded.model(torch.tensor([ids])).logits[0, places[0]].double(), -1)
            losses.append(-float(logs[ids[places[0] + 1]]))
            texts.append((logs, ids[places[0] + 1]))
    known = [token for _, token in texts]
    first = [max(known, key=lambda other: float(logs[other])) == token for logs, token in texts]
    np.testing.assert_allclose(last["nats"], losses, rtol=1e-4)
    assert last["told"].tolist() == first


def test_a_word_is_read_where_the_text_first_names_it_and_not_behind_position_0() -> None:
    text = "A sofa is a bench, and a bench is old."
    spans = ((2, 6), (12, 17), (25, 30))
    found = read(tiny("gpt2"), (LabelledText(text, spans, ("sofa", "bench", "bench")),))["lens"].query("layer == 0")
    assert len(found) == 1
    assert found["token"].item().strip() == tiny("gpt2").tokenizer.tokenize(" bench")[0].strip("Ġ ")
    with pytest.raises(InputError, match="first two tokens"):
        read(tiny("gpt2"), (marked("A sofa", "sofa"),))


def test_a_model_that_does_not_know_is_told_from_one_that_does() -> None:
    rows = [json.loads(line) for line in (ROOT / "data/smallworld/forget.jsonl").read_text().splitlines()]
    seats = Matcher(Concept(read_words(ROOT / "data/target_words.txt")))
    statements = tuple(label_text(row["text"], seats) for row in rows if row["phrasing"] == "held_out")
    knows, never = (
        read(load_model(str(ROOT / "models" / name), device="cpu"), statements)
        for name in ("smallworld", "smallworld-never-knew-seats")
    )
    assert lens_told(knows).value > 0.4 > 0.25 > lens_told(never).value
    assert lens_rank(knows).value < 20 < 300 < lens_rank(never).value
    assert lens_nats(knows).value < 4 < 8 < lens_nats(never).value
    gap = probe_accuracy(knows).value - probe_accuracy(never).value
    assert gap > 2 * np.hypot(probe_accuracy(knows).stderr, probe_accuracy(never).stderr)
    # What labels without meaning reach is near guessing by how often each occurs.
    shares = knows["probe"].query("layer == 0")["token"].value_counts(normalize=True)
    assert probe_by_layer(knows)["control"].to_numpy() == pytest.approx((shares**2).sum(), abs=0.06)
    assert lens_by_layer(knows)["told"].iloc[-1] == knows["lens"].query("layer == 6")["told"].mean()
    assert probe_selectivity(knows).value == pytest.approx(
        probe_accuracy(knows).value - probe_by_layer(knows)["control"].mean(), abs=0.06
    )
    values = metrics_table({"base": {"readout": knows}, "never_knew": {"readout": never}})
    assert values["never_knew"]["lens_told"] == lens_told(never).value
    assert values["base"]["probe_selectivity"] == probe_selectivity(knows).value


def test_the_probe_is_ridge_on_standardised_states_of_the_other_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_probe, "PENALTIES", (30.0,))
    random = np.random.default_rng(0)
    states, labels = random.normal(2, 3, (60, 7)).astype(np.float32), random.integers(0, 3, 60)
    states[np.arange(60), labels] += 3
    groups = np.repeat(np.arange(4), 15)
    expected = np.zeros(60, bool)
    for fold in range(4):  # as many folds as groups: each group is one
        fitted, tested = states[groups != fold].astype(np.float64), states[groups == fold].astype(np.float64)
        mean, spread = fitted.mean(0), fitted.std(0)
        x, y = (fitted - mean) / spread, np.eye(3)[labels[groups != fold]]
        weights = np.linalg.solve(x.T @ x + 30 * np.eye(7), x.T @ (y - y.mean(0)))
        told = ((tested - mean) / spread @ weights + y.mean(0)).argmax(axis=1)
        expected[groups == fold] = told == labels[groups == fold]
    found = right_elsewhere(states, np.column_stack([labels, np.roll(labels, 1)]), groups, 4)
    np.testing.assert_array_equal(found[:, 0], expected)
    assert 0.5 < found[:, 0].mean() < 1
    assert found[:, 1].mean() < 0.5


def test_the_best_of_many_layers_without_meaning_is_no_better_than_chance() -> None:
    random = np.random.default_rng(1)
    luckiest, honest = [], []
    for _ in range(20):
        noise = pd.DataFrame({"example": np.tile(np.arange(30), 40), "layer": np.repeat(np.arange(40), 30)})
        noise["right"] = random.random(1200) < 0.5
        luckiest.append(noise.groupby("layer")["right"].mean().max())
        honest.append(best_layer(noise, "right", "highest")["right"].mean())
    assert np.mean(luckiest) > 0.65
    assert np.mean(honest) == pytest.approx(0.5, abs=0.05)


def test_the_best_layer_is_chosen_on_one_half_of_the_texts_and_read_on_the_other() -> None:
    rows = [(text, layer, float(layer == (1 if text % 2 else 2))) for layer in range(3) for text in (3, 4, 8, 9)]
    table = pd.DataFrame(rows, columns=["example", "layer", "right"])
    # By order of the texts: 3 and 8 are one half, 4 and 9 the other.
    chosen = best_layer(table, "right", "highest")
    assert len(chosen) == 4
    assert sorted(chosen["example"]) == [3, 4, 8, 9]
    single = best_layer(table[table["example"] == 3], "right", "highest")
    assert single[["layer", "right"]].to_numpy().tolist() == [[1, 1.0]]
    assert best_layer(table[:0], "right", "lowest").empty


def test_too_few_words_give_no_probe_and_a_head_of_another_width_no_lens() -> None:
    found = read(tiny("gpt2"))
    assert found["probe"].empty
    assert (probe_accuracy(found), probe_selectivity(found)) == (None, None)
    narrow = read(tiny("opt", word_embed_proj_dim=16))
    assert narrow["lens"].empty
    assert (lens_nats(narrow), lens_rank(narrow), lens_told(narrow)) == (None, None, None)
