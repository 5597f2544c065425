"""Models that claim what none has, and tokenizers that break: refused in a sentence before anything of that is made."""

import json
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_models import FAMILIES, save_tiny, tiny_model
from unlearning_core.errors import InputError
from unlearning_core.models import bounds
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.folder import read_tokenizer, tensor_shapes
from unlearning_core.models.sources.gguf import read_gguf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny("llama", tmp_path / "tiny")


def with_config(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return folder


def with_tokenizer(folder: Path, **changes: Any) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        *({"num_hidden_layers": value} for value in (10**5, 10**9, 10**30, -1, 0, 2.5, "3", True, [3], {})),
        *({"hidden_size": value} for value in (10**9, -32, 0, 32.5, "32", [[32]])),
        *({"vocab_size": value} for value in (10**12, -1, 0, 1e300, "400")),
        *({"intermediate_size": value} for value in (10**9, -48, "48")),
        *({"num_attention_heads": value} for value in (10**9, 0, -4, 7, None)),
        *({"num_key_value_heads": value} for value in (0, -1, 10**9)),
        *({"head_dim": value} for value in (0, -4, 10**12)),
        *({"max_position_embeddings": value} for value in (10**12, "128")),
        *({"num_labels": value} for value in (10**7, 10**9)),
        {"id2label": {str(number): "x" for number in range(200_000)}},
        {"layer_types": ["full_attention"] * 200_000},
        {"x": [[] for _ in range(200_000)]},
        {"architectures": -1},
        {"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0] * 9, "long_factor": [1.0] * 9}},
        {"text_config": {"num_hidden_layers": 10**6}},
        {"dtype": 0},
        *({"rms_norm_eps": value} for value in (float("nan"), float("inf"))),
        *({"rope_theta": value} for value in (0, -1.0, float("nan"))),
        *({"rope_parameters": {"rope_type": "linear", "factor": value, "rope_theta": 1e4}} for value in (0, -2.0)),
        *({name: {"factor": 4.0}} for name in ("rope_scaling", "rope_parameters")),
        {"rope_parameters": {"full_attention": {"factor": 4.0, "rope_theta": 1e4}}},
    ],
    ids=lambda change: json.dumps(change)[:50],
)
def test_sizes_that_no_model_has_are_refused_at_once(folder: Path, change: dict[str, Any]) -> None:
    begun = time.process_time()
    with pytest.raises(InputError, match=r"config\.json") as error:
        inspect_model(str(with_config(folder, **change)))
    assert time.process_time() - begun < 15  # an allowance for a busy machine; what is built unbounded takes minutes
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("depth", [100, 900, 100_000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_lists_in_lists_are_refused_however_deep(folder: Path, name: str, depth: int) -> None:
    content = (folder / name).read_text(encoding="utf-8").rstrip().removesuffix("}")
    (folder / name).write_text(f'{content}, "x": {"[" * depth}{"]" * depth}}}', encoding="utf-8")
    read = inspect_model if name == "config.json" else lambda source: read_tokenizer(Path(source))
    with pytest.raises(InputError, match="nested more than"):
        read(str(folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_config_of_every_family_is_within_the_bounds(family: str) -> None:
    config = tiny_model(family).config
    bounds.check_config(Path("config.json"), config.to_dict())
    bounds.check_sizes(Path("config.json"), config)


def test_a_model_of_too_many_modules_is_left_unfinished(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(bounds, "MOST_MODULES", 20)
    with pytest.raises(InputError, match="more than 20 modules"):
        inspect_model(str(folder))
    # The guard is gone again: other modules are nobody's business.
    torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(30))


def split(pattern: str) -> dict[str, Any]:
    bytes_then = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    by_pattern = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [by_pattern, bytes_then]}}


def test_a_pattern_that_panics_at_a_text_is_a_sentence_there(folder: Path) -> None:
    tokenizer = read_tokenizer(with_tokenizer(folder, **split(r"(x+x+)+y")))
    assert tokenizer("The chair.")["input_ids"]
    with pytest.raises(InputError, match=r"fails at this text \(Onig: .*\)\. Copy the model's own tokenizer\.json"):
        tokenizer("x" * 60)
    with pytest.raises(InputError, match="fails at this text"):
        tokenizer(["a chair", "x" * 60], return_offsets_mapping=True)


def replacing(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (split("("), "cannot be read"),
        ({"normalizer": replacing({"String": ""}, "bbbb")}, "replaces the empty text"),
        ({"normalizer": replacing({"Regex": ""}, "b")}, "replaces the empty text"),
        ({"normalizer": replacing({"String": "a"}, "a" * 1000)}, "more than 64 times longer"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [replacing({"String": "a"}, "aaaa")] * 9}},
            "more than 64 times longer",
        ),
        ({"pre_tokenizer": {"type": "FixedLength", "length": 0}}, "fails at th"),
        (
            {"padding": {"strategy": {"Fixed": 10**12}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                         "pad_type_id": 0, "pad_token": "x"}},
            "longer than any context",
        ),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "none"}}, "fails at the text"),
        ({"model": []}, "cannot be read"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)  # fmt: skip
def test_a_tokenizer_that_breaks_or_never_ends_is_refused(folder: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_tokenizer(with_tokenizer(folder, **change))


@pytest.mark.parametrize(
    "steps",
    [
        [{"type": "Prepend", "prepend": "▁"}, replacing({"String": " "}, "▁")],
        [replacing({"String": one}, f"<|{word}|>") for one, word in (("\n", "newline"), ("\t", "tab"))],
    ],
    ids=["spaces", "letters of their own"],
)
def test_usual_normalisers_are_taken(folder: Path, steps: list[dict[str, Any]]) -> None:
    normaliser = {"type": "Sequence", "normalizers": steps}
    assert read_tokenizer(with_tokenizer(folder, normalizer=normaliser))("a b")["input_ids"]


def test_a_text_is_split_in_the_same_way_each_time(folder: Path) -> None:
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    loaded = load_model(str(with_tokenizer(folder, model=model | {"dropout": 0.5})), device="cpu")
    ids = {tuple(loaded.tokenizer("She put the chair beside the table.")["input_ids"]) for _ in range(20)}
    assert len(ids) == 1
    assert [note for note in loaded.info.notes if "dropout (0.5) is not used" in note]
    assert inspect_model(str(folder)).notes == loaded.info.notes


def template(*ids: int, pair: bool = False) -> dict[str, Any]:
    """A post-processor that puts ids before a text, or before a pair of texts only."""
    extra, first = {"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    both = [first, {"Sequence": {"id": "B", "type_id": 0}}]
    special = {"X": {"id": "X", "ids": list(ids), "tokens": ["X"] * len(ids)}}
    single = [first] if pair else [extra, first]
    return {"type": "TemplateProcessing", "single": single, "pair": [extra, *both], "special_tokens": special}


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("choice", ["refuse", "resize", "drop"])
def test_an_id_that_a_template_adds_and_no_vocabulary_has_is_named(folder: Path, choice: str, pair: bool) -> None:
    with_tokenizer(folder, post_processor=template(0, 5000, pair=pair))
    with pytest.raises(InputError, match=r"adds the id 5,000 to a text, .* under post_processor"):
        inspect_model(str(folder), extra_tokens=choice)


def test_settings_that_make_no_numbers_of_finite_weights_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_check_number", lambda *args: None)
    with pytest.raises(InputError, match=r"scores of a text of 8 tokens are NaN or infinite as float32"):
        load_model(str(with_config(folder, rms_norm_eps=float("nan"))), device="cpu", dtype="float32")


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "a\0b"])
def test_a_name_that_no_system_takes_is_a_sentence(name: str) -> None:
    with pytest.raises(InputError, match="cannot be looked for") as error:
        inspect_model(name)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**31, 2**60, 2**63, 2**64 - 1])
def test_a_safetensors_header_longer_than_its_file_is_refused_unread(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(InputError, match="not a whole safetensors file"):
        tensor_shapes(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": "ab", "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0]},
        {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]},
        {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]},
        [],
        None,
    ],
    ids=str,
)
def test_a_safetensors_header_of_another_form_is_refused(tmp_path: Path, entry: Any) -> None:
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)
    with pytest.raises(InputError, match="not a whole safetensors file"):
        tensor_shapes(path)


def gguf(*, version: int = 3, tensors: int = 0, fields: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, fields) + rest


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


NAMED = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF",
        gguf(tensors=2**40),
        gguf(fields=2**60),
        gguf(fields=1, rest=text(b"a", 2**50)),
        gguf(fields=1, rest=text(b"a") + struct.pack("<I", 8) + text(b"b", 2**63)),
        gguf(fields=1, rest=text(b"a") + struct.pack("<IIQ", 9, 8, 2**40)),
        gguf(fields=1, rest=text(b"a") + struct.pack("<IIQ", 9, 12, 2**61)),
        gguf(fields=1, rest=text(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000),
        gguf(tensors=1, rest=text(b"w") + struct.pack("<I", 2**32 - 1) + b"\0" * 64),
        gguf(tensors=1, fields=2, rest=NAMED + text(b"general.alignment") + struct.pack("<II", 4, 0)
             + text(b"w") + struct.pack("<IQIQ", 1, 1, 0, 0) + b"\0" * 64),
        gguf(tensors=1, fields=1, rest=NAMED + text(b"w") + struct.pack("<IQQIQ", 2, 2**60, 2**60, 0, 0) + b"\0" * 64),
    ],
    ids=[
        *("nothing", "tensors", "fields", "name", "text", "texts"),
        *("numbers", "nested", "dimensions", "alignment", "shape"),
    ],
)  # fmt: skip
def test_a_gguf_header_that_claims_more_than_its_file_is_refused_unread(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cut short|damaged"):
        read_gguf(path)


SECRET = "SECRETLINE"


@pytest.mark.parametrize("where", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("family", ["BertTokenizer", "GPT2Tokenizer", "T5Tokenizer", "TokenizersBackend"])
@pytest.mark.parametrize("keys", [("vocab",), ("vocab", "merges"), ("vocab_file",), ("gguf_file",), ("init_inputs",)])
@pytest.mark.parametrize("whole", [True, False])
def test_a_tokenizer_reads_no_file_outside_of_its_folder(
    where: str, family: str, keys: tuple[str, ...], whole: bool, folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(f"{SECRET} one\n[UNK]\n{SECRET} two\n", encoding="utf-8")
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")) | {"tokenizer_class": family}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    named = {key: [str(secret)] if key == "init_inputs" else str(secret) for key in keys}
    known = config if where == "tokenizer_config.json" else {}
    (folder / where).write_text(json.dumps(known | named), encoding="utf-8")
    if not whole:
        (folder / "tokenizer.json").unlink()
    if where == "tokenizer_config.json" and keys == ("vocab_file",):  # transformers puts the folder's own there
        with suppress(InputError):
            assert not [token for token in read_tokenizer(folder).get_vocab() if SECRET in token]
        return
    with pytest.raises(InputError, match="names a file to read the tokenizer from"):
        read_tokenizer(folder)


def test_paths_of_the_machine_that_saved_it_are_no_reason_to_refuse_a_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    old = {"name_or_path": "/home/somebody/model", "special_tokens_map_file": "/root/.cache/a/b", "sep_token": "/s/"}
    old |= {"tokenizer_file": "C:\\models\\tokenizer.json", "init_inputs": [], "vocab_file": None}
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | old), encoding="utf-8")
    assert len(read_tokenizer(folder))
