"""What the weight files of a folder hold, and which files beside them would change the model and are not read.

Only names, shapes and number formats are looked at; no weight is read before a check asks for one.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from unlearning_core.errors import InputError
from unlearning_core.models.sources.folder import find_weights, first_line

if TYPE_CHECKING:
    import torch

_FULL = ("F64", "F32", "F16", "BF16", "float64", "float32", "float16", "bfloat16")
"""Number formats of weights that can be cut and saved, as safetensors and as PyTorch call them."""

_NOT_WEIGHTS = re.compile(
    r"(^|\.)(position_ids|token_type_ids|relative_position_index|num_batches_tracked"
    r"|(attn|attention)\.(bias|masked_bias|causal_mask))$"
)
"""Tables of whole numbers and masks that older versions saved; whether one is harmless is checked once it is loaded."""

_PACKED = re.compile(
    r"\.(qweight|qzeros|scales|g_idx|absmax|nested_absmax|quant_map|nested_quant_map|SCB|weight_format|lut"
    r"|weight_(packed|scale|scale_inv|scale_2|zero_point|global_scale|shape|g_idx)|(input|output)_scale"
    r"|quant_state\..+|absmax\..+|weight\.(absmax|quant_map|nested_.+|quant_state\..+))$"
)
"""Names that GPTQ, AWQ, bitsandbytes, compressed-tensors and the fp8 formats give to the parts of a packed weight."""


@dataclass(frozen=True)
class FileTensor:
    """One tensor of a weight file: where it lies, its number format (as the file calls it) and its shape."""

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]

    def read(self) -> "torch.Tensor":
        """The numbers."""
        from safetensors import safe_open

        if self.file.suffix != ".safetensors":
            return _unpickled(self.file, "cpu")[self.name]
        with safe_open(self.file, framework="pt") as opened:
            found: torch.Tensor = opened.get_tensor(self.name)
        return found


@dataclass(frozen=True)
class Weights:
    """The weight files that are read, their tensors by name, and what is not read beside them, a sentence each."""

    files: tuple[Path, ...]
    tensors: dict[str, FileTensor]
    notes: tuple[str, ...]


def weights_of(folder: Path, *, allow_pickle: bool = False) -> Weights:
    """The weights of a model folder, all there, in full precision, and the only ones that the folder could mean.

    Raises:
        InputError: as `find_weights`; or two sets of weights or an adapter lie there, the index does not say what the
            files hold, or a tensor is packed or of a format that is no weight's.
    """
    files = find_weights(folder, allow_pickle=allow_pickle)
    inner = (f"{path.parent.name}/{path.name}" for name in _ADAPTER for path in folder.glob(f"*/{name}"))
    notes = beside((*(path.name for path in folder.iterdir()), *inner), files, str(folder))
    tensors = _tensors(files)
    _check_index(folder, files, tensors)
    _check_formats(folder, tensors)
    return Weights(files, tensors, notes)


def numbers(weights: Weights) -> "Iterator[tuple[str, torch.Tensor]]":
    """Every tensor with its name, read one after another; each file is opened once."""
    from safetensors import safe_open

    for path in weights.files:
        if path.suffix != ".safetensors":
            yield from _unpickled(path, "cpu").items()
            continue
        with safe_open(path, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  no mapping
                yield name, opened.get_tensor(name)


def _tensors(files: tuple[Path, ...]) -> dict[str, FileTensor]:
    from safetensors import safe_open

    found: dict[str, FileTensor] = {}
    for path in files:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as opened:
                slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  no mapping
                entries = {name: (str(part.get_dtype()), tuple(part.get_shape())) for name, part in slices.items()}
        else:
            loaded = _unpickled(path, "meta")
            entries = {name: (str(one.dtype).removeprefix("torch."), tuple(one.shape)) for name, one in loaded.items()}
        for name, (dtype, shape) in entries.items():
            if name in found:
                raise InputError(
                    f"The tensor {name} is in both {found[name].file.name} and {path.name} of {path.parent}, and only "
                    "one can be meant. Download or save the model again."
                )
            found[name] = FileTensor(path, name, dtype, shape)
    return found


def _unpickled(path: Path, device: str) -> dict[str, "torch.Tensor"]:
    """The tensors of a pickled file, read with PyTorch's restricted unpickler."""
    import torch

    try:
        try:
            found = torch.load(path, map_location=device, weights_only=True, mmap=True)
        except RuntimeError:  # written before PyTorch 1.6: such a file cannot be mapped
            found = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever it makes the reader do
        raise InputError(
            f"The weights in {path} cannot be loaded ({first_line(error)}). Download or copy the file again."
        ) from error
    wrong = [name for name, one in found.items() if not isinstance(one, torch.Tensor)] if _is_mapping(found) else None
    if wrong is None or wrong:
        what = f"{wrong[0]!r} in it is no tensor" if wrong else f"it holds a {type(found).__name__}"
        raise InputError(
            f"The weights in {path} cannot be loaded: expected a dictionary of tensors, and {what}. Save them with "
            "save_pretrained."
        )
    return dict(found)


def _is_mapping(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(name, str) for name in found)


def _check_index(folder: Path, files: tuple[Path, ...], tensors: dict[str, FileTensor]) -> None:
    index = next((folder / f"{name}.index.json" for name in ("model.safetensors", "pytorch_model.bin")
                  if files[0].suffix == Path(name).suffix), None)  # fmt: skip
    if index is None or not index.is_file() or files[0].name in ("model.safetensors", "pytorch_model.bin"):
        return
    named: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    for name, file in named.items():
        if name not in tensors or tensors[name].file.name != file:
            raise InputError(
                f"{index} says that the tensor {name} is in {file}, and it is not. The index and the weight files do "
                "not belong together: download or save the model again."
            )
    if left := sorted(set(tensors) - set(named)):
        raise InputError(
            f"{index} leaves out {len(left)} tensors of its files ({left[0]}, ...). The index and the weight files do "
            "not belong together: download or save the model again."
        )


def _check_formats(folder: Path, tensors: dict[str, FileTensor]) -> None:
    if packed := sorted(name for name in tensors if _PACKED.search(name)):
        raise InputError(
            f"{folder} is stored quantised: {len(packed)} of its tensors are parts of packed weights ({packed[0]}, "
            "...). A quantised model can be neither cut nor saved exactly. Choose the unquantised model, or a .gguf "
            "file, which is dequantised."
        )
    odd = [one for name, one in sorted(tensors.items()) if one.dtype not in _FULL and not _NOT_WEIGHTS.search(name)]
    if odd:
        raise InputError(
            f"{odd[0].file}: the tensor {odd[0].name} holds numbers of the format {odd[0].dtype}"
            f"{f' (and {len(odd) - 1} more)' if odd[1:] else ''}, which only a quantised model has, and config.json "
            "has no quantization_config that says what they mean. Choose the unquantised model (float32, bfloat16 or "
            "float16), or a .gguf file, which is dequantised."
        )


_OTHER_COPIES = (
    ("pytorch_model*.bin*", "the same weights as pickles, most often"),
    ("*.safetensors*", "other weights"),
    ("consolidated*.pth", "weights in the layout of the model's maker"),
    ("*.bin", "weights as pickles"),
    ("*.pt", "PyTorch files"),
    ("*.pth", "PyTorch files"),
    ("*.ckpt", "a checkpoint"),
    ("*.gguf", "quantised copies"),
    ("*.onnx", "a copy for another program"),
    ("*.h5", "a copy for TensorFlow"),
    ("*.msgpack", "a copy for Flax"),
    ("*.ot", "a copy for Rust"),
    ("*.mlmodel", "a copy for Core ML"),
    ("*.npz", "weights in another layout"),
    ("tf_model*", "a copy for TensorFlow"),
)  # fmt: skip
"""Files that look like weights -> what they are; the first that matches counts."""

_TRAINING = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "rng_state*.pth")
"""What a training leaves beside a model; nobody takes it for weights."""

_QUANTISER_FILES = ("quantize_config.json", "quant_config.json", "hf_quant_config.json", "quantization_config.json")
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "adapters.safetensors")


def beside(names: Iterable[str], files: Iterable[Path], where: str) -> tuple[str, ...]:
    """What lies in a model folder beside the weights that are read and is not read, a sentence a kind.

    Args:
        names: of everything in the folder (of a repository of the Hub: in it, also in its folders).
        files: the weights that are read.
        where: the folder or repository, for the sentences.

    Raises:
        InputError: an adapter is there, which would not be applied, or a second set of weights of the same format.
    """
    present, read = sorted(names), sorted(path.name for path in files)
    if adapters := [name for name in present if name in _ADAPTER]:
        raise InputError(
            f"{where} holds a whole model and an adapter beside it ({adapters[0]}), which would not be applied. Merge "
            "it (peft: PeftModel.from_pretrained(...).merge_and_unload(), then save_pretrained), or move the adapter "
            "into a folder of its own to use the model without it."
        )
    _refuse_second_set(present, read, where)
    told: dict[str, list[str]] = {}
    for name in present:
        if name in read or name.endswith("index.json") or _matches(name, _TRAINING):
            continue
        if PurePosixPath(name).name in _ADAPTER:
            told.setdefault("an adapter, which is not applied", []).append(name)
            continue
        kind = next((what for pattern, what in _OTHER_COPIES if PurePosixPath(name).match(pattern)), None)
        if kind or name in _QUANTISER_FILES:
            told.setdefault(kind or "settings of a quantisation that these weights do not have", []).append(name)
    used = read[0] if len(read) == 1 else f"{read[0]} and the {len(read) - 1} files after it"
    return tuple(
        f"Not read: {', '.join(found[:3])}{f' and {len(found) - 3} more' if found[3:] else ''} ({kind}). The model is "
        f"what {used} holds."
        for kind, found in told.items()
    )


def _refuse_second_set(present: list[str], read: list[str], where: str) -> None:
    """Refuse shards beside a single file, and shards that the index does not name."""
    stem = "model" if read[0].endswith(".safetensors") else "pytorch_model"
    shard = re.compile(rf"{stem}-\d+-of-\d+{re.escape(PurePosixPath(read[0]).suffix)}")
    shards = [name for name in present if shard.fullmatch(name)]
    single = f"{stem}{PurePosixPath(read[0]).suffix}"
    left = shards if single in present else [name for name in shards if name not in read]
    if not left:
        return
    why = f"beside {single}" if single in present else "that its index does not name"
    raise InputError(
        f"{where} holds {left[0]}{f' and {len(left) - 1} more files' if left[1:] else ''} {why}: two models may be "
        f"mixed there. Remove what does not belong to it, or download or save the model again into an empty folder."
    )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(PurePosixPath(name).match(pattern) for pattern in patterns)
