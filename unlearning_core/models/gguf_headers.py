"""What a GGUF file says about itself, read from its header; no weight is touched."""

from dataclasses import dataclass
from pathlib import Path

from unlearning_core.errors import InputError


@dataclass(frozen=True)
class GgufHeader:
    """Facts of one file.

    Attributes:
        architecture: `general.architecture`, llama.cpp's name of the family.
        parameters: numbers in all tensors.
        licence: `general.license`, or None.
        tensors: name -> shape, fastest dimension first as GGUF stores it.
    """

    architecture: str
    parameters: int
    licence: str | None
    tensors: dict[str, tuple[int, ...]]


def read_gguf(path: Path) -> GgufHeader:
    """Read the header of `path`.

    Raises:
        InputError: the file is missing, is not GGUF, or is shorter than its header says.
    """
    from gguf import GGUFReader

    if not path.is_file():
        raise InputError(f"{path} does not exist. Give the path of a .gguf file.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise InputError(f"{path} is not a GGUF file: it does not start with GGUF. Download it again.")
    try:
        reader = GGUFReader(path)
        end = max((int(tensor.data_offset) + int(tensor.n_bytes) for tensor in reader.tensors), default=0)
        architecture = str(reader.fields["general.architecture"].contents())
        licence = reader.fields.get("general.license")
    except (ValueError, KeyError, IndexError, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is damaged or cut short: its GGUF header cannot be read. Download it again."
        ) from error
    if not reader.tensors or end > path.stat().st_size:
        raise InputError(f"{path} is cut short: its header promises {end} bytes of tensors. Download it again.")
    return GgufHeader(
        architecture=architecture,
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        licence=str(licence.contents()) if licence else None,
        tensors={tensor.name: tuple(int(side) for side in tensor.shape) for tensor in reader.tensors},
    )
