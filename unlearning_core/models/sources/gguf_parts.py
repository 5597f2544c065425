"""A GGUF file and, where it is one part of several, the others: all of them, or the name of the one that is missing.

llama.cpp's `gguf-split` writes parts called `name-00001-of-00003.gguf`; each has some of the tensors, and the first
has the keys (https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split).
"""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.models.checksums import sha256_of
from unlearning_core.models.sources.gguf import GgufHeader, read_gguf
from unlearning_core.progress import Progress, ProgressCallback, silent

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.gguf)", re.IGNORECASE)


@dataclass(frozen=True)
class WholeGguf:
    """A model in GGUF: its files in their order, one as a rule, and one header with the tensors of all."""

    parts: tuple[Path, ...]
    header: GgufHeader

    @property
    def name(self) -> str:
        """What the model is called, without the number of a part."""
        found = _PART.fullmatch(self.parts[0].name)
        return found["stem"] if found else self.parts[0].stem

    def checksum(self, progress: ProgressCallback = silent) -> str:
        """SHA-256 of the file; of several, over their checksums in order, whichever of them was given."""
        sums = [sha256_of(part, progress) for part in self.parts]
        return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()


def whole_gguf(path: Path) -> WholeGguf:
    """The model that `path` is, or is a part of; only headers are read.

    Raises:
        InputError: a part is missing, damaged or of another model; the sentence names it.
    """
    header = read_gguf(path, part=True)
    count = header.whole("split.count") or 0
    named = _PART.fullmatch(path.name)
    if count <= 1 and (named is None or int(named["count"]) <= 1):
        return WholeGguf((path,), read_gguf(path))
    if named is None or (count and int(named["count"]) != count):
        number = (header.whole("split.no") or 0) + 1
        raise InputError(
            f"{path} is part {number} of {count} of a model, and only its own name says where the others are. Call it "
            f"NAME-{number:05d}-of-{count:05d}.gguf again, beside the others."
        )
    total = int(named["count"])
    paths = [
        path.with_name(f"{named['stem']}-{n:05d}-of-{named['count']}{named['suffix']}") for n in range(1, total + 1)
    ]
    if missing := [part.name for part in paths if not part.is_file()]:
        raise InputError(
            f"{path} is one part of {total}, and {len(missing)} of them {'is' if len(missing) == 1 else 'are'} not in "
            f"{path.parent}: {', '.join(missing[:3])}. Put all parts into one folder."
        )
    return WholeGguf(tuple(paths), _joined([read_gguf(part, part=True) for part in paths], paths))


def _joined(headers: list[GgufHeader], paths: list[Path]) -> GgufHeader:
    first = headers[0]
    tensors: dict[str, tuple[int, ...]] = {}
    formats: dict[str, str] = {}
    for number, (header, path) in enumerate(zip(headers, paths, strict=True)):
        says = header.whole("split.no")
        family = header.fields.get("general.architecture", first.fields.get("general.architecture"))
        if says not in (None, number) or family != first.fields.get("general.architecture"):
            raise InputError(
                f"{path} is not part {number + 1} of the model beside it: its header says part {(says or 0) + 1} of a "
                f"{family} model. Download the parts again."
            )
        if twice := sorted(set(tensors) & set(header.tensors)):
            raise InputError(f"{path} holds {twice[0]}, as an earlier part does. Download the parts again.")
        tensors |= header.tensors
        formats |= header.formats
    promised = first.whole("split.tensors.count")
    if promised is not None and promised != len(tensors):
        raise InputError(
            f"The {len(paths)} parts of {paths[0].name} hold {len(tensors)} tensors, and the first promises "
            f"{promised}. Download the parts again."
        )
    if "general.architecture" not in first.fields:
        raise InputError(f"{paths[0]} names no architecture, as the first part of a model does. Download it again.")
    # Places are within a part, and no one file has them all.
    return replace(first, tensors=tensors, formats=formats, places={})


def join(whole: WholeGguf, target: Path, progress: ProgressCallback = silent) -> Path:
    """Write the parts as one file, tensor by tensor as they are, with the keys of the first."""
    import gguf

    readers = [gguf.GGUFReader(part) for part in whole.parts]
    writer = gguf.GGUFWriter(target, whole.header.architecture)
    for field in readers[0].fields.values():
        if not field.name.startswith(("GGUF.", "split.")) and field.name != "general.architecture":
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, tensor.tensor_type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, tensor in enumerate(tensors):
        progress(Progress(f"joining the parts of {whole.name}", done, len(tensors), "tensors"))
        writer.write_tensor_data(tensor.data)
    writer.close()
    return target
