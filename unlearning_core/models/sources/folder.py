"""Whether a folder is a causal language model that can be loaded, cut and saved; asked before anything is loaded."""

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.errors import InputError
from unlearning_core.models.sources.multimodal import is_multimodal, language_config

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

_SAFE = "model.safetensors"
_PICKLED = "pytorch_model.bin"
_OTHER_HEADS = ("Classification", "QuestionAnswering", "MaskedLM", "MultipleChoice", "NextSentence", "RewardModel")
"""Parts of the names of classes whose head does not continue text."""
_LARGEST_HEADER = 100 << 20
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
    except Exception as error:  # a wrong value raises whatever the family's own check raises
        raise InputError(f"{folder / 'config.json'} cannot be used: {first_line(error)}.") from error
    _check_causal(folder, config)
    return config


def rows_of(config: "PreTrainedConfig") -> int:
    """Rows of the embedding, as a configuration says; loading checks that the file agrees."""
    return int(config.get_text_config().vocab_size)


def _raw_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a model folder: it has no config.json. {_hint(folder)}")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({first_line(error)}). Download or copy the folder again.") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
        raise InputError(
            f"{path} names no model_type, so its family is unknown. Give a folder that save_pretrained wrote."
        )
    return raw


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
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged file raises whatever the tokenizers library raises
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
    return tokenizer


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
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        paths = tuple(folder / shard for shard in shards)
        outside = [shard for shard in shards if Path(shard).name != shard]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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
    with path.open("rb") as file:
        if file.read(20).startswith(b"version https://git"):
            raise InputError(f"{path} is only a Git LFS pointer, not the weights. Fetch them with: git lfs pull")


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each tensor in one safetensors file: eight bytes of length, a JSON header, then the tensors.

    The format: https://github.com/huggingface/safetensors#format.

    Raises:
        InputError: it is not a safetensors file, or is shorter than its header promises.
    """
    _refuse_pointer(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size, _LARGEST_HEADER):
                raise ValueError("header longer than the file")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file: its header cannot be read. Download or copy it again."
        ) from error
    if size < end:
        raise InputError(
            f"{path} is cut short: it has {size:,} bytes and its header promises {end:,}. Download or copy it again."
        )
    return shapes


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for a sentence of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".:")[:300]
