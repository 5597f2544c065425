"""Whether the numbers of a model are numbers: NaN and infinity are refused, in memory and in the files."""

from typing import TYPE_CHECKING

from unlearning_core.errors import InputError
from unlearning_core.models.sources.resolve import own_folder
from unlearning_core.models.sources.weight_files import numbers, weights_of
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from torch import Tensor


def check_finite_files(
    source: str, *, revision: str | None = None, allow_pickle: bool = False, progress: ProgressCallback = silent
) -> None:
    """Look through a model's weight files for NaN and infinity, before it is loaded: a pass over the files.

    Args:
        source: a folder, .gguf file, zip, Hub id or starter; downloaded or dequantised where needed.

    Raises:
        InputError: a tensor holds such a number; or the source cannot be had.
    """
    folder = own_folder(source, revision=revision, allow_pickle=allow_pickle, progress=progress)
    weights = weights_of(folder, allow_pickle=allow_pickle)
    for done, (name, tensor) in enumerate(numbers(weights)):
        progress(Progress(f"checking {source}", done, len(weights.tensors), "tensors"))
        if tensor.is_floating_point() and tensor.numel():
            finite_ends(source, name, tensor, str(tensor.dtype).removeprefix("torch."))


def finite_ends(source: str, name: str, tensor: "Tensor", dtype: str) -> "Tensor":
    """The smallest and the largest number of a tensor.

    Args:
        dtype: in which the numbers are, for the sentence.

    Raises:
        InputError: one is NaN or infinite.
    """
    import torch

    # NaN and infinity both reach one of the two ends, and no second copy of the tensor is made.
    ends = torch.stack(torch.aminmax(tensor))
    if not torch.isfinite(ends).all():
        count = int((~torch.isfinite(tensor)).sum())
        raise InputError(
            f"{source}: the tensor {name} holds {count:,} numbers that are NaN or infinite as {dtype}. "
            "Choose dtype float32 if it was float16, else download the model again or choose another."
        )
    return ends
