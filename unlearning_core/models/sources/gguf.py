"""GGUF files: what one says about itself. Only the header is read, and no weight is touched for it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. `gguf.GGUFReader` maps the file into memory but
builds an array for each string of the vocabulary: for the 98 MB of SmolLM2-135M it takes 1.66 s and 159 MB (two cores,
gguf 0.19), this reader .04 s and less than 1 MB. A page asks whenever a person looks at a model.
"""

import math
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from unlearning_core.errors import InputError

_SCALARS = dict(enumerate(("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?"))) | {10: "<Q", 11: "<q", 12: "<d"}
_STRING, _LIST = 8, 9
_MOST_DIMENSIONS = 8
_MOST = 1 << 40
_KEPT, _KEPT_NUMBERS = 4, 4096
"""Entries of a list that are kept: of a vocabulary a few, of numbers for each layer all."""

_OTHERWISE = (
    (b"version https://git", "only a Git LFS pointer, not the model. Fetch it with: git lfs pull"),
    (b"<", "a page of the web saved under this name. Download the file itself, not the page about it."),
    (b"{", "JSON saved under this name, such as the answer of a server. Download the file itself."),
    (b"PK\x03\x04", "a zip. Give it the ending .zip, or unpack it."),
    (b"ggjt", "of the format GGML, from before GGUF. Choose a newer file of the model."),
    (b"tjgg", "of the format GGML, from before GGUF. Choose a newer file of the model."),
    (b"lmgg", "of the format GGML, from before GGUF. Choose a newer file of the model."),
)
"""How files start that are no GGUF and go by its name, and what to say of them after the words "it is "."""
_LEAST_TENSOR, _LEAST_FIELD = 24, 13
"""Bytes that a tensor's entry and a field take at least: a name's length and, with no dimension or a byte, the rest."""


@dataclass(frozen=True)
class GgufHeader:
    """A file's keys (of a long list only its first few entries) and tensors: name -> shape, fastest dimension first.

    Attributes:
        formats: the number format of each tensor, as llama.cpp calls it (F32, Q4_K).
        places: of each tensor, the positions in its file at which its bytes start and end.
        counts: of each key that is a list, its entries.
        file: what the sentences call it.
    """

    fields: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    formats: dict[str, str]
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    file: str = "the GGUF file"

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the family, mostly the one of transformers."""
        return str(self.fields.get("general.architecture", ""))

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

    @property
    def family_keys(self) -> list[str]:
        """The keys of the family, without its name, in the file's order."""
        prefix = f"{self.architecture}."
        return [key.removeprefix(prefix) for key in self.fields if key.startswith(prefix)]

    def whole(self, key: str, least: int = 0) -> int | None:
        """The whole number of `<architecture>.<key>`, or of `key` where that is the full name; None where it is absent.

        Raises:
            InputError: it is something else, or less than `least`.
        """
        found = self._value(key)
        if found is not None and (type(found) is not int or not least <= found < _MOST):
            self._refuse(key, found, f"a whole number from {least}")
        return found

    def by_layer(self, key: str, least: int = 0) -> int | list[int] | None:
        """As `whole`, of a key that may be a list with a number for each layer."""
        found = self._value(key)
        numbers = found if isinstance(found, list) else []
        if not numbers:
            return self.whole(key, least)
        if any(type(one) is not int or not 0 <= one < _MOST for one in numbers):
            self._refuse(key, found, "whole numbers")
        return numbers

    def real(self, key: str) -> float | None:
        """As `whole`, of a finite number from 0."""
        found = self._value(key)
        if found is not None and (type(found) not in (int, float) or not 0 <= found < math.inf):
            self._refuse(key, found, "a finite number from 0")
        return None if found is None else float(found)

    def _value(self, key: str) -> Any:
        return self.fields[key] if key in self.fields else self.of_family(key)

    def _refuse(self, key: str, found: Any, expected: str) -> NoReturn:
        raise InputError(
            f"{self.file}: its field {key} is {repr(found)[:80]}, expected {expected}. Download it again, or choose "
            "another file."
        )


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
        start = file.read(64)
        if not start.startswith(b"GGUF"):
            what = next((told for begins, told in _OTHERWISE if start.lstrip().startswith(begins)), None)
            what = f"it is {what}" if what else "it does not start with the letters GGUF. Download it again."
            raise InputError(f"{path} is not a GGUF file: {what}")
        file.seek(4)
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
        big = version in (2 << 24, 3 << 24)
        what = (
            "is written for machines with the other byte order (big-endian)"
            if big
            else f"is damaged, or of version {version}"
        )
        raise InputError(
            f"{file.name} {what}; GGUF of version 2 or 3, little-endian, is read here. Choose another file of the "
            "model, or convert it anew."
        )
    tensor_count, field_count = _take(file, "<QQ")
    if tensor_count * _LEAST_TENSOR + field_count * _LEAST_FIELD > size:
        raise ValueError("more tensors or fields than there are bytes")
    fields: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for _ in range(field_count):
        key = _string(file)
        kind = _take(file, "<I")[0]
        if kind == _LIST:
            counts[key] = _take(file, "<IQ")[1]
            file.seek(-12, 1)
        fields[key] = _value(file, kind)
    tensors, formats, places = {}, {}, {}
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
        places[name] = (offset, offset + math.prod(shape) // block * block_bytes)
    alignment = int(fields.get("general.alignment", 32))
    if alignment < 1:
        raise ValueError(f"alignment {alignment}")
    start = -(-file.tell() // alignment) * alignment
    _check_apart(file.name, places)
    placed = {name: (start + first, start + end) for name, (first, end) in places.items()}
    end = max((end for _, end in placed.values()), default=start)
    return GgufHeader(fields, tensors, formats, placed, counts, file.name), end


def _check_apart(path: str, places: dict[str, tuple[int, int]]) -> None:
    """No two tensors share a byte."""
    inside, reached = "", 0
    for name, (first, end) in sorted(places.items(), key=lambda entry: entry[1]):
        if first < reached and end > first:
            raise InputError(
                f"{path} is damaged: its header lets the tensors {inside[:80]!r} and {name[:80]!r} share bytes. "
                "Download it again."
            )
        if end > reached:
            inside, reached = name, end


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
    most = _KEPT_NUMBERS if inner in _SCALARS and count <= _KEPT_NUMBERS else _KEPT
    kept = [_value(file, inner) for _ in range(min(count, most))]
    if inner in _SCALARS:
        file.seek(struct.calcsize(_SCALARS[inner]) * (count - len(kept)), 1)
    else:
        for _ in range(count - len(kept)):
            _value(file, inner)
    return kept
