"""Model folders that a run cannot use as they are: a prepared copy is made once, and everything after it is usual.

Two kinds: a multimodal model, of which the language model is taken out, and one whose tokenizer gives ids without a
row. The run, its saved models and its training processes then see one folder of one causal language model.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.compat import building_a_model
from unlearning_core.files import read_object, write_json
from unlearning_core.models.devices import check_fits
from unlearning_core.models.loading_bars import reporting
from unlearning_core.models.sources.extra_tokens import (
    add_rows,
    extra_tokens,
    special_ids,
    told,
    what_to_do,
    without_ids,
    write_dropped,
)
from unlearning_core.models.sources.folder import first_line, read_config, read_tokenizer, rows_of
from unlearning_core.models.sources.multimodal import is_multimodal, language_config, not_alone
from unlearning_core.models.sources.prepared import STAMP, check_space, prepare_once, root
from unlearning_core.models.sources.weight_files import Weights, weights_of
from unlearning_core.models.weights import read_model
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_log = logging.getLogger(__name__)
_CARDS = ("README.md", "LICENSE", "LICENSE.txt", "LICENSE.md")
_PROBE_IDS = 24
_SHARD = "4GB"


@dataclass(frozen=True)
class Asked:
    """What a folder is to be made into.

    Attributes:
        source: what the person typed.
        fingerprint: identity of its content; asked for only where a copy is needed, as it reads every file.
        extra_tokens: refuse, resize or drop.
        allow_pickle: whether its weights may be pickles.
    """

    source: str
    fingerprint: Callable[[], str]
    extra_tokens: str
    allow_pickle: bool


def plain_folder(folder: Path, asked: Asked, progress: ProgressCallback = silent) -> Path:
    """`folder` itself where it is one causal language model whose tokenizer fits, else the copy that is.

    Raises:
        InputError: the folder is no model that can be used, or its tokenizer gives ids without a row and nobody said
            what to do about them.
        WorkFailed: the disk has too little space left.
    """
    if is_multimodal(read_config(folder)):
        folder = _copy(folder, asked, "language", _write_language_model, progress)
    config, tokenizer = read_config(folder), read_tokenizer(folder)
    rows = rows_of(config)
    done = what_to_do(asked.source, tokenizer, rows, special_ids(folder, rows), asked.extra_tokens)
    if done is None:
        return folder
    return _copy(folder, asked, done, _write_resized if done == "resize" else _write_dropped, progress)


def notes_of(folder: Path) -> tuple[str, ...]:
    """What a person is to be told of a prepared copy, from its stamp."""
    notes = read_object(folder / STAMP).get("notes")
    return tuple(str(note) for note in notes) if isinstance(notes, list) else ()


Write = Callable[[Path, Path, Asked, ProgressCallback], tuple[dict[str, Any], str]]


def _copy(folder: Path, asked: Asked, kind: str, write: Write, progress: ProgressCallback) -> Path:
    """The prepared copy of one kind, of this content; its stamp says what was checked and what to tell a person."""
    identity = f"{asked.fingerprint()}+{kind}"
    name = f"{Path(asked.source).name[:60]}-{kind}-{sha256(identity.encode()).hexdigest()[:12]}"

    def fill(target: Path) -> dict[str, Any]:
        checked, note = write(folder, target, asked, progress)
        for card in _CARDS:
            if (folder / card).is_file():
                shutil.copyfile(folder / card, target / card)
        _log.info("%s: %s", asked.source, note)
        return {"source": asked.source, "checked": checked, "notes": [*notes_of(folder), note]} | _licence(folder)

    return prepare_once(root() / "adapted" / name, identity, fill, progress)


def _licence(folder: Path) -> dict[str, Any]:
    found = read_object(folder / STAMP).get("licence")
    return {"licence": found} if found else {}


def _write_dropped(folder: Path, target: Path, asked: Asked, progress: ProgressCallback) -> tuple[dict[str, Any], str]:
    """The same weights, by links to their files, with a tokenizer that does not know the tokens without a row."""
    rows, tokenizer = rows_of(read_config(folder)), read_tokenizer(folder)
    write_dropped(folder, target, rows)
    weights = weights_of(folder, allow_pickle=asked.allow_pickle)
    indices = sorted(folder.glob("*.index.json"))
    for path in (*weights.files, *indices):
        # A link follows the path, so it is never an older content than the fingerprint in this copy's name.
        (target / path.name).symlink_to(path.resolve())
    checked = {"ids_have_a_row": True, "rows": rows, "tensors": len(weights.tensors)}
    return checked, told(tokenizer, rows, special_ids(folder, rows), "drop")


def _write_resized(folder: Path, target: Path, asked: Asked, progress: ProgressCallback) -> tuple[dict[str, Any], str]:
    """The model with a row for every id that its tokenizer gives."""
    from transformers import AutoModelForCausalLM

    config, tokenizer = read_config(folder), read_tokenizer(folder)
    rows, extra = rows_of(config), extra_tokens(tokenizer, rows_of(config))
    weights = _room_for(folder, target, asked)
    # An id without a row must not stand in the config while the model is built: torch refuses such a padding.
    for key, value in without_ids(config.to_dict(), rows).items():
        if key.endswith("_token_id"):
            setattr(config, key, value)
    with reporting(f"loading {asked.source}", progress):
        model, _ = read_model(AutoModelForCausalLM, folder, weights, config=config)
    new = max(extra.values()) + 1
    add_rows(model, new)
    _save(model, target, asked, progress)
    tokenizer.save_pretrained(target)
    for name in ("config.json", "generation_config.json"):
        before = read_object(folder / name)
        ids = {key: value for key, value in without_ids(before, new).items() if key.endswith("_token_id")}
        if (target / name).is_file():
            write_json(target / name, read_object(target / name) | ids)
    checked = {"ids_have_a_row": True, "rows": new, "tensors": len(weights.tensors)}
    return checked, told(tokenizer, rows, {}, "resize")


def _write_language_model(
    folder: Path, target: Path, asked: Asked, progress: ProgressCallback
) -> tuple[dict[str, Any], str]:
    """The language model of a multimodal one, kept only where it gives the same logits on text as the whole did."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM

    from unlearning_core.models.mapping import map_model

    config = read_config(folder)
    with building_a_model(), torch.device("meta"):
        # Before anything is read: a family whose neurons cannot be found is not worth a copy.
        map_model(AutoModelForCausalLM.from_config(language_config(asked.source, config)))
    weights = _room_for(folder, target, asked)
    known = type(config) in AutoModelForMultimodalLM._model_mapping
    with reporting(f"loading {asked.source}", progress):
        whole, _ = read_model(AutoModelForMultimodalLM if known else AutoModelForImageTextToText, folder, weights)
    family = str(config.model_type)
    ids = torch.arange(min(_PROBE_IDS, rows_of(config)))[None]
    try:
        expected = _logits(whole, ids)
    except Exception as error:  # a family that needs a picture raises whatever it raises without one
        raise not_alone(asked.source, config, f"it does not run on text alone ({first_line(error)})") from error
    model, state = _language_model(asked.source, config, whole)
    _save(model, target, asked, progress, state_dict=state)
    parts = len(weights.tensors) - len(state)
    del whole, state
    tokenizer = read_tokenizer(folder)
    template = read_object(folder / "chat_template.json").get("chat_template")
    if tokenizer.chat_template is None and isinstance(template, str):  # where older processors keep it
        tokenizer.chat_template = template
    tokenizer.save_pretrained(target)
    with reporting(f"checking {asked.source}", progress):
        alone, _ = read_model(AutoModelForCausalLM, target, weights_of(target))
    difference = float((_logits(alone, ids) - expected).abs().max())
    if not difference <= 1e-2 * float(expected.abs().max()):
        raise not_alone(asked.source, config, f"alone it gives other logits on the same text (by {difference:.3g})")
    checked = {"logits_differ_by": difference, "tokens": ids.numel(), "tensors": len(weights.tensors)}
    return checked, (
        f"This is a multimodal model ({family}). Its language model alone is used, as {alone.config.model_type}: it "
        f"gives the same logits on text. The {parts} tensors for pictures or sound are not used, and no saved model "
        "has them."
    )


def _language_model(source: str, config: Any, whole: "PreTrainedModel") -> "tuple[PreTrainedModel, dict[str, Any]]":
    """The class of the language model, without storage, and the tensors of `whole` that belong into it."""
    import torch
    from transformers import AutoModelForCausalLM

    head, embedding = whole.get_output_embeddings(), whole.get_input_embeddings()
    if head is None:
        raise not_alone(source, config, "it has no head that gives the next token")
    plain = language_config(source, config)
    plain.tie_word_embeddings = head.weight is embedding.weight
    plain.dtype = embedding.weight.dtype
    with building_a_model(), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(plain)
    names = {module: name for name, module in model.named_modules()}
    pairs = [(_decoder(model), _decoder(whole))]
    if not plain.tie_word_embeddings:
        pairs.append((model.get_output_embeddings(), head))
    state = {f"{names[one]}.{key}": value for one, other in pairs for key, value in other.state_dict().items()}
    expected = {name for name, _ in model.named_parameters()}
    if missing := sorted(expected - set(state)):
        raise not_alone(source, config, f"its language model has no tensor for {missing[0]}")
    model.generation_config = whole.generation_config
    return model, state


def _decoder(model: Any) -> Any:
    """The language model without its head, however deep it lies."""
    inner = model.get_decoder()
    while hasattr(inner, "get_decoder") and inner.get_decoder() is not inner:
        inner = inner.get_decoder()
    return inner


def _logits(model: Any, ids: "torch.Tensor") -> "torch.Tensor":
    import torch

    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids).logits
    return found.float()


def _room_for(folder: Path, target: Path, asked: Asked) -> Weights:
    """The weights of `folder`; raises InputError or WorkFailed where memory or disk have no room for a copy."""
    weights = weights_of(folder, allow_pickle=asked.allow_pickle)
    size = sum(path.stat().st_size for path in weights.files)
    name = Path(asked.source).name
    check_fits(name, size, "cpu", "to be copied")
    check_space(name, int(1.05 * size), target, "copied")
    return weights


def _save(model: Any, target: Path, asked: Asked, progress: ProgressCallback, **options: Any) -> None:
    task = f"saving {asked.source}"
    progress(Progress(task, 0, None))
    with reporting(task, silent):
        model.save_pretrained(target, max_shard_size=_SHARD, **options)
    for path in target.iterdir():
        path.chmod(0o644)
