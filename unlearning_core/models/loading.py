"""Load a causal language model from any source, ready to be read, cut and measured."""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unlearning_core.errors import InputError
from unlearning_core.models.devices import check_fits, choose_device, choose_dtype
from unlearning_core.models.finite import finite_ends
from unlearning_core.models.inspection import ModelInfo, inspect_folder
from unlearning_core.models.loading_bars import reporting
from unlearning_core.models.mapping import ModelMap, map_model
from unlearning_core.models.placement import at_hand, input_device, spread_over
from unlearning_core.models.quantised import Quantize, bytes_quantised, keep_differentiable, packed, quantising
from unlearning_core.models.sources.extra_tokens import unused_rows
from unlearning_core.models.sources.folder import dropout_left_out, read_tokenizer
from unlearning_core.models.sources.hub import commit_of
from unlearning_core.models.sources.resolve import local_folder, resolve
from unlearning_core.models.sources.weight_files import weights_of
from unlearning_core.models.weights import read_model
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_log = logging.getLogger(__name__)

ZEROED = "has_zeroed_matrices"
"""Key of config.json: whole matrices of this model are 0 because somebody cut them."""

_TRIED_TOKENS = 8


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
    extra_tokens: str = "refuse",
    device_map: str | None = None,
    most_memory: Mapping[int | str, int] | None = None,
    quantize: "Quantize | None" = None,
    may_be_cut: bool = False,
    progress: ProgressCallback = silent,
) -> LoadedModel:
    """Load `source`: a folder, a .gguf file, a zip of a folder, a Hub id or a starter's name.

    Args:
        revision: branch, tag or commit of a Hub model.
        device: auto, cpu, cuda, cuda:0, mps.
        dtype: auto (bfloat16 on CUDA, float32 elsewhere), float32, bfloat16, float16.
        allow_pickle: also accept weights stored as pickles, read with PyTorch's restricted unpickler.
        extra_tokens: what to do about tokens of the tokenizer that have no row in the embedding: refuse, resize (new
            rows, the mean of the others) or drop (do without these tokens).
        device_map: "auto" spreads the model over all graphics cards, then memory, then disk (accelerate); None puts all
            of it on `device`. A model of which parts come and go can be ranked with and its cut previewed; the edit is
            then written from file to file (edits/export.py).
        most_memory: with "auto": bytes that it may take on each card (by number) and in memory ("cpu"); by default what
            is free.
        quantize: 8bit or 4bit keeps the linear maps in so many bits (bitsandbytes); like one that is spread, such a
            model can be ranked with and its cut previewed.
        may_be_cut: whether whole matrices may be 0, as in a model of which all neurons of a layer were cut; otherwise
            only where its config.json says so.
        progress: told in bytes and tensors; may raise `Stopped`.

    Raises:
        InputError: it is not a causal language model that can be cut, is not whole, holds what config.json does not
            ask for, holds or computes NaN, holds matrices of zeros, does not fit in memory, or cannot be had; the
            sentence says which and what to do.
        WorkFailed: memory ran out all the same, or the disk is full.
    """
    from transformers import AutoModelForCausalLM

    chosen = choose_device(device)
    form = choose_dtype(dtype, chosen)
    started = time.monotonic()
    # From the start: the checks build the model without its weights, and may have to wait for another one too.
    with reporting(f"loading {source}", progress):
        folder = local_folder(
            source, revision=revision, allow_pickle=allow_pickle, extra_tokens=extra_tokens, progress=progress
        )
        commit = commit_of(resolve(source).name, revision) if resolve(source).kind == "hub" else None
        info = inspect_folder(source, folder, chosen, form, revision=commit)
        weights = weights_of(folder, allow_pickle=allow_pickle)
        bits = {} if quantize is None else quantising(quantize, form)
        if quantize is not None:
            whole = 4 if form == "float32" else 2
            info = replace(info, bytes_in_memory=bytes_quantised(weights.tensors.values(), quantize, whole))
        if device_map is None:
            check_fits(source, info.bytes_in_memory, chosen, f"as {quantize or form}")
        tokenizer = read_tokenizer(folder)
        place = {} if device_map is None else spread_over(most_memory)
        model, notes = read_model(AutoModelForCausalLM, folder, weights, device=chosen, dtype=form, **place, **bits)
    if quantize is not None:
        keep_differentiable(packed(source, model, quantize))
    empty = _check_finite(source, model, form, progress)
    if empty and not getattr(model.config, ZEROED, False) and not may_be_cut:
        raise InputError(
            f"{source} holds only zeros in {len(empty)} of its matrices ({empty[0]}{', ...' if empty[1:] else ''}), as "
            "where a download was not finished. Download or copy the model again; if somebody pruned it so, write "
            f'"{ZEROED}": true into its config.json.'
        )
    found = map_model(model)
    _check_pass(source, model, form)
    unused = unused_rows(tokenizer, int(model.get_input_embeddings().weight.shape[0]))
    info = replace(info, notes=(*info.notes, *weights.notes, *notes, *unused, *dropout_left_out(tokenizer)))
    for note in info.notes:
        _log.warning("%s: %s", source, note)
    _log.info(
        "loaded %s (%s, %d parameters) on %s as %s in %.1f s",
        *(source, info.model_type, info.parameters, chosen, form, time.monotonic() - started),
    )
    return LoadedModel(model, tokenizer, found, info)


def _own_tensors(module: "nn.Module") -> "dict[str, Tensor]":
    """What a module saves, but for the modules in it."""
    passing = module._non_persistent_buffers_set
    buffers = {name: one for name, one in module.named_buffers(recurse=False) if name not in passing}
    return {**dict(module.named_parameters(recurse=False)), **buffers}


def _check_finite(source: str, model: "PreTrainedModel", dtype: str, progress: ProgressCallback) -> list[str]:
    """Refuse NaN and infinity; returns the matrices of the blocks and of the embedding that hold nothing but zeros."""
    total, done, empty = len(model.state_dict()), 0, []
    embedding = model.get_input_embeddings()
    for place, module in model.named_modules():
        # One module at a time: where accelerate keeps them on disk, no two need be in memory at once.
        with at_hand(module):
            for name, tensor in _own_tensors(module).items():
                progress(Progress(f"checking {source}", min(done, total), total, "tensors"))
                done += 1
                full = f"{place}.{name}".lstrip(".")
                if not tensor.is_floating_point() or tensor.numel() == 0:
                    continue
                ends = finite_ends(source, full, tensor, dtype)
                matrix = tensor.dim() > 1 and name in module._parameters
                if matrix and not ends.any() and (module is embedding or re.search(r"\.\d+\.", full)):
                    empty.append(full)
    return empty


def _check_pass(source: str, model: "PreTrainedModel", dtype: str) -> None:
    """Refuse finite weights that, with the settings of config.json, give scores that are not."""
    import torch

    from unlearning_core.models.experts import experts_read

    size = model.get_input_embeddings().weight.shape[0]
    ids = torch.arange(min(_TRIED_TOKENS, size), device=input_device(model))[None]
    with experts_read(), torch.no_grad():
        scores = model(input_ids=ids, use_cache=False).logits
    if not torch.isfinite(scores).all():
        raise InputError(
            f"{source}: its scores of a text of {ids.numel()} tokens are NaN or infinite as {dtype}, though all "
            "weights are finite. Choose dtype float32 if it was float16, else look at the settings in its config.json "
            "(norms, rotary positions, scaling), or download the model again."
        )


def has_zeroed_matrices(model: "PreTrainedModel") -> bool:
    """Whether a matrix of a block or of the embedding holds nothing but zeros, as after a cut of all its neurons."""
    return bool(_check_finite("the model", model, str(model.dtype), silent))
