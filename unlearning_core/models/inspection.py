"""What a model is and what it needs, told before its weights are loaded (and, for the Hub, before they are fetched)."""

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.compat import building_a_model
from unlearning_core.errors import InputError, WorkbenchError
from unlearning_core.files import read_object
from unlearning_core.models.bounds import counting_modules
from unlearning_core.models.devices import available, bytes_needed, check_fits, choose_device, choose_dtype
from unlearning_core.models.sources.extra_tokens import special_ids, special_ids_beyond, told, unused_rows, what_to_do
from unlearning_core.models.sources.folder import (
    dropout_left_out,
    find_weights,
    first_line,
    read_config,
    read_tokenizer,
    rows_of,
)
from unlearning_core.models.sources.gguf import GgufHeader
from unlearning_core.models.sources.gguf_checks import check_header
from unlearning_core.models.sources.gguf_parts import whole_gguf
from unlearning_core.models.sources.hub import look
from unlearning_core.models.sources.multimodal import is_multimodal, language_config
from unlearning_core.models.sources.plain import notes_of
from unlearning_core.models.sources.prepared import STAMP
from unlearning_core.models.sources.resolve import own_folder, refuse_revision, resolve
from unlearning_core.models.sources.starters import STARTERS
from unlearning_core.models.sources.weight_files import weights_of
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
        notes: what a person has to know of what is used and what is not, a sentence each.
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
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same facts as JSON types."""
        shapes = {site: list(shape) for site, shape in self.shapes.items()}
        return {**asdict(self), "shapes": shapes, "notes": list(self.notes)}


def inspect_model(
    source: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    allow_pickle: bool = False,
    extra_tokens: str = "refuse",
    device_map: str | None = None,
    progress: ProgressCallback = silent,
) -> ModelInfo:
    """Tell what `source` is without loading, fetching or dequantising a weight.

    Layers, widths and parameters come from the same modules that loading makes, built without storage (torch's meta
    device); a GGUF file's from its header. A model that is to be spread (`device_map`) is told as one on `device`.

    Raises:
        InputError: as `load_model` raises for a source that is not a causal language model.
    """
    chosen = choose_device(device)
    form = choose_dtype(dtype, chosen)
    found = resolve(source)
    if found.kind == "hub":
        seen = look(found.name, revision, allow_pickle=allow_pickle)
        facts = {"revision": seen.folder.name, "download_bytes": seen.missing_bytes, "notes": seen.notes}
        info = inspect_folder(source, seen.folder, chosen, form, **facts)
        return _with_tokens(info, seen.folder, extra_tokens)
    refuse_revision(found, revision)
    gguf = STARTERS[found.name].unprepared() if found.kind == "starter" else found.path
    if gguf is not None and gguf.is_file():
        check_header(whole := whole_gguf(gguf))
        return _of_gguf(source, whole.header, chosen, form)
    folder = own_folder(source, allow_pickle=allow_pickle, progress=progress)
    info = inspect_folder(source, folder, chosen, form)
    # What pickles hold is looked at once they are loaded: telling their names apart needs their unpickler.
    try:
        files = find_weights(folder, allow_pickle=allow_pickle)
    except InputError as error:
        if not is_multimodal(config := read_config(folder)):
            raise
        raise InputError(
            f"{source} is a multimodal model ({config.model_type}), of which the language model is used alone, but "
            f"{error}"
        ) from error
    notes = weights_of(folder).notes if files[0].suffix == ".safetensors" else ()
    return _with_tokens(replace(info, notes=(*info.notes, *notes)), folder, extra_tokens)


def inspect_folder(source: str, folder: Path, device: str, dtype: str, **facts: Any) -> ModelInfo:
    """Facts of a folder with a config.json; its weights need not be there. Of a multimodal one: of its language model.

    Raises:
        InputError: it is no causal language model, or one whose neurons cannot be found.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from unlearning_core.models.mapping import map_model

    whole = read_config(folder)
    try:
        config = language_config(source, whole)
        for key in special_ids_beyond(config.to_dict(), rows_of(config)):
            setattr(config, key, None)  # torch refuses a padding id without a row; loading does without it too
        with building_a_model(), counting_modules(source), torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        # Tables of positions and their like are not among the parameters, and are filled when the model is loaded.
        check_fits(source, sum(table.nbytes for table in model.buffers()), device, "for its tables of positions")
        notes = (*notes_of(folder), *facts.pop("notes", ()))
        if config is not whole:
            notes = (f"This is a multimodal model ({whole.model_type}); its language model alone is used.", *notes)
        facts |= {"bytes_available": available(device), "licence": _licence(folder), "notes": notes}
        return describe(source, model, map_model(model), device, dtype, **facts)
    except WorkbenchError:
        raise
    except Exception as error:  # sizes that do not go together raise whatever the family's modules raise
        raise InputError(
            f"{folder / 'config.json'} describes no model that can be built ({first_line(error)}). Download or copy "
            "the folder again."
        ) from error


def _with_tokens(info: ModelInfo, folder: Path, choice: str) -> ModelInfo:
    """The same, and what loading will do about tokens without a row; raises InputError where a person has to say."""
    rows, tokenizer = info.vocabulary or rows_of(read_config(folder)), read_tokenizer(folder)
    special = special_ids(folder, rows)
    done = what_to_do(info.source, tokenizer, rows, special, choice)
    notes = (*info.notes, *unused_rows(tokenizer, rows), *dropout_left_out(tokenizer))
    return replace(info, notes=notes if done is None else (*notes, told(tokenizer, rows, special, done)))


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
    layers, width = header.whole("block_count") or 0, header.whole("embedding_length") or 0
    hidden, heads = header.by_layer("feed_forward_length"), header.by_layer("attention.head_count")
    if experts := header.whole("expert_count"):
        shared = header.whole("expert_shared_feed_forward_length") or 0
        each = header.whole("expert_feed_forward_length") or hidden
        hidden = experts * each + shared if isinstance(each, int) else None
    shapes = {"mlp": (layers, hidden), "head": (layers, heads), "residual": (layers + 1, width)}
    # A list means a number for each layer: no single width to show before the model is built.
    known = {site: (count, each) for site, (count, each) in shapes.items() if isinstance(each, int)}
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
        context=header.whole("context_length"),
        hidden=width,
        vocabulary=next(reversed(header.tensors.get("token_embd.weight", ())), None),
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
