"""Checksums of files, computed once a file: the same path, size and time of change means the same bytes."""

import hashlib
from functools import lru_cache
from pathlib import Path

from unlearning_core.progress import Progress, ProgressCallback, silent

_CHUNK = 4 << 20
_READ = (
    *("config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model"),
    *("chat_template*", "pytorch_model*.bin", "pytorch_model.bin.index.json"),
)
"""The files that loading reads; a note or a log beside them is not part of the model."""


def sha256_of(path: Path, progress: ProgressCallback = silent) -> str:
    """SHA-256 of the file's bytes, in hexadecimal; remembered while this process lives."""
    seen = path.stat()
    return _remembered(str(path.resolve()), seen.st_size, seen.st_mtime_ns, _Unhashed(progress))


def fingerprint_of_folder(folder: Path) -> str:
    """Identity of a model folder: SHA-256 over the names and checksums of the files that loading reads."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if any(path.match(pattern) for pattern in _READ) and path.is_file():
            total.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return f"folder:{total.hexdigest()}"


class _Unhashed:
    """Carries the callback past the memory of results: every instance counts as the same."""

    def __init__(self, progress: ProgressCallback) -> None:
        self.progress = progress

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unhashed)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=1024)
def _remembered(path: str, size: int, changed_ns: int, listener: _Unhashed) -> str:
    total = hashlib.sha256()
    done = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            listener.progress(Progress(f"checking {Path(path).name}", done, size, "bytes"))
            total.update(chunk)
            done += len(chunk)
    return total.hexdigest()
