"""What a model is and what it needs, told before its weights are loaded (and, for the Hub, before they are fetched)."""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.compat import building_a_model
from unlearning_core.files import read_object
from unlearning_core.models.devices import available, bytes_needed, choose_device, choose_dtype
from unlearning_core.models.sources.folder import find_weights, read_config
from unlearning_core.models.sources.gguf import GgufHeader, read_gguf
from unlearning_core.models.sources.hub import look
from unlearning_core.models.sources.prepared import STAMP
from unlearning_core.models.sources.resolve import local_folder, refuse_revision, resolve
from unlearning_core.models.sources.starters import STARTERS
from unlearning_core.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.models.mapping import ModelMap


@dataclass(frozen=True)
class ModelInfo:
    """Facts of one model, ready for JSON.

    Attributes:
        source: what the person typed.
        model_type: the family, as transformers calls it.
        shapes: (layers, width) for each site that the model offers.
        parameters: numbers in the model; tied ones counted once.
        bytes_in_memory: what the weights take at `dtype` (float32, bfloat16 or float16).
        licence: as the model card or the file names it, or None.
        revision: the Hub's commit, or None for a local source.
        download_bytes: what has to be fetched or written first; 0 once the model is on this machine.
        bytes_available: memory free on the device when it was asked.
        context: tokens that the model reads at most, or None where its position code has no end.
        vocabulary: tokens that the model knows.
        experts: of a mixture of experts that offers the site mlp: experts that the router chooses from (count), neurons
            of each (width) and of the shared expert (shared, 0 without one); None for other models.
        hidden: width of the hidden state.
        missing: why each site that the model does not offer is not there, as far as is known.
    """

    source: str
    model_type: str
    layers: int
    shapes: dict[str, tuple[int, int]]
    parameters: int
    bytes_in_memory: int
    dtype: str
    device: str = "cpu"
    licence: str | None = None
    revision: str | None = None
    download_bytes: int = 0
    bytes_available: int | None = None
    context: int | None = None
    vocabulary: int | None = None
    experts: dict[str, int] | None = None
    hidden: int | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same facts as JSON types."""
        return {**asdict(self), "shapes": {site: list(shape) for site, shape in self.shapes.items()}}


def inspect_model(
    source: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    allow_pickle: bool = False,
    progress: ProgressCallback = silent,
) -> ModelInfo:
    """Tell what `source` is without loading, fetching or dequantising a weight.

    Layers, widths and parameters come from the same modules that loading makes, built without storage (torch's meta
    device); a GGUF file's from its header.

    Raises:
        InputError: as `load_model` raises for a source that is not a causal language model.
    """
    chosen = choose_device(device)
    form = choose_dtype(dtype, chosen)
    found = resolve(source)
    if found.kind == "hub":
        seen = look(found.name, revision, allow_pickle=allow_pickle)
        facts = {"revision": seen.folder.name, "download_bytes": seen.missing_bytes}
        return inspect_folder(source, seen.folder, chosen, form, **facts)
    refuse_revision(found, revision)
    gguf = STARTERS[found.name].unprepared() if found.kind == "starter" else found.path
    if gguf is not None and gguf.is_file():
        return _of_gguf(source, read_gguf(gguf), chosen, form)
    folder = local_folder(source, allow_pickle=allow_pickle, progress=progress)
    info = inspect_folder(source, folder, chosen, form)
    find_weights(folder, allow_pickle=allow_pickle)
    return info


def inspect_folder(source: str, folder: Path, device: str, dtype: str, **facts: Any) -> ModelInfo:
    """Facts of a folder with a config.json; its weights need not be there."""
    import torch
    from transformers import AutoModelForCausalLM

    from unlearning_core.models.mapping import map_model

    with building_a_model(), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(read_config(folder), trust_remote_code=False)
    facts |= {"bytes_available": available(device), "licence": _licence(folder)}
    return describe(source, model, map_model(model), device, dtype, **facts)


def describe(source: str, model: Any, model_map: "ModelMap", device: str, dtype: str, **facts: Any) -> ModelInfo:
    """Facts of a causal language model, which may be without weights."""
    text = model.config.get_text_config()
    parameters = sum(weight.numel() for weight in model.parameters())
    return ModelInfo(
        source=source,
        model_type=model.config.model_type,
        layers=len(model_map.blocks),
        shapes=dict(model_map.shapes),
        parameters=parameters,
        bytes_in_memory=bytes_needed(parameters, dtype),
        dtype=dtype,
        device=device,
        context=getattr(text, "max_position_embeddings", None),
        vocabulary=getattr(text, "vocab_size", None),
        experts=None if model_map.experts is None else asdict(model_map.experts),
        hidden=getattr(text, "hidden_size", None),
        missing=dict(model_map.missing),
        **facts,
    )


def _of_gguf(source: str, header: GgufHeader, device: str, dtype: str) -> ModelInfo:
    layers, width = int(header.of_family("block_count") or 0), int(header.of_family("embedding_length") or 0)
    hidden, heads = header.of_family("feed_forward_length"), header.of_family("attention.head_count")
    if experts := header.of_family("expert_count"):
        shared = header.of_family("expert_shared_feed_forward_length") or 0
        hidden = experts * (header.of_family("expert_feed_forward_length") or hidden) + shared
    shapes = {"mlp": (layers, hidden), "head": (layers, heads), "residual": (layers + 1, width)}
    # A list means a number for each layer: no single width to show before the model is built.
    known = {site: shape for site, shape in shapes.items() if isinstance(shape[1], int)}
    return ModelInfo(
        source=source,
        model_type=header.architecture,
        layers=layers,
        shapes=known,
        parameters=header.parameters,
        bytes_in_memory=bytes_needed(header.parameters, dtype),
        dtype=dtype,
        device=device,
        licence=header.licence,
        download_bytes=4 * header.parameters,
        bytes_available=available(device),
        context=header.of_family("context_length"),
        hidden=width,
        vocabulary=header.tensors.get("token_embd.weight", (0, None))[-1],
    )


def _licence(folder: Path) -> str | None:
    """The licence that a prepared folder's stamp, a model card or a licence file names, else None."""
    stamped = read_object(folder / STAMP).get("licence")
    if isinstance(stamped, str):
        return stamped
    card = folder / "README.md"
    if card.is_file():
        front = re.match(r"---\s*\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        named = re.search(r"^license:\s*[\"']?([\w.+-]+)", front.group(1), re.MULTILINE) if front else None
        if named:
            return named.group(1)
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
            return next((line.strip(" #")[:80] for line in lines if line.strip(" #")), None)
    return None
