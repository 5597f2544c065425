"""Tokens without a row in the embedding: found before anything runs, refused with an offer, resized or dropped."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_gguf import write_gguf
from tests.tiny_models import END, save_tiny, tiny_model, tiny_tokenizer
from unlearning_core.errors import InputError
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.resolve import local_folder

IDS = torch.arange(12)[None]
TEXT = "<|im_start|>user She put the chair beside the table.<|im_end|>"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of prepared models."""
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: save_tiny(family, root / family) for family in ("llama", "qwen2", "gpt_neox", "phi")}


@pytest.fixture
def folder(saved: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved["llama"], tmp_path / "tiny"))


def add(folder: Path, **special: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokens := special.pop("tokens", None):
        tokenizer.add_tokens(tokens)
    tokenizer.add_special_tokens(special)
    tokenizer.save_pretrained(folder)


def set_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


ADDED: tuple[Callable[[Path], None], ...] = (
    lambda folder: add(folder, tokens=["<|im_start|>", "<|im_end|>"]),
    lambda folder: add(folder, additional_special_tokens=["<|im_start|>", "<|im_end|>"]),
    lambda folder: add(folder, eos_token="<|im_end|>"),
    lambda folder: add(folder, pad_token="[PAD]", unk_token="<unk>"),
    lambda folder: add(folder, tokens=["<|im_start|>"], pad_token="[PAD]"),
    lambda folder: add(folder, mask_token="<mask>", bos_token="<s>"),
)


@pytest.mark.parametrize("added", ADDED)
def test_they_are_found_at_loading_with_an_offer(folder: Path, added: Callable[[Path], None]) -> None:
    added(folder)
    for ask in (load_model, inspect_model):
        with pytest.raises(InputError, match=r'\(id 40\d\).*rows 0 to 399.*extra_tokens to "resize".*"drop"') as error:
            ask(str(folder), device="cpu")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("added", ADDED)
def test_dropped_they_are_ordinary_text_for_the_same_model(folder: Path, added: Callable[[Path], None]) -> None:
    added(folder)
    loaded = load_model(str(folder), device="cpu", extra_tokens="drop")
    ids = loaded.tokenizer(TEXT)["input_ids"]
    assert max(loaded.tokenizer.get_vocab().values()) == 399
    assert ids == tiny_tokenizer()(TEXT)["input_ids"]
    assert loaded.tokenizer.pad_token_id is None or loaded.tokenizer.pad_token_id < 400
    with torch.no_grad():
        assert torch.equal(loaded.model(IDS).logits, tiny_model("llama")(IDS).logits)
    (note,) = loaded.info.notes
    assert "does without" in note
    assert inspect_model(str(folder), device="cpu", extra_tokens="drop").notes == (note,)


@pytest.mark.parametrize("added", ADDED)
def test_resized_each_has_the_mean_row_and_no_other_changes(folder: Path, added: Callable[[Path], None]) -> None:
    added(folder)
    loaded = load_model(str(folder), device="cpu", extra_tokens="resize")
    before, own = tiny_model("llama"), AutoTokenizer.from_pretrained(folder)
    rows = max(own.get_vocab().values()) + 1
    assert rows > 400
    assert loaded.tokenizer(TEXT)["input_ids"] == own(TEXT)["input_ids"]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        new, old = loaded.model.get_parameter(name), before.get_parameter(name)
        assert new.shape == (rows, 32)
        assert torch.equal(new[:400], old)
        torch.testing.assert_close(new[400:], old.mean(dim=0).expand(rows - 400, -1))
    with torch.no_grad():
        assert torch.equal(loaded.model(IDS).logits[..., :400], before(IDS).logits)
        loaded.model(torch.tensor([[rows - 1, 0]]))
    assert loaded.info.vocabulary == rows
    # A second time it is the same copy.
    assert local_folder(str(folder), extra_tokens="resize") == local_folder(str(folder), extra_tokens="resize")


@pytest.mark.parametrize("family", ["qwen2", "gpt_neox", "phi"])
def test_tied_heads_and_biases_are_resized_too(saved: dict[str, Path], tmp_path: Path, family: str) -> None:
    folder = Path(shutil.copytree(saved[family], tmp_path / family))
    add(folder, tokens=["<|im_start|>"])
    loaded, before = load_model(str(folder), device="cpu", extra_tokens="resize"), tiny_model(family)
    head, old = loaded.model.get_output_embeddings(), before.get_output_embeddings()
    torch.testing.assert_close(head.weight[400], old.weight.mean(dim=0))
    if old.bias is not None:
        torch.testing.assert_close(head.bias[400], old.bias.mean())
    assert (head.weight is loaded.model.get_input_embeddings().weight) == (family == "qwen2")
    with torch.no_grad():
        assert torch.equal(loaded.model(IDS).logits[..., :400], before(IDS).logits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_copy_keeps_the_number_format(folder: Path, dtype: torch.dtype) -> None:
    tiny_model("llama").to(dtype).save_pretrained(folder)
    add(folder, tokens=["<|im_start|>"])
    copy = local_folder(str(folder), extra_tokens="resize")
    model = AutoModelForCausalLM.from_pretrained(copy, dtype="auto")
    assert model.dtype == dtype
    old = tiny_model("llama").to(dtype).get_input_embeddings().weight
    assert torch.equal(model.get_input_embeddings().weight[400], old.float().mean(dim=0).to(dtype))


def test_padding_alone_stops_nobody(folder: Path) -> None:
    add(folder, pad_token="[PAD]")
    set_json(folder / "config.json", pad_token_id=400)  # torch refuses to build such an embedding
    set_json(folder / "generation_config.json", pad_token_id=400)
    loaded = load_model(str(folder), device="cpu")
    assert loaded.tokenizer.pad_token == END
    assert loaded.model.config.pad_token_id is None
    assert loaded.model.generation_config.pad_token_id is None
    assert "[PAD] was its padding" in loaded.info.notes[0]
    batch = loaded.tokenizer(["a chair", "a chair beside the table"], padding=True, return_tensors="pt")
    assert int(batch["input_ids"].max()) < 400
    resized = load_model(str(folder), device="cpu", extra_tokens="resize")
    assert resized.tokenizer.pad_token_id == resized.model.config.pad_token_id == 400
    assert resized.model.get_input_embeddings().weight.shape[0] == 401


@pytest.mark.parametrize(
    ("file", "values", "kept"),
    [
        ("config.json", {"eos_token_id": 50_256, "bos_token_id": 50_256}, None),
        ("config.json", {"eos_token_id": [0, 400]}, 0),
        ("config.json", {"eos_token_id": [0, -5]}, 0),
        ("config.json", {"eos_token_id": -1, "bos_token_id": -1, "pad_token_id": -1}, None),
        ("config.json", {"pad_token_id": 400}, None),
        ("generation_config.json", {"eos_token_id": [7, 0, 128_009]}, [7, 0]),
    ],
)
def test_ids_that_only_the_settings_name_are_left_out(
    folder: Path, file: str, values: dict[str, Any], kept: int | list[int] | None
) -> None:
    set_json(folder / file, **values)
    loaded = load_model(str(folder), device="cpu")
    found = loaded.model.config if file == "config.json" else loaded.model.generation_config
    assert getattr(found, next(iter(values))) == kept
    assert "settings name ids that have no row" in loaded.info.notes[0]
    inspect_model(str(folder), device="cpu")


def test_a_token_that_the_tokenizer_adds_to_every_text_cannot_be_dropped(folder: Path) -> None:
    add(folder, bos_token="<s>")
    path = folder / "tokenizer.json"
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"<s>": {"id": "<s>", "ids": [400], "tokens": ["<s>"]}}
    template = {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special}
    set_json(path, post_processor={**template, "pair": [*single, {"Sequence": {"id": "B", "type_id": 0}}]})
    with pytest.raises(InputError, match=r'adds the id 400 to every text.*"resize"'):
        load_model(str(folder), device="cpu", extra_tokens="drop")
    assert load_model(str(folder), device="cpu", extra_tokens="resize").tokenizer("a")["input_ids"][0] == 400


@pytest.mark.parametrize("choice", ["refuse", "resize", "drop"])
def test_a_whole_vocabulary_that_is_too_long_belongs_to_another_model(folder: Path, choice: str) -> None:
    tiny_model("llama", vocab_size=100).save_pretrained(folder)
    with pytest.raises(InputError, match="belong to different models"):
        load_model(str(folder), device="cpu", extra_tokens=choice)


def test_a_word_that_is_no_choice_lists_them(folder: Path) -> None:
    with pytest.raises(InputError, match=r"'grow' is not known\. Choose one of: refuse, resize, drop"):
        load_model(str(folder), device="cpu", extra_tokens="grow")


def test_a_chat_template_that_uses_a_dropped_token_is_told(folder: Path) -> None:
    add(folder, tokens=["<|im_start|>"])
    (folder / "chat_template.jinja").write_text("{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}")
    (note,) = load_model(str(folder), device="cpu", extra_tokens="drop").info.notes
    assert "chat template uses <|im_start|>" in note


def test_nothing_is_copied_where_every_id_has_a_row(folder: Path, models: Path) -> None:
    for choice in ("refuse", "resize", "drop"):
        assert local_folder(str(folder), extra_tokens=choice) == folder
    assert not models.exists()


def test_what_is_dropped_copies_no_weights_and_follows_the_folder(folder: Path) -> None:
    add(folder, tokens=["<|im_start|>"])
    copy = local_folder(str(folder), extra_tokens="drop")
    assert (copy / "model.safetensors").is_symlink()
    tiny_model("llama", seed=1).save_pretrained(folder)
    loaded = load_model(str(folder), device="cpu", extra_tokens="drop")
    with torch.no_grad():
        assert torch.equal(loaded.model(IDS).logits, tiny_model("llama", seed=1)(IDS).logits)
    assert local_folder(str(folder), extra_tokens="drop") != copy


def test_pickles_and_shards_are_mended_as_well(folder: Path) -> None:
    add(folder, tokens=["<|im_start|>"])
    model = tiny_model("llama")
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    for choice, rows in (("drop", 400), ("resize", 401)):
        loaded = load_model(str(folder), device="cpu", allow_pickle=True, extra_tokens=choice)
        assert loaded.model.get_input_embeddings().weight.shape[0] == rows
    (folder / "pytorch_model.bin").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    for choice, rows in (("drop", 400), ("resize", 401)):
        loaded = load_model(str(folder), device="cpu", extra_tokens=choice)
        assert loaded.model.get_input_embeddings().weight.shape[0] == rows


def test_a_saved_model_of_a_mended_one_needs_no_choice(folder: Path, tmp_path: Path) -> None:
    add(folder, tokens=["<|im_start|>"])
    for choice in ("drop", "resize"):
        loaded = load_model(str(folder), device="cpu", extra_tokens=choice)
        loaded.model.save_pretrained(tmp_path / choice)
        loaded.tokenizer.save_pretrained(tmp_path / choice)
        again = load_model(str(tmp_path / choice), device="cpu")
        assert again.info.notes == ()
        assert again.tokenizer(TEXT)["input_ids"] == loaded.tokenizer(TEXT)["input_ids"]


def test_a_gguf_with_more_tokens_than_rows_is_found_too(tmp_path: Path, models: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    load_model(str(file), device="cpu")
    (copy,) = (models / "gguf").glob("tiny-*")
    add(copy, tokens=["<|im_start|>"])  # as its converter would have left it
    stamp = json.loads((copy / "prepared.json").read_text())
    sizes = {name: (copy / name).stat().st_size for name in stamp["files"]}
    times = {name: int((copy / name).stat().st_mtime) for name in stamp["files"]}
    set_json(copy / "prepared.json", files=sizes, modified=times)
    with pytest.raises(InputError, match="im_start"):
        load_model(str(file), device="cpu")
    loaded = load_model(str(file), device="cpu", extra_tokens="resize")
    assert loaded.info.licence == "mit"
    assert loaded.model.get_input_embeddings().weight.shape[0] == 401
