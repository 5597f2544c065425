"""GGUF files: what one says about itself. Only the header is read, and no weight is touched for it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. `gguf.GGUFReader` maps the file into memory but
builds an array for each string of the vocabulary: for the 98 MB of SmolLM2-135M it takes 1.66 s and 159 MB (two cores,
gguf 0.19), this reader .04 s and less than 1 MB. A page asks whenever a person looks at a model.
"""

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from unlearning_core.errors import InputError

_SCALARS = dict(enumerate(("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?"))) | {10: "<Q", 11: "<q", 12: "<d"}
_STRING, _LIST = 8, 9
_MOST_DIMENSIONS = 8
_LEAST_TENSOR, _LEAST_FIELD = 24, 13
"""Bytes that a tensor's entry and a field take at least: a name's length and, with no dimension or a byte, the rest."""


@dataclass(frozen=True)
class GgufHeader:
    """A file's keys (of a list only its first few entries) and tensors: name -> shape, fastest dimension first.

    `formats` holds the number format of each tensor, as llama.cpp calls it (F32, Q4_K).
    """

    fields: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    formats: dict[str, str]

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


def read_gguf(path: Path, *, part: bool = False) -> GgufHeader:
    """Read the header of `path` and check that the file is as long as it promises.

    Args:
        part: it is one of several files, of which the first alone names the architecture and need hold no tensor.

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
    if not part and (not header.tensors or not isinstance(header.fields.get("general.architecture"), str)):
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
    tensors, formats, ends = {}, {}, [0]
    for _ in range(tensor_count):
        name = _string(file)
        (dimensions,) = _take(file, "<I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError("a tensor of impossibly many dimensions")
        shape = _take(file, f"<{dimensions}Q")
        kind, offset = _take(file, "<IQ")
        if kind not in set(GGMLQuantizationType):
            raise InputError(
                f"{file.name}: the tensor {name} is stored in the format number {kind}, which is not known here. "
                "Choose a file in a usual format, such as Q8_0 or Q4_K_M, or a safetensors folder."
            )
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        tensors[name], formats[name] = shape, GGMLQuantizationType(kind).name
        ends.append(offset + math.prod(shape) // block * block_bytes)
    alignment = int(fields.get("general.alignment", 32))
    start = -(-file.tell() // alignment) * alignment
    return GgufHeader(fields, tensors, formats), start + max(ends)


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
