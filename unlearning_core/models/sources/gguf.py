"""GGUF files: what one says about itself, and how it becomes a safetensors folder, once.

Left quantised, a model can be neither edited nor saved. The header is read here, and no weight is touched for it.
The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. `gguf.GGUFReader` maps the file into memory but
builds an array for each string of the vocabulary: for the 98 MB of SmolLM2-135M it takes 1.66 s and 159 MB (two cores,
gguf 0.19), this reader .04 s and less than 1 MB. A page asks whenever a person looks at a model.
"""

import logging
import math
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from unlearning_core.compat import building_a_model
from unlearning_core.errors import InputError
from unlearning_core.models.devices import check_fits
from unlearning_core.models.loading_bars import reporting
from unlearning_core.models.sources.folder import first_line
from unlearning_core.models.sources.prepared import check_space, prepare_once
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)
_SCALARS = dict(enumerate(("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?"))) | {10: "<Q", 11: "<q", 12: "<d"}
_STRING, _LIST = 8, 9
_MOST_DIMENSIONS = 8
_LEAST_TENSOR, _LEAST_FIELD = 24, 13
"""Bytes that a tensor's entry and a field take at least: a name's length and, with no dimension or a byte, the rest."""


@dataclass(frozen=True)
class GgufHeader:
    """A file's keys (of a list only its first few entries) and tensors: name -> shape, fastest dimension first."""

    fields: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the family, mostly the one of transformers."""
        return str(self.fields["general.architecture"])

    @property
    def parameters(self) -> int:
        """Numbers in all tensors; a tied head is not stored and so not counted twice."""
        return sum(math.prod(shape) for shape in self.tensors.values())

    @property
    def licence(self) -> str | None:
        """`general.license`, where the file names it."""
        named = self.fields.get("general.license")
        return named if isinstance(named, str) else None

    def of_family(self, key: str) -> Any:
        """The value of `<architecture>.<key>`, or None."""
        return self.fields.get(f"{self.architecture}.{key}")


def read_gguf(path: Path) -> GgufHeader:
    """Read the header of `path` and check that the file is as long as it promises.

    Raises:
        InputError: the file is missing, is not GGUF, or is damaged or cut short.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist. Give the path of a .gguf file.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise InputError(f"{path} is not a GGUF file: it does not start with the letters GGUF. Download it again.")
        try:
            header, end = _header(file)
        except (struct.error, ArithmeticError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} is damaged or cut short: its header cannot be read. Download it again."
            ) from error
    size = path.stat().st_size
    if end > size:
        raise InputError(
            f"{path} is cut short: it has {size:,} bytes and its header promises {end:,}. Download it again."
        )
    if not header.tensors or not isinstance(header.fields.get("general.architecture"), str):
        raise InputError(f"{path} holds no model: its header names no architecture or no tensors. Choose another file.")
    return header


def _header(file: BinaryIO) -> tuple[GgufHeader, int]:
    """The header and the position at which the last tensor ends."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    size = os.fstat(file.fileno()).st_size
    (version,) = _take(file, "<I")
    if version not in (2, 3):
        raise ValueError(f"GGUF version {version}")
    tensor_count, field_count = _take(file, "<QQ")
    if tensor_count * _LEAST_TENSOR + field_count * _LEAST_FIELD > size:
        raise ValueError("more tensors or fields than there are bytes")
    fields = {}
    for _ in range(field_count):
        key = _string(file)
        fields[key] = _value(file, _take(file, "<I")[0])
    tensors, ends = {}, [0]
    for _ in range(tensor_count):
        name = _string(file)
        (dimensions,) = _take(file, "<I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError("a tensor of impossibly many dimensions")
        shape = _take(file, f"<{dimensions}Q")
        kind, offset = _take(file, "<IQ")
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        tensors[name] = shape
        ends.append(offset + math.prod(shape) // block * block_bytes)
    alignment = int(fields.get("general.alignment", 32))
    start = -(-file.tell() // alignment) * alignment
    return GgufHeader(fields, tensors), start + max(ends)


def _take(file: BinaryIO, form: str) -> tuple[Any, ...]:
    size = struct.calcsize(form)
    return struct.unpack(form, file.read(size))


def _string(file: BinaryIO) -> str:
    (length,) = _take(file, "<Q")
    if length > min(1 << 28, os.fstat(file.fileno()).st_size):
        raise ValueError("a string of the header is impossibly long")
    found = file.read(length)
    if len(found) < length:
        raise ValueError("the header ends inside a string")
    return found.decode("utf-8", errors="replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind != _LIST:
        return _take(file, _SCALARS[kind])[0]
    inner, count = _take(file, "<IQ")
    if count > os.fstat(file.fileno()).st_size:
        raise ValueError("a list of more entries than there are bytes")
    kept = [_value(file, inner) for _ in range(min(count, 4))]
    if inner in _SCALARS:
        file.seek(struct.calcsize(_SCALARS[inner]) * (count - len(kept)), 1)
    else:
        for _ in range(count - len(kept)):
            _value(file, inner)
    return kept


def dequantise(
    gguf: Path, target: Path, sha256: str, *, facts: dict[str, Any] | None = None, progress: ProgressCallback = silent
) -> Path:
    """Write `gguf` as float32 safetensors with its tokenizer into `target`, as `prepare_once` does.

    The folder's stamp says `sha256`, which is that of `gguf`, and `facts` (licence, title).

    Raises:
        InputError: the file is not a causal language model that transformers can read, or does not fit in memory.
        WorkFailed: the disk has too little space left.
    """

    def fill(folder: Path) -> dict[str, Any]:
        header = read_gguf(gguf)
        # transformers holds the dequantised arrays and the model made from them at the same time.
        check_fits(gguf.name, 2 * 4 * header.parameters, "cpu", "dequantised to float32")
        check_space(gguf.name, int(4.2 * header.parameters), target, "dequantised")
        started = time.monotonic()
        _convert(gguf, header, folder, progress)
        _log.info("dequantised %s in %.1f s", gguf, time.monotonic() - started)
        return {"source": gguf.name, "licence": header.licence, **(facts or {})}

    return prepare_once(target, sha256, fill, progress)


def _convert(gguf: Path, header: GgufHeader, folder: Path, progress: ProgressCallback) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where, name = str(gguf.parent), gguf.name
    try:
        # One long call without a sign of life: the vocabulary is read string by string.
        progress(Progress(f"reading the tokenizer of {name}", 0, None))
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, local_files_only=True)
        progress(Progress(f"reading the settings of {name}", 0, None))
        # A second loop hands the arrays to the model at once; it would start the same bar again.
        told = reporting(f"dequantising {name}", lambda report: progress(report) if report.unit == "bytes" else None)
        with building_a_model(), told:
            model = AutoModelForCausalLM.from_pretrained(
                where,
                gguf_file=name,
                quantization_config=GgufConfig(dequantize=True),
                dtype="float32",
                local_files_only=True,
            )
    except (ValueError, KeyError, NotImplementedError, RuntimeError, AttributeError, TypeError) as error:
        raise InputError(
            f"{gguf} cannot be read as a causal language model of the family {header.architecture!r} "
            f"({first_line(error)}). Choose a GGUF file of a family that transformers can dequantise, or a "
            "safetensors folder."
        ) from error
    # A GGUF names no limit of the tokenizer; the model's own is the true one.
    if limit := getattr(model.config, "max_position_embeddings", None):
        tokenizer.model_max_length = limit
    saving, expected = f"saving {name} as safetensors", 4 * header.parameters
    progress(Progress(saving, 0, expected, "bytes"))
    with reporting(saving, silent):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    progress(Progress(saving, expected, expected, "bytes"))
