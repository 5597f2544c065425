"""What a tokenizer's JSON would have transformers open outside of its folder.

transformers hands the keys of tokenizer_config.json and special_tokens_map.json to the tokenizer's class as arguments,
and some classes open what such an argument names: `"vocab": "/proc/self/environ"` makes the lines of that file the
tokens of a BertTokenizer, for everybody to read. For the arguments that name the folder's own files (`vocab_file`) it
puts values of its own, but only where they stand in tokenizer_config.json. Found with transformers 5.23.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError

_OPENED = ("vocab", "merges", "gguf_file", "bpe_codes", "sp_model", "spm_file")
"""Arguments that classes open where they are texts, and that name no file of a saved folder."""

_NAMES = ("name_or_path", "_name_or_path")
"""Where a model was once saved; told to people, never opened."""


def check_outside_files(path: Path, values: Mapping[str, Any]) -> None:
    """Make sure that the values of a tokenizer_config.json or special_tokens_map.json lead to no other file.

    Raises:
        InputError: one of them does, whether that file is there or not; names the key.
    """
    for key, value in values.items():
        if key == "init_inputs" and value:
            raise _refusal(path, key)
        opened = key in _OPENED or (path.name != "tokenizer_config.json" and key.endswith("_file"))
        if isinstance(value, str) and (opened or (_leads_out(value) and not _is_harmless(key))):
            raise _refusal(path, key)


def _is_harmless(key: str) -> bool:
    # Old folders hold the paths of the machine that saved them: transformers puts the folder's own in their place.
    return key in _NAMES or key.endswith(("_file", "_token", "_template"))


def _leads_out(value: str) -> bool:
    parts = value.replace("\\", "/").split("/")
    return len(parts) > 1 and (parts[0] in ("", "~") or parts[0].endswith(":") or ".." in parts)


def _refusal(path: Path, key: str) -> InputError:
    return InputError(
        f"{path}: {key} names a file to read the tokenizer from, which no saved tokenizer does. Save the tokenizer "
        "again (tokenizer.save_pretrained), or do not use this model."
    )
