"""Whether a folder is a causal language model that can be loaded, cut and saved; asked before anything is loaded."""

import codecs
import difflib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from unlearning_core.compat import is_panic, tokenizer_panics_raise
from unlearning_core.errors import InputError
from unlearning_core.models.bounds import MOST_JSON_BYTES, check_config, check_sizes, check_tokenizer
from unlearning_core.models.sources.multimodal import is_multimodal, language_config
from unlearning_core.models.sources.outside_files import check_outside_files
from unlearning_core.reading import check_form, parse_json, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

_SAFE = "model.safetensors"
_PICKLED = "pytorch_model.bin"
_LARGEST_HEADER, _LARGEST_CONFIG = 100 << 20, 8 << 20
_TOKENIZER_JSON = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_TRIED = "She sat down on the chair, 7 metres away: it's a café."
"""Written and read back once by a tokenizer that is new: one that cannot is refused before anything is built on it."""

_DROPOUT = "_dropout_left_out"
"""Where a tokenizer that was read keeps the chance that its file has for leaving out a merge."""

_OTHER_HEADS = ("Classification", "QuestionAnswering", "MaskedLM", "MultipleChoice", "NextSentence", "RewardModel")
"""Parts of the names of classes whose head does not continue text."""
_QUANTISED = ("quantization_config", "compression_config", "quantization")
"""Keys of config.json, or of a part of it, under which a quantisation is described."""
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt")


def read_config(folder: Path) -> "PreTrainedConfig":
    """The transformers configuration of a model folder; no code of the folder is ever run.

    Raises:
        InputError: the folder is not a model's, or its model is not a causal language model in full precision.
    """
    from transformers import AutoConfig

    raw = _raw_config(folder)
    _check_family(folder, raw)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _check_causal(folder, config)
        _leave_out_machine(config)
        _check_activation(folder / "config.json", config)
        check_sizes(folder / "config.json", config)
    except InputError:
        raise
    except Exception as error:  # a wrong value raises whatever the family's own check raises
        raise InputError(
            f"{folder / 'config.json'} cannot be used: {first_line(error)}. Download or copy the folder again."
        ) from error
    return config


def _leave_out_machine(config: "PreTrainedConfig") -> None:
    """Take out of a configuration how some machine computed with it, and a description of no quantisation."""
    if config._attn_implementation != "eager":  # which runs everywhere, and gives attentions where they are wanted
        config._attn_implementation = None
    for part in (config, config.get_text_config()):
        for name in _QUANTISED:
            if name in vars(part) and not getattr(part, name):
                delattr(part, name)


def _check_activation(path: Path, config: "PreTrainedConfig") -> None:
    from transformers.activations import ACT2FN

    for name in ("hidden_act", "hidden_activation", "activation_function"):
        value = getattr(config.get_text_config(), name, None)
        if isinstance(value, str) and value not in ACT2FN:
            near = difflib.get_close_matches(value, ACT2FN) or ["silu", "gelu", "relu"]
            raise InputError(
                f"{path}: {name} {value[:80]!r} is no activation function that transformers has, such as "
                f"{', '.join(near)}. Correct it, or download or copy the folder again."
            )


def rows_of(config: "PreTrainedConfig") -> int:
    """Rows of the embedding, as a configuration says; loading checks that the file agrees."""
    return int(config.get_text_config().vocab_size)


def _raw_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a model folder: it has no config.json. {_hint(folder)}")
    size = path.stat().st_size
    if size > _LARGEST_CONFIG:
        raise InputError(
            f"{path} has {size / 1e6:,.0f} MB; a config has at most {_LARGEST_CONFIG / 1e6:,.0f}. Download or copy the "
            "folder again, or do not use this model."
        )
    raw = read_json(path, mend="Download or copy the folder again.")
    _refuse_mark(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
        raise InputError(
            f"{path} names no model_type, so its family is unknown. Give a folder that save_pretrained wrote."
        )
    for name in ("dtype", "torch_dtype"):
        if not isinstance(raw.get(name), str | None):
            raise InputError(
                f'{path}: {name} is {str(raw[name])[:80]}; expected a name, such as "float32" or "bfloat16". '
                "Correct it, or download or copy the folder again."
            )
    check_config(path, raw)
    return raw


def _refuse_mark(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(3) == codecs.BOM_UTF8:
            raise InputError(
                f"{path} begins with a byte order mark, which transformers does not read. Save it as UTF-8 without one "
                "(in an editor: UTF-8, not UTF-8 with BOM)."
            )


def _hint(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return (
            "It is an adapter (LoRA): merge it into its base model (peft: PeftModel.from_pretrained(...)"
            ".merge_and_unload(), then save_pretrained), and give the saved folder."
        )
    ggufs = sorted(folder.glob("*.gguf"))
    if ggufs:
        return f"It holds a GGUF file: give the file itself, {ggufs[0]}."
    inner = sorted(path.parent for path in [*folder.glob("*/config.json"), *folder.glob("models/*/config.json")])
    inner = [path for path in inner if any(path.glob("*.safetensors"))]
    if inner:
        return f"Did you mean {inner[0]}?"
    return "Give a folder that save_pretrained wrote, with config.json, model.safetensors and the tokenizer's files."


def _check_family(folder: Path, raw: dict[str, Any]) -> None:
    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if raw["model_type"] not in CONFIG_MAPPING_NAMES:
        if raw.get("auto_map"):
            raise InputError(
                f"{folder} needs code of its own (auto_map in config.json, model_type {raw['model_type']!r}), and code "
                "that comes with a model is never run here. Choose a model of a family that transformers knows."
            )
        raise InputError(
            f"{folder / 'config.json'}: model_type {raw['model_type']!r} is not known to transformers {__version__}. "
            "Choose a model of a known family, such as llama, gpt2 or qwen3."
        )
    parts = [raw, *(part for part in raw.values() if isinstance(part, dict))]
    quantised = next((part[key] for part in parts for key in _QUANTISED if part.get(key)), None)
    if quantised:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        raise InputError(
            f"{folder} is stored quantised ({method}); a quantised model can be neither cut nor saved exactly. "
            "Choose the unquantised model, or a .gguf file, which is dequantised."
        )


def _check_causal(folder: Path, config: "PreTrainedConfig") -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if is_multimodal(config):
        language_config(str(folder), config)
        return
    family = config.model_type
    named = [str(name) for name in (getattr(config, "architectures", None) or [])]
    # Families such as BERT can be built with a causal head as well; their weights were trained to fill gaps.
    fills_gaps = family in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
    other_head = any(part in name for name in named for part in _OTHER_HEADS)
    two_halves = bool(getattr(config, "is_encoder_decoder", False))
    if family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or fills_gaps or other_head or two_halves:
        what = ", ".join(named) or family
        raise InputError(
            f"{folder} is not a causal language model: its config.json says {what}. "
            "Choose a model that continues text, such as llama, gpt2 or qwen3."
        )


def read_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """The fast tokenizer of a model folder, with a pad token wherever it has an end-of-text token to use for it.

    A tokenizer with neither keeps none: declaring a letter the pad token would drop that letter from decoded text.

    Raises:
        InputError: there is none, it cannot be read, or it gives no offsets (only fast tokenizers do).
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _TOKENIZER_FILES) and not any(folder.glob("*.model")):
        raise InputError(
            f"{folder} has no tokenizer: none of {', '.join(_TOKENIZER_FILES)} is there. "
            "Copy the tokenizer's files of the same model into it (tokenizer.save_pretrained)."
        )
    _check_tokenizer_files(folder)
    tokenizer_panics_raise(InputError)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except BaseException as error:  # a damaged file raises whatever the tokenizers library raises, or its panic
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise InputError(
            f"The tokenizer in {folder} cannot be read ({first_line(error)}). "
            "Copy the tokenizer's files of the same model into the folder again."
        ) from error
    if not tokenizer.is_fast:
        raise InputError(
            f"The tokenizer in {folder} ({type(tokenizer).__name__}) has no fast version, and only a fast one says "
            "which characters each token covers. Choose a model with a tokenizer.json."
        )
    if len(tokenizer) == 0:
        raise InputError(f"The tokenizer in {folder} has an empty vocabulary. Copy the model's tokenizer.json into it.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if (chance := getattr(tokenizer.backend_tokenizer.model, "dropout", None)) is not None:
        # A text would be split otherwise each time.
        tokenizer.backend_tokenizer.model.dropout = None
        setattr(tokenizer, _DROPOUT, chance)
    try:
        tokenizer.decode(tokenizer(_TRIED)["input_ids"])
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"The tokenizer in {folder} fails at the text {_TRIED!r} ({first_line(error)}). Copy the tokenizer's files "
            "of the same model into the folder again."
        ) from error
    return tokenizer


def dropout_left_out(tokenizer: "PreTrainedTokenizerFast") -> tuple[str, ...]:
    """A sentence where the file of a tokenizer of `read_tokenizer` splits texts by chance; empty otherwise."""
    chance = getattr(tokenizer, _DROPOUT, None)
    if not chance:
        return ()
    return (f"The tokenizer's dropout ({chance:.3g}) is not used: the same text is always split in the same way.",)


def _check_tokenizer_files(folder: Path) -> None:
    """Look through the JSON of a tokenizer, where there is any, before the tokenizers library does."""
    mend = "Copy the tokenizer's files of the same model into the folder again."
    for path in (folder / name for name in _TOKENIZER_JSON):
        if not path.exists():
            continue
        if path.is_file() and path.stat().st_size > MOST_JSON_BYTES:
            raise InputError(f"{path} has {path.stat().st_size / 1e6:,.0f} MB, more than any tokenizer. {mend}")
        values = read_json(path, dict[str, Any], mend=mend)
        _refuse_mark(path)
        if path.name == "tokenizer.json":
            check_tokenizer(path, values)
        elif path.name in ("tokenizer_config.json", "special_tokens_map.json"):
            check_outside_files(path, values)


def find_weights(folder: Path, *, allow_pickle: bool = False) -> tuple[Path, ...]:
    """The weight files of a model folder, all there and none cut short: safetensors where there are any, else pickles.

    No weight is read.

    Raises:
        InputError: there are none, one is missing or cut short, or only pickles are there and nobody allowed them.
    """
    files = _listed(folder, _SAFE)
    if files:
        for path in files:
            tensor_shapes(path)
        return files
    files = _listed(folder, _PICKLED)
    if not files and (shards := sorted(folder.glob("*-of-*.safetensors"))):
        raise InputError(
            f"{folder} holds parts of weights ({shards[0].name}{', ...' if shards[1:] else ''}) and not the index that "
            f"says what is in which: {_SAFE}.index.json is missing. Download or copy that file too."
        )
    if not files and (folder / "adapter_config.json").is_file():
        raise InputError(f"{folder} holds no weights of a model. {_hint(folder)}")
    if not files:
        raise InputError(
            f"{folder} holds no weights: neither {_SAFE} nor {_SAFE}.index.json is there. "
            "Give a folder that save_pretrained wrote, or download the model again."
        )
    if not allow_pickle:
        raise InputError(
            f"{folder} holds its weights only as pickle files ({files[0].name}), which can carry code. Convert them to "
            "safetensors, or, if you trust where they come from, opt in with base_model.allow_pickle=true."
        )
    for path in files:
        _refuse_pointer(path)
    return files


def _listed(folder: Path, name: str) -> tuple[Path, ...]:
    """The single file, or the shards that the index names; empty where there is neither."""
    if (folder / name).is_file():
        return (folder / name,)
    index = folder / f"{name}.index.json"
    if not index.is_file():
        return ()
    try:
        shards = sorted(set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values()))
        paths = tuple(folder / shard for shard in shards)
        outside = [shard for shard in shards if Path(shard).name != shard]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{index} is damaged: it should be JSON with a weight_map that names the weight files. Download it again."
        ) from error
    if outside:
        raise InputError(f"{index} names {outside[0]!r}, a file outside its own folder. Do not use this model.")
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of its {len(paths)} weight files: {', '.join(missing[:3])}. "
            "Download or copy the folder again."
        )
    return paths


def _refuse_pointer(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is not a file that can be read. Download or copy it again.")
    with path.open("rb") as file:
        if file.read(20).startswith(b"version https://git"):
            raise InputError(f"{path} is only a Git LFS pointer, not the weights. Fetch them with: git lfs pull")


class _Tensor(BaseModel):
    dtype: str
    shape: list[Annotated[int, Field(strict=True, ge=0, lt=1 << 62)]]
    data_offsets: tuple[Annotated[int, Field(strict=True, ge=0)], Annotated[int, Field(strict=True, ge=0)]]


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each tensor in one safetensors file: eight bytes of length, a JSON header, then the tensors.

    The format: https://github.com/huggingface/safetensors#format.

    Raises:
        InputError: it is not a safetensors file, or is shorter than its header promises.
    """
    from safetensors import safe_open

    _refuse_pointer(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size, _LARGEST_HEADER):
                raise ValueError("header longer than the file")
            header = parse_json(file.read(length))
        header.pop("__metadata__", None)
        check_form(header, dict[str, _Tensor])
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (OSError, struct.error, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file: its header cannot be read. Download or copy it again."
        ) from error
    if size < end:
        raise InputError(
            f"{path} is cut short: it has {size:,} bytes and its header promises {end:,}. Download or copy it again."
        )
    try:
        with safe_open(path, framework="np"):  # gaps, overlaps and sizes that do not go together: its own reader knows
            return shapes
    except Exception as error:
        raise InputError(
            f"{path} is not a whole safetensors file ({first_line(error)}). Download or copy it again."
        ) from error


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for a sentence of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # Some name the field in the first line and say what was expected in the next.
    last = next((number for number, line in enumerate(lines) if not line.endswith(":")), 0)
    return " ".join(lines[: last + 1]).rstrip(".:")[:300]
