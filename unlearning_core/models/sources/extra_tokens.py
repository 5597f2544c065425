"""Tokens that a tokenizer gives and the model has no row for: found before anything runs, then refused or mended.

`resize` gives each a row with the mean of the rows that are there, so that it changes the other probabilities least
(Hewitt 2021, https://nlp.stanford.edu/~johnhew/vocab-expansion.html). `drop` makes a tokenizer that does not know
them: their text is then split like any other.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from unlearning_core.compat import building_a_model
from unlearning_core.errors import InputError
from unlearning_core.files import read_object, write_json
from unlearning_core.models.sources.folder import read_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Choice = Literal["refuse", "resize", "drop"]
CHOICES: tuple[str, ...] = get_args(Choice)

_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id", "forced_eos_token_id")
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_TEXTS = (("",), ("a b",), ("a", "b"))
"""One text, or a pair: a template adds other ids to each."""

_LISTS = ("additional_special_tokens", "extra_special_tokens")


def what_to_do(
    source: str, tokenizer: "PreTrainedTokenizerFast", rows: int, special: dict[str, int], choice: str
) -> Choice | None:
    """None where every id has a row, else how to make it so: "resize" or "drop".

    Two things are dropped without being asked for. A pad token that is alone: padding is masked, so the model never
    reads it, and the end-of-text token pads as well. And an id that only config.json names: no text can give it.

    Args:
        rows: of the model's embedding.
        special: `special_ids` of the folder.
        choice: the person's.

    Raises:
        InputError: the tokenizer belongs to another model; or ids have no row and `choice` is "refuse".
    """
    if choice not in CHOICES:
        raise InputError(f"base_model.extra_tokens {choice!r} is not known. Choose one of: {', '.join(CHOICES)}.")
    own = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)
    if beyond := [token for token, index in own.items() if index >= rows]:
        raise InputError(
            f"{source}: its tokenizer has {len(own):,} tokens and the model knows {rows:,} ({beyond[0]!r} has no row). "
            "They belong to different models: copy this model's own tokenizer files into the folder."
        )
    extra = extra_tokens(tokenizer, rows)
    given = {index for text in _TEXTS for index in tokenizer(*text)["input_ids"] if index >= rows}
    if unknown := sorted(given - set(extra.values())):
        raise InputError(
            f"{source}: its tokenizer adds the id {unknown[0]:,} to a text, which is no token of its vocabulary, and "
            f"the model has only the rows 0 to {rows - 1:,}. Correct the ids under post_processor in its "
            "tokenizer.json, or copy the model's own tokenizer files into the folder."
        )
    if not extra:
        return "drop" if special else None
    if choice == "resize":
        return "resize"
    if choice == "drop" or (set(extra) == {tokenizer.pad_token} and _only_pads(tokenizer)):
        return "drop"
    raise InputError(
        f"{source}: its tokenizer gives {_listed(extra)}, and the model has only the rows 0 to {rows - 1:,}: the "
        'embedding was not resized when the tokens were added. Set base_model.extra_tokens to "resize" (a new row for '
        'each, the mean of the others) or to "drop" (do without these tokens; their text is split like any other).'
    )


def unused_rows(tokenizer: "PreTrainedTokenizerFast", rows: int) -> tuple[str, ...]:
    """A sentence where the tokenizer gives fewer than half of the ids that the model knows; empty otherwise."""
    given = len(set(tokenizer.get_vocab().values()))
    if 2 * given >= rows:
        return ()
    sentence = f"The tokenizer gives {given:,} of the {rows:,} tokens that the model knows."
    return (f"{sentence} Check that it is this model's own.",)


def _only_pads(tokenizer: "PreTrainedTokenizerFast") -> bool:
    """Whether the pad token is nothing else; `read_tokenizer` lets the end-of-text token pad where there is none."""
    others = [getattr(tokenizer, name, None) for name in _NAMES if name != "pad_token"]
    return tokenizer.pad_token not in others


def extra_tokens(tokenizer: "PreTrainedTokenizerFast", rows: int) -> dict[str, int]:
    """The tokens that the tokenizer can give and that have no row, with their ids."""
    found = {token: index for token, index in tokenizer.get_vocab().items() if index >= rows}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def special_ids(folder: Path, rows: int) -> dict[str, int]:
    """The special ids that config.json or generation_config.json names and that have no row, by their key."""
    generation, config = read_object(folder / "generation_config.json"), read_object(folder / "config.json")
    return special_ids_beyond(generation, rows) | special_ids_beyond(config, rows)


def special_ids_beyond(config: dict[str, Any], rows: int) -> dict[str, int]:
    """The special ids of one configuration that have no row, by their key."""
    found = {}
    for key in _IDS:
        value = config.get(key)
        for index in value if isinstance(value, list) else [value]:
            if isinstance(index, int) and not isinstance(index, bool) and not 0 <= index < rows:
                found[key] = index
    return found


def _listed(tokens: dict[str, int]) -> str:
    shown = ", ".join(f"{token} (id {index:,})" for token, index in list(tokens.items())[:3])
    return f"{shown} and {len(tokens) - 3} more" if len(tokens) > 3 else shown


def told(tokenizer: "PreTrainedTokenizerFast", rows: int, special: dict[str, int], done: Choice) -> str:
    """What was done about the ids without a row, for a person."""
    extra = extra_tokens(tokenizer, rows)
    if done == "resize":
        return f"New rows were made for {_listed(extra)}: each is the mean of the {rows:,} rows there were."
    if not extra:
        return f"The model's settings name ids that have no row ({_listed(special)}); they are left out."
    pad, end, template = tokenizer.pad_token, tokenizer.eos_token, tokenizer.chat_template
    pads = f" {pad} was its padding; the end-of-text token pads now." if pad in extra and pad != end else ""
    pads += f" {end} was its end-of-text token, and it has none now." if end in extra else ""
    chat = next((token for token in extra if isinstance(template, str) and token in template), None)
    chats = f" Its chat template uses {chat}, whose text is now split into ordinary tokens." if chat else ""
    return f"The tokenizer does without {_listed(extra)}, for which the model has no row.{pads}{chats}"


def without_ids(values: dict[str, Any], rows: int) -> dict[str, Any]:
    """A config with no special id that has no row: beyond the rows, or below 0."""
    kept = dict(values)
    for key in special_ids_beyond(values, rows):
        value = values[key]
        left = [index for index in value if 0 <= index < rows] if isinstance(value, list) else []
        kept[key] = (left if len(left) > 1 else left[0]) if left else None
    return kept


def write_dropped(folder: Path, target: Path, rows: int) -> None:
    """Write the tokenizer of `folder` into `target` without the tokens that have no row, and its configs without them.

    Raises:
        InputError: the tokenizer still gives such an id, as its own template adds one to every text.
    """
    tokenizer = read_tokenizer(folder)
    gone = set(extra_tokens(tokenizer, rows))
    tokenizer.save_pretrained(target)
    _edit(target / "tokenizer.json", lambda values: _without_added(values, gone))
    _edit(target / "tokenizer_config.json", lambda values: _without_named(values, gone))
    _edit(target / "special_tokens_map.json", lambda values: _without_named(values, gone))
    _edit(target / "added_tokens.json", lambda values: {name: i for name, i in values.items() if name not in gone})
    for name in ("config.json", "generation_config.json"):
        if (folder / name).is_file():
            values = json.loads((folder / name).read_text(encoding="utf-8"))
            write_json(target / name, without_ids(values, rows))
    again = read_tokenizer(target)
    if left := {index for text in ("", "a b", *gone) for index in again(text)["input_ids"] if index >= rows}:
        raise InputError(
            f"{folder}: its tokenizer adds the id {min(left):,} to every text, for which the model has no row, so it "
            'cannot do without that token. Set base_model.extra_tokens to "resize".'
        )


def _edit(path: Path, change: Any) -> None:
    if path.is_file():
        write_json(path, change(json.loads(path.read_text(encoding="utf-8"))))


def _without_added(values: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    kept = [token for token in values.get("added_tokens") or [] if token["content"] not in gone]
    # Padding and truncation of one earlier call may stand in the file, with the id of a token that goes.
    return {**values, "added_tokens": kept, "padding": None, "truncation": None}


def _without_named(values: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    def content(value: Any) -> Any:
        return value.get("content") if isinstance(value, dict) else value

    kept = {name: value for name, value in values.items() if name not in _NAMES or content(value) not in gone}
    for name in _LISTS:
        if isinstance(listed := kept.get(name), list):
            kept[name] = [value for value in listed if content(value) not in gone]
        elif isinstance(listed, dict):
            kept[name] = {key: value for key, value in listed.items() if content(value) not in gone}
    if isinstance(decoder := kept.get("added_tokens_decoder"), dict):
        kept["added_tokens_decoder"] = {i: value for i, value in decoder.items() if content(value) not in gone}
    # A special token may go by a name of its own ("image_token").
    return {name: value for name, value in kept.items() if not name.endswith("_token") or content(value) not in gone}


def add_rows(model: "PreTrainedModel", rows: int) -> None:
    """Give the model `rows` rows; each new one, and its place in the head, is the mean of those there were."""
    import torch

    before = int(model.get_input_embeddings().weight.shape[0])
    with building_a_model():
        model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        for module in (model.get_input_embeddings(), model.get_output_embeddings()):
            for values in (getattr(module, "weight", None), getattr(module, "bias", None)):
                if isinstance(values, torch.Tensor):
                    _fill_with_mean(values, before)


def _fill_with_mean(values: "torch.Tensor", before: int) -> None:
    values[before:] = values[:before].float().mean(dim=0).to(values.dtype)
