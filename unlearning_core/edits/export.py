"""An edit made from the files of a model to the files of another, tensor by tensor: the model is never in memory.

What is written is what `weights.bake` and `save_pretrained` write of a model loaded in the number format of its files.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearning_core.edits.mask import Mask
from unlearning_core.edits.row_weights import check_rows, moved, row_parameters
from unlearning_core.edits.saved_weights import SavedWeights
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.edits.weights import cuts
from unlearning_core.errors import InputError
from unlearning_core.files import new_folder, write_json
from unlearning_core.models.architectures import TABLE
from unlearning_core.models.loading import ZEROED
from unlearning_core.models.mapping import map_model
from unlearning_core.models.sources.weight_files import FileTensor, weights_of
from unlearning_core.progress import Progress, ProgressCallback, silent

MOST_BYTES = 5 * 10**9
"""Of one file of weights."""

TASK = "writing the model"

_BESIDE = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
"""What a model folder holds beside its weights that the edited model needs as well."""

_TEMPLATES = "additional_chat_templates"
"""A folder there, of tokenizers with several chat templates."""

_NOT_BESIDE = ("config.json", "prepared.json", "model.safetensors.index.json")

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""A number's, by the names that safetensors has for formats."""

Change = Callable[[Tensor], object]
"""Changes a tensor of a file in place."""


def export_edit(
    source: Path,
    target: Path,
    mask: Mask | None,
    rows: TokenRows | None = None,
    *,
    most_bytes: int = MOST_BYTES,
    progress: ProgressCallback = silent,
) -> None:
    """Write the model in `source` with the edit into `target`, in the number format of its files.

    Args:
        source: a model folder whose weights are safetensors, in one file or several.
        target: the folder to make; replaced once it is complete.
        mask: of this model; None cuts nothing.
        rows: of this model; None moves none.
        most_bytes: of a file of weights; a tensor that is larger stands alone.
        progress: told in tensors; may raise Stopped.

    Raises:
        InputError: the folder's weights are not safetensors, the mask or the rows are not of this model, or its family
            is not in the table of architectures and a residual mask needs a look at its norms while it runs.
        WorkFailed: the disk is full.
    """
    saved, weights = SavedWeights(source), weights_of(source)
    changes, tensors, zeroed = changes_of(saved, mask, rows), weights.tensors, False
    groups = grouped(list(tensors.values()), most_bytes)
    done, where = 0, {}
    with new_folder(target) as folder:
        for number, group in enumerate(groups, 1):
            name = "model.safetensors" if len(groups) == 1 else f"model-{number:05}-of-{len(groups):05}.safetensors"
            with (folder / name).open("wb") as file:
                file.write(_header(group))
                for one in group:
                    progress(Progress(TASK, done, len(tensors), "tensors"))
                    tensor = saved.tensor(one.name)
                    if edits := changes.get(one.name):
                        tensor = tensor.clone()
                        for change in edits:
                            change(tensor)
                        zeroed |= tensor.dim() > 1 and not bool(tensor.any())
                    file.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
                    where[one.name], done = name, done + 1
        if len(groups) > 1:
            size = sum(map(bytes_of, tensors.values()))
            write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": where})
        _write_beside(source, folder, zeroed)


def changes_of(saved: SavedWeights, mask: Mask | None, rows: TokenRows | None) -> dict[str, list[Change]]:
    """What an edit changes, by the names of the tensors in the files; raises InputError as `export_edit`."""
    found: dict[str, list[Change]] = defaultdict(list)
    if mask is not None and saved.config.model_type not in TABLE and "residual" in mask.kept:
        raise InputError(
            f"The family {saved.config.model_type!r} is not in the table of architectures, and a cut of its hidden "
            "states cannot be written without loading it. Load it whole (device cpu), or cut at another site."
        )
    for cut in cuts(map_model(saved.model), mask) if mask is not None else []:
        for keys in saved.all_keys(cut.parameter):
            if saved.apart(cut.parameter, keys):
                for expert, key in enumerate(keys):
                    found[key].append(partial(cut.silence_expert, expert))
            else:
                found[keys[0]].append(cut.silence)
    if rows is not None:
        check_rows(saved.model, rows)
        ends: dict[Any, Any] = row_parameters(saved.model)
        for end, towards in (("embedding", rows.target_in), ("head", rows.target_out)):
            if towards is not None:
                for keys in saved.all_keys(ends[end]):
                    found[keys[0]].append(partial(_move, rows, towards))
    return found


def _move(rows: TokenRows, towards: np.ndarray, tensor: Tensor) -> None:
    ids = torch.from_numpy(rows.ids.copy())
    tensor.index_copy_(0, ids, moved(tensor, ids, rows.strength, towards).to(tensor))


def bytes_of(tensor: FileTensor) -> int:
    """Of its numbers."""
    return int(np.prod(tensor.shape, dtype=np.int64)) * _BYTES[tensor.dtype]


def grouped(tensors: list[FileTensor], most_bytes: int) -> list[list[FileTensor]]:
    """Tensors of one file after the other, in their order, each file within `most_bytes` or of one tensor alone."""
    groups: list[list[FileTensor]] = [[]]
    size = 0
    for one in tensors:
        if groups[-1] and size + bytes_of(one) > most_bytes:
            groups.append([])
            size = 0
        groups[-1].append(one)
        size += bytes_of(one)
    # The format wants numbers aligned to their own size: the widest first.
    return [sorted(group, key=lambda one: (-_BYTES[one.dtype], one.name)) for group in groups]


def _header(group: list[FileTensor]) -> bytes:
    """What stands before the numbers of a safetensors file: 8 bytes of length, and JSON with each tensor's place."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for one in group:
        end = start + bytes_of(one)
        entries[one.name] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_beside(source: Path, folder: Path, zeroed: bool) -> None:
    for path in sorted({path for pattern in _BESIDE for path in source.glob(pattern)}):
        if path.name not in _NOT_BESIDE:
            shutil.copyfile(path, folder / path.name)
    if (source / _TEMPLATES).is_dir():
        shutil.copytree(source / _TEMPLATES, folder / _TEMPLATES)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", config | ({ZEROED: True} if zeroed else {}))
