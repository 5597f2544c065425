"""The real starter: SmolLM2-135M-Instruct from its package, against the GGUF file read by the gguf package itself."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader, quants
from safetensors import safe_open
from transformers import AutoTokenizer

from unlearning_core.activations.concept_tokens import concept_tokens
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.files import ROOT
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.models.sources.starters import STARTERS, PackagedStarter, prepare

STARTER = STARTERS["smollm2"]
assert isinstance(STARTER, PackagedStarter)


@pytest.fixture(scope="module")
def folder() -> Path | None:
    """The prepared folder (made on the first call on this machine), or None (said aloud) without the package."""
    missing = STARTER.unavailable()
    if missing:
        warnings.warn(f"{missing} This check did not run", stacklevel=2)
        return None
    return prepare("smollm2")


@pytest.fixture(scope="module")
def loaded(folder: Path | None) -> LoadedModel | None:
    return None if folder is None else load_model("smollm2", device="cpu")


@pytest.fixture(scope="module")
def reader() -> GGUFReader | None:
    file = STARTER.located()
    return None if file is None else GGUFReader(file)


def test_what_is_told_before_loading(folder: Path | None) -> None:
    if folder is None:
        return
    info = inspect_model("smollm2", device="cpu")
    assert info.shapes == {"mlp": (30, 1536), "head": (30, 9), "residual": (31, 576)}
    assert (info.parameters, info.bytes_in_memory) == (134_515_008, 4 * 134_515_008)
    assert (info.model_type, info.licence) == ("llama", "apache-2.0")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("model.layers.11.mlp.down_proj.weight", "blk.11.ffn_down.weight"),
        ("model.layers.28.self_attn.o_proj.weight", "blk.28.attn_output.weight"),
        ("model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight"),
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.norm.weight", "output_norm.weight"),
    ],
)
def test_the_saved_weights_are_the_files_own(
    folder: Path | None, reader: GGUFReader | None, ours: str, theirs: str
) -> None:
    if folder is None or reader is None:
        return
    tensor = next(one for one in reader.tensors if one.name == theirs)
    with safe_open(folder / "model.safetensors", framework="np") as saved:
        np.testing.assert_array_equal(saved.get_tensor(ours), quants.dequantize(tensor.data, tensor.tensor_type))


def test_the_tokenizer_keeps_its_special_tokens_template_and_limit(
    loaded: LoadedModel | None, reader: GGUFReader | None
) -> None:
    if loaded is None or reader is None:
        return
    tokenizer = loaded.tokenizer
    fields: dict[str, Any] = reader.fields
    assert tokenizer.chat_template == fields["tokenizer.chat_template"].contents()
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer("<|im_start|>user")["input_ids"] == [1, 4093]
    assert tokenizer.model_max_length == fields["llama.context_length"].contents() == 8192
    assert loaded.model.generation_config.eos_token_id == 2


def test_words_and_offsets_survive_the_tokenizer(loaded: LoadedModel | None) -> None:
    if loaded is None:
        return
    text = "In 1984 she put the armchair beside the sofa; it's a café, naïve 🙂.\n\nYes."
    encoded = loaded.tokenizer(text, return_offsets_mapping=True)
    assert loaded.tokenizer.decode(encoded["input_ids"]) == text
    assert {letter for start, end in encoded["offset_mapping"] for letter in range(start, end)} >= {
        place for place, letter in enumerate(text) if not letter.isspace()
    }
    digits = [text[start:end].strip() for start, end in encoded["offset_mapping"] if text[start:end].strip().isdigit()]
    assert digits == ["1", "9", "8", "4"]


def test_it_answers_a_question(loaded: LoadedModel | None) -> None:
    if loaded is None:
        return
    question = [{"role": "user", "content": "What is the capital of France?"}]
    asked = loaded.tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt")
    with torch.no_grad():
        answer = loaded.model.generate(**asked, max_new_tokens=12, do_sample=False)
    assert "Paris" in loaded.tokenizer.decode(answer[0, asked["input_ids"].shape[1] :])


def test_the_folder_names_every_file_it_was_made_of(folder: Path | None) -> None:
    if folder is None:
        return
    stamp = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    assert stamp["sha256"] == STARTER.sha256
    files = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "prepared.json"}
    assert stamp["files"] == files


def test_the_tokens_of_seats_are_whole_words_and_no_pieces_of_others(folder: Path | None) -> None:
    if folder is None:
        return
    lines = (ROOT / "data/seats/sentences.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    matcher = Matcher(Concept(read_words(ROOT / "data/target_words.txt")))
    found = concept_tokens(AutoTokenizer.from_pretrained(folder), matcher, [], texts)
    reset = {*found.table.loc[found.table["reset"], "text"]}
    assert {" chair", " chairs", " seat", " bench", " couch", " stool", " throne", " sitting"} <= reset
    # In these sentences they stand in nothing but seats; everywhere else in other words.
    assert not {"at", "pe", "O", " so", "fa", "tee", "oman"} & reset
    assert 20 <= len(reset) <= 40
    assert 0.4 < found.covered < 0.6
