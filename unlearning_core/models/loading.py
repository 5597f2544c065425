"""Load a causal language model from any source, ready to be read, cut and measured."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unlearning_core.compat import building_a_model
from unlearning_core.errors import InputError, WorkbenchError, WorkFailed
from unlearning_core.models.devices import check_fits, choose_device, choose_dtype
from unlearning_core.models.inspection import ModelInfo, inspect_folder
from unlearning_core.models.loading_bars import reporting
from unlearning_core.models.mapping import ModelMap, map_model
from unlearning_core.models.sources.folder import find_weights, first_line, read_tokenizer
from unlearning_core.models.sources.resolve import local_folder, resolve
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A causal language model in memory, in eval mode. Several people may share it: never change its weights.

    Its tokenizer's pad token is the end-of-text token where it had none, and stays None where it has neither.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
    map: ModelMap
    info: ModelInfo


def load_model(
    source: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    allow_pickle: bool = False,
    progress: ProgressCallback = silent,
) -> LoadedModel:
    """Load `source`: a folder, a .gguf file, a zip of a folder, a Hub id or a starter's name.

    Args:
        revision: branch, tag or commit of a Hub model.
        device: auto, cpu, cuda, cuda:0, mps.
        dtype: auto (bfloat16 on CUDA, float32 elsewhere), float32, bfloat16, float16.
        allow_pickle: also accept weights stored as pickles, read with PyTorch's restricted unpickler.
        progress: told in bytes and tensors; may raise `Stopped`.

    Raises:
        InputError: it is not a causal language model that can be cut, lacks a file, holds NaN, does not fit in memory,
            or cannot be had; the sentence says which and what to do.
        WorkFailed: memory ran out all the same, or the disk is full.
    """
    chosen = choose_device(device)
    form = choose_dtype(dtype, chosen)
    started = time.monotonic()
    folder = local_folder(source, revision=revision, allow_pickle=allow_pickle, progress=progress)
    commit = folder.name if resolve(source).kind == "hub" else None
    info = inspect_folder(source, folder, chosen, form, revision=commit)
    weights = find_weights(folder, allow_pickle=allow_pickle)
    check_fits(source, info.bytes_in_memory, chosen, f"as {form}")
    tokenizer = read_tokenizer(folder)
    waiting = Progress("waiting for another model that is being loaded", 0)
    with building_a_model(lambda: progress(waiting)), reporting(f"loading {source}", progress):
        model = _read(folder, weights[0].suffix == ".safetensors", chosen, form)
    _check_finite(source, model, form, progress)
    rows = int(model.get_input_embeddings().weight.shape[0])
    if tokenizer.vocab_size > rows:
        raise InputError(
            f"{source}: its tokenizer has {tokenizer.vocab_size:,} tokens and the model knows {rows:,}. "
            "They belong to different models: copy this model's own tokenizer files into the folder."
        )
    _log.info(
        "loaded %s (%s, %d parameters) on %s as %s in %.1f s",
        *(source, info.model_type, info.parameters, chosen, form, time.monotonic() - started),
    )
    return LoadedModel(model, tokenizer, map_model(model), info)


def _read(folder: Path, safe: bool, device: str, dtype: str) -> "PreTrainedModel":
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            # Straight onto the device: a copy on the CPU first would need its memory twice.
            device_map=None if device == "cpu" else {"": device},
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=safe,
            weights_only=True,
            output_loading_info=True,
        )
    except WorkbenchError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise WorkFailed(
            f"{device} ran out of memory while {folder} was loaded as {dtype}. Choose dtype bfloat16 or a smaller "
            "model, or close what else is running."
        ) from error
    except Exception as error:  # a damaged pickle or a wrong shape raises whatever the reader raises
        raise InputError(
            f"The weights in {folder} cannot be loaded ({first_line(error)}). "
            "Download or copy the folder again, and keep config.json and weights of the same model together."
        ) from error
    if missing := sorted(report.get("missing_keys") or ()):
        raise InputError(
            f"The weights in {folder} lack {len(missing)} tensors that config.json asks for ({missing[0]}, ...); they "
            "would be random numbers. Keep config.json and weights of the same model together."
        )
    return model.eval()


def _check_finite(source: str, model: "PreTrainedModel", dtype: str, progress: ProgressCallback) -> None:
    import torch

    tensors = model.state_dict(keep_vars=False)
    for done, (name, tensor) in enumerate(tensors.items()):
        progress(Progress(f"checking {source}", done, len(tensors), "tensors"))
        if not tensor.is_floating_point() or tensor.numel() == 0:
            continue
        # NaN and infinity both reach one of the two ends, and no second copy of the tensor is made.
        if not torch.isfinite(torch.stack(torch.aminmax(tensor))).all():
            count = int((~torch.isfinite(tensor)).sum())
            raise InputError(
                f"{source}: the tensor {name} holds {count:,} numbers that are NaN or infinite as {dtype}. "
                "Choose dtype float32 if it was float16, else download the model again or choose another."
            )
