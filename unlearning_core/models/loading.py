"""Load a causal language model from any source, ready to be read, cut and measured."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from unlearning_core.models.devices import bytes_each, choose_device, choose_dtype, torch_dtype
from unlearning_core.models.inspection import ModelInfo
from unlearning_core.models.mapping import ModelMap, map_model
from unlearning_core.models.sources import local_folder
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in memory. It may be shared by several people at once: never change its weights.

    Attributes:
        model: the causal language model, in eval mode.
        tokenizer: fast, with a pad token (the end-of-text token where it had none).
        map: where its neurons are.
        info: its size, family, licence.
    """

    model: Any
    tokenizer: Any
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
    """Load `source` (a folder, a .gguf file, a Hub id, a starter's name)."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    chosen = choose_device(device)
    kind = choose_dtype(dtype, chosen)
    started = time.monotonic()
    folder = local_folder(source, revision=revision, allow_pickle=allow_pickle, progress=progress)
    progress(Progress(f"loading {source}", 0, None, "bytes"))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch_dtype(kind), local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    model = model.to(chosen).eval()
    model_map = map_model(model)
    parameters = sum(weight.numel() for weight in model.parameters())
    info = ModelInfo(
        source=source,
        model_type=model.config.model_type,
        layers=len(model_map.blocks),
        shapes=model_map.shapes,
        parameters=parameters,
        bytes_in_memory=parameters * bytes_each(kind),
        dtype=kind,
        device=chosen,
    )
    progress(Progress(f"loading {source}", info.bytes_in_memory, info.bytes_in_memory, "bytes"))
    _log.info("loaded %s on %s as %s in %.1f s", source, chosen, kind, time.monotonic() - started)
    return LoadedModel(model, tokenizer, model_map, info)
