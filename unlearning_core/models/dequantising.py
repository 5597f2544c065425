"""A GGUF file becomes a safetensors folder, once: left quantised, a model can be neither edited nor saved."""

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import new_folder, write_json
from unlearning_core.progress import Progress, ProgressCallback, silent

STAMP = "prepared.json"
"""Written last into a prepared folder: what it was made from and the size of every file in it."""

_FORMAT = 1
_log = logging.getLogger(__name__)


def root() -> Path:
    """The folder of prepared models: `models/` of the checkout, or the environment's UNLEARNING_MODELS."""
    chosen = os.environ.get("UNLEARNING_MODELS")
    return Path(chosen).expanduser().resolve() if chosen else Path(__file__).resolve().parents[2] / "models"


def is_complete(folder: Path, sha256: str) -> bool:
    """Whether `folder` was prepared from the file with this checksum and none of its files is missing or cut short."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        same = stamp["format"] == _FORMAT and stamp["sha256"] == sha256
        return bool(same and all((folder / name).stat().st_size == size for name, size in stamp["files"].items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def dequantise(
    gguf: Path, target: Path, sha256: str, *, facts: dict[str, Any] | None = None, progress: ProgressCallback = silent
) -> Path:
    """Write `gguf` as float32 safetensors with its tokenizer into `target`, whole or not at all; done once.

    Two processes that want the same folder at once take turns, and the second finds the first one's work.

    Args:
        sha256: checksum of `gguf`, kept in the folder's stamp.
        facts: what else the stamp shall say (licence, title).

    Raises:
        InputError: the file is not a causal language model that transformers can read.
        WorkFailed: the disk has too little space left.
    """
    if is_complete(target, sha256):
        return target
    with turn(target, progress):
        if is_complete(target, sha256):
            return target
        _check_space(gguf, target)
        started = time.monotonic()
        with new_folder(target) as folder:
            _convert(gguf, folder, progress)
            files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
            stamp = {"format": _FORMAT, "source": gguf.name, "sha256": sha256, **(facts or {}), "files": files}
            write_json(folder / STAMP, stamp)
        _log.info("dequantised %s to %s in %.1f s", gguf.name, target, time.monotonic() - started)
    return target


@contextmanager
def turn(target: Path, progress: ProgressCallback = silent) -> Iterator[None]:
    """Hold the right to write `target`; the system gives it back when the process that holds it dies."""
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.parent / f".{target.name}.lock")
    waited = 0.0
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            waited += 0.5
            progress(Progress(f"waiting for another process that prepares {target.name}", waited, None, "seconds"))
    try:
        yield
    finally:
        lock.release()


def _check_space(gguf: Path, target: Path) -> None:
    from unlearning_core.models.gguf_headers import read_gguf

    need = int(1.05 * 4 * read_gguf(gguf).parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < need:
        raise WorkFailed(
            f"{gguf.name} needs {need / 1e9:.1f} GB in {target.parent} once dequantised, and {free / 1e9:.1f} GB are "
            "free. Free some space, or set UNLEARNING_MODELS to a folder on another disk."
        )


def _convert(gguf: Path, folder: Path, progress: ProgressCallback) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where, name = str(gguf.parent), gguf.name
    try:
        with _reporting(f"dequantising {name}", progress):
            tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                where,
                gguf_file=name,
                quantization_config=GgufConfig(dequantize=True),
                dtype="float32",
                local_files_only=True,
            )
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{gguf} cannot be read as a causal language model ({_first_line(error)}). "
            "Choose a GGUF file of a family that transformers can dequantise, or a safetensors folder."
        ) from error
    # A GGUF names no limit of the tokenizer; the model's own is the true one.
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit:
        tokenizer.model_max_length = limit
    progress(Progress(f"saving {folder.name.strip('.').split('.')[0]}", 0, None, "bytes"))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    written = sum(path.stat().st_size for path in folder.iterdir())
    progress(Progress(f"saving {folder.name.strip('.').split('.')[0]}", written, written, "bytes"))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


@contextmanager
def _reporting(task: str, progress: ProgressCallback) -> Iterator[None]:
    """Report the loop over the file's tensors, which transformers wraps in a bar that offers no hook."""
    from transformers import modeling_gguf_pytorch_utils as converter

    bar: Callable[..., Any] = converter.tqdm
    here = threading.get_ident()

    def reported(tensors: Iterable[Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
        if threading.get_ident() != here:
            yield from bar(tensors, *args, **kwargs)
            return
        listed = list(tensors)
        total = sum(int(tensor.n_bytes) for tensor in listed)
        done = 0
        for tensor in listed:
            progress(Progress(task, done, total, "bytes"))
            yield tensor
            done += int(tensor.n_bytes)
        progress(Progress(task, done, total, "bytes"))

    converter.tqdm = reported
    try:
        yield
    finally:
        converter.tqdm = bar
