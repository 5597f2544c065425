"""The files that hold a folder's weights, checked without reading a weight: all there, none cut short.

The format: https://github.com/huggingface/safetensors#format. Eight bytes of length, a JSON header, then the tensors.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.errors import InputError

_SAFE = "model.safetensors"
_PICKLED = "pytorch_model.bin"
_LARGEST_HEADER = 100 << 20


@dataclass(frozen=True)
class WeightFiles:
    """The weights of one folder.

    Attributes:
        files: one file or all shards.
        pickled: PyTorch's pickle format instead of safetensors.
        tensors: name -> (stored dtype as safetensors names it, shape); empty for pickles.
    """

    files: tuple[Path, ...]
    pickled: bool
    tensors: dict[str, tuple[str, tuple[int, ...]]]

    @property
    def bytes_on_disk(self) -> int:
        """Size of all the files."""
        return sum(path.stat().st_size for path in self.files)


def find_weights(folder: Path, *, allow_pickle: bool = False) -> WeightFiles:
    """The weight files of a model folder; safetensors where there are any.

    Raises:
        InputError: there are none, one is missing or cut short, or only pickles are there and nobody allowed them.
    """
    files = _listed(folder, _SAFE)
    if files:
        tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
        for path in files:
            tensors |= read_safetensors_header(path)
        return WeightFiles(files, False, tensors)
    files = _listed(folder, _PICKLED)
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
    return WeightFiles(files, True, {})


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


def read_safetensors_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> (dtype, shape) of each tensor in one file.

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
        tensors = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}
        end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file: its header cannot be read. Download or copy it again."
        ) from error
    if size < end:
        raise InputError(
            f"{path} is cut short: it has {size:,} bytes and its header promises {end:,}. Download or copy it again."
        )
    return tensors
