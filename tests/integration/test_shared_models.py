"""Every pretrained model beside the checkout loads and is as good as its maker measured it."""

import json
from pathlib import Path

import pytest
import torch

from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import LoadedModel, load_model

# Nats a token (a character for the last two): measured when the models were collected, on stories, or on the page that
# the last one recites.
LOSSES = {
    "stories260K": 1.387,
    "stories260K_mistral": 1.387,
    "bitllama_3M": 1.305,
    "babyllama_char105": 0.670,
    "slm4096_gpt2": 0.071,
}


def texts(shared: Path, name: str, length: int) -> list[str]:
    if name == "slm4096_gpt2":
        page = (shared / "corpora" / "slm4096" / "corpus.txt").read_text(encoding="utf-8")
        return [page[start : start + length] for start in range(0, 20 * length, length)]
    path = shared / "corpora" / "tinystories" / "tinystories_valid_1910.jsonl"
    with path.open(encoding="utf-8") as lines:
        return [json.loads(next(lines))["text"] for _ in range(40)]


def mean_loss(loaded: LoadedModel, lines: list[str], length: int) -> float:
    total = count = 0.0
    for line in lines:
        ids = loaded.tokenizer(line, return_tensors="pt")["input_ids"][:, :length]
        with torch.no_grad():
            chances = loaded.model(ids).logits[0, :-1].log_softmax(-1)
        total -= float(chances.gather(1, ids[0, 1:, None]).sum())
        count += ids.shape[1] - 1
    return total / count


@pytest.mark.parametrize("name", LOSSES)
def test_a_real_model_is_as_good_as_it_was_measured(shared: Path | None, name: str) -> None:
    if shared is None:
        return
    source = str(shared / "models" / name)
    loaded = load_model(source, device="cpu")
    assert inspect_model(source, device="cpu").shapes == loaded.map.shapes
    length = loaded.model.config.max_position_embeddings
    found = mean_loss(loaded, texts(shared, name, length), length)
    # Other and fewer stories than were measured; a model that was loaded wrongly is several times worse.
    assert abs(found / LOSSES[name] - 1) < 0.2


def test_the_same_weights_as_two_families_give_the_same_logits(shared: Path | None) -> None:
    if shared is None:
        return
    one, other = (load_model(str(shared / "models" / name)) for name in ("stories260K", "stories260K_mistral"))
    ids = one.tokenizer("Once upon a time there was a little dog.", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(one.model(ids).logits, other.model(ids).logits)
    assert one.map.shapes == other.map.shapes
