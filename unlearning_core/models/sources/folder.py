"""Whether a folder is a causal language model that can be loaded, cut and saved; asked before anything is loaded."""

import json
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt")


def read_config(folder: Path) -> Any:
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
        return "It is an adapter (LoRA): merge it into its base model, save that, and give the saved folder."
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
    quantised = raw.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        raise InputError(
            f"{folder} is stored quantised ({method}); a quantised model can be neither cut nor saved exactly. "
            "Choose the unquantised model, or a .gguf file, which is dequantised."
        )


def _check_causal(folder: Path, config: Any) -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    family = config.model_type
    named = [str(name) for name in (getattr(config, "architectures", None) or [])]
    # Families such as BERT can be built with a causal head as well; their weights were trained to fill gaps.
    fills_gaps = family in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
    other_head = any(part in name for name in named for part in ("Classification", "QuestionAnswering", "MaskedLM"))
    if family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or fills_gaps or other_head:
        what = ", ".join(named) or family
        raise InputError(
            f"{folder} is not a causal language model: its config.json says {what}. "
            "Choose a model that continues text, such as llama, gpt2 or qwen3."
        )


def read_tokenizer(folder: Path) -> Any:
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


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for a sentence of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".:")[:300]
