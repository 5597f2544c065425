"""A recipe: what was changed in which model, neurons cut and token rows moved. A few kB that reproduce it. No torch."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from unlearning_core.edits.mask import Mask, Shapes
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.files import write_file, write_json
from unlearning_core.reading import read_json

FORMAT_VERSION = 2
"""2 may hold token rows; recipes of version 1 are read too."""

MOST_NEURONS = 1 << 27
"""Of all sites together; the largest open models, with all their experts, have less than half as many."""

RECIPE_FILE = "recipe.json"
MASK_FILE = "mask.safetensors"
ROWS_FILE = "rows.safetensors"

_OWN: dict[str, tuple[type, ...]] = {
    "model": (str,), "revision": (str, type(None)), "fingerprint": (str, type(None)), "ranking": (dict,),
    "ratio": (int, float), "per_layer": (bool,), "created": (str,),
}  # fmt: skip
"""Those fields of a recipe that stand in its JSON as they are."""

_TYPES = {
    "format_version": (int,), **_OWN, "shapes": (dict,), "cut": (int,), "mask_digest": (str,),
    "rows": (dict, type(None)),
}  # fmt: skip
_ROWS: dict[str, tuple[type, ...]] = {"tokens": (int,), "strength": (int, float), "digest": (str,)}
"""What `rows` says of the file of token rows; null where there is none."""


@dataclass(frozen=True)
class Recipe:
    """An edit that can be made again.

    Attributes:
        mask: the neurons kept and cut.
        model: the source the model was loaded from.
        ranking: how the neurons were ranked (ranker, parameters, concept words, alignment, seed); JSON-able.
        ratio: the share that was asked for, 0 to 1.
        revision: the hub commit of the model, if it has one.
        fingerprint: content identity of the model, if known.
        per_layer: whether every layer gave the same share.
        created: ISO 8601 time, UTC.
        rows: the token rows that are moved, or None.
    """

    mask: Mask
    model: str
    ranking: dict[str, Any]
    ratio: float
    revision: str | None = None
    fingerprint: str | None = None
    per_layer: bool = False
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    rows: TokenRows | None = None

    def save(self, folder: Path) -> None:
        """Write `recipe.json`, `mask.safetensors` and, if there are rows, `rows.safetensors` into `folder`.

        The tensor a site lists the cut neurons as int32 `layer * width + index`, ascending. The file of rows has the
        fields of `TokenRows`: ids as int64, the targets as float32. The folder may hold other files.
        """
        tensors = {site: np.flatnonzero(~kept).astype(np.int32) for site, kept in self.mask.kept.items()}
        # The mask first: its digest in the JSON then tells a half-replaced pair.
        write_file(folder / MASK_FILE, lambda path: save_file(tensors, path))
        own = {name: getattr(self, name) for name in _OWN}
        of_mask = {"shapes": self.mask.shapes, "cut": self.mask.cut, "mask_digest": self.mask.digest()}
        write_json(
            folder / RECIPE_FILE, {"format_version": FORMAT_VERSION} | own | of_mask | {"rows": self._save_rows(folder)}
        )

    def _save_rows(self, folder: Path) -> dict[str, Any] | None:
        """Write the file of rows, or delete an older one; returns what the JSON says of it."""
        rows = self.rows
        if rows is None:
            (folder / ROWS_FILE).unlink(missing_ok=True)
            return None
        tensors = {name: getattr(rows, name) for name in ("ids", "target_in", "target_out")}
        held = {name: values for name, values in tensors.items() if values is not None}
        write_file(folder / ROWS_FILE, lambda path: save_file(held, path))
        return {"tokens": len(rows.ids), "strength": float(rows.strength), "digest": rows.digest()}

    @classmethod
    def load(cls, folder: Path, shapes: Shapes | None = None) -> "Recipe":
        """Read a recipe back, and check it against the `shapes` of the model it is for if they are given.

        Raises:
            InputError: a file is missing, damaged, of another format version, or not for this model.
        """
        content = _read_json(folder / RECIPE_FILE)
        claimed = _claimed_shapes(folder / RECIPE_FILE, content)
        if shapes is not None:  # before a mask of the size that it claims is made
            _check_shapes(content["model"], claimed, shapes)
        mask = _read_mask(folder / MASK_FILE, content, claimed)
        rows = _read_rows(folder / ROWS_FILE, content["rows"]) if content["rows"] is not None else None
        return cls(mask, **{name: content[name] for name in _OWN} | {"ratio": float(content["ratio"]), "rows": rows})

    def check(self, shapes: Shapes) -> None:
        """Make sure that the recipe fits a model with these shapes.

        Raises:
            InputError: a site is missing there or has another size.
        """
        _check_shapes(self.model, self.mask.shapes, shapes)


def _check_shapes(model: str, claimed: Shapes, shapes: Shapes) -> None:
    name = repr(model[:200])
    for site, (layers, width) in claimed.items():
        there = shapes.get(site)
        if there is None or tuple(there) != (layers, width):
            has = f"{there[0]} layers of {there[1]}" if there else "none"
            raise InputError(
                f"This recipe was made for {name} with {layers} layers of {width} neurons at site {site[:80]!r}; this "
                f"model has {has}. Load {name}, or make a new recipe for this model."
            )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path} is missing: a recipe is a folder with {RECIPE_FILE} and {MASK_FILE}.")
    content = read_json(path, mend="Save the recipe again.")
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, expected an object. Save the recipe again.")
    version = content.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise InputError(
            f"{path}: format_version is {repr(version)[:80]}, this workbench reads 1 to {FORMAT_VERSION}. Make the "
            "recipe again."
        )
    if version == 1 and "rows" not in content:
        content["rows"] = None
    _check_fields(path, content)
    return content


def _check_fields(path: Path, content: dict[str, Any]) -> None:
    _check_keys(path, content, _TYPES, "")
    if content["rows"] is not None:
        _check_keys(path, content["rows"], _ROWS, "rows.")
    for key, value in (("ratio", content["ratio"]), ("rows.strength", (content["rows"] or {}).get("strength", 0))):
        if not 0 <= value <= 1:
            raise InputError(f"{path}: {key} is {repr(value)[:80]}, expected 0 to 1. Save the recipe again.")


def _check_keys(path: Path, content: dict[str, Any], expected: dict[str, tuple[type, ...]], of: str) -> None:
    unknown, missing = sorted(set(content) - set(expected)), sorted(set(expected) - set(content))
    if unknown or missing:
        what = f"has the unknown key {of}{unknown[0][:80]!r}" if unknown else f"lacks the key {of}{missing[0]!r}"
        raise InputError(f"{path} {what}; expected exactly {', '.join(expected)}. Save the recipe again.")
    for key, types in expected.items():
        value = content[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = " or ".join("null" if t is type(None) else t.__name__ for t in types)
            raise InputError(f"{path}: {of}{key} is {repr(value)[:200]}, expected {wanted}. Save the recipe again.")


def _claimed_shapes(path: Path, content: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """(layers, width) of each site, as the JSON says; a bound for what is allocated by it."""
    shapes = {}
    for site, shape in content["shapes"].items():
        if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int and n > 0 for n in shape)):
            raise InputError(
                f"{path}: shapes.{site[:80]} is {repr(shape)[:200]}, expected [layers, width]. Save the recipe again."
            )
        shapes[site] = (shape[0], shape[1])
    total = sum(layers * width for layers, width in shapes.values())
    if total > MOST_NEURONS:
        raise InputError(
            f"{path} claims a model of {total:.3g} neurons, and at most {MOST_NEURONS:,} are taken. Do not use this "
            "recipe, or save it again."
        )
    return shapes


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is missing: a recipe is a folder with {RECIPE_FILE}, {MASK_FILE} and, where token rows are moved, "
            f"{ROWS_FILE}."
        ) from error
    except Exception as error:  # SafetensorError, or what numpy says to a dtype that it has not
        raise InputError(
            f"{path} is not a readable safetensors file ({str(error)[:200]}). Save the recipe again."
        ) from error


def _read_rows(path: Path, said: dict[str, Any]) -> TokenRows:
    tensors = _read_tensors(path)
    needed, known = {"ids", "target_in"}, {"ids", "target_in", "target_out"}
    if not needed <= tensors.keys() <= known:
        held = repr(sorted(tensors))[:200]
        raise InputError(f"{path} holds the tensors {held}, expected {', '.join(sorted(known))}. Save it again.")
    try:
        rows = TokenRows(strength=float(said["strength"]), **tensors)
    except ValueError as error:
        raise InputError(f"{path} holds no token rows: {error} Save the recipe again.") from error
    if rows.digest() != said["digest"] or len(rows.ids) != said["tokens"]:
        raise InputError(f"{path} does not hold the rows that {RECIPE_FILE} was written with. Save the recipe again.")
    return rows


def _read_mask(path: Path, content: dict[str, Any], shapes: Shapes) -> Mask:
    tensors = _read_tensors(path)
    if tensors.keys() != shapes.keys():
        held, said = (repr(sorted(names))[:200] for names in (tensors, shapes))
        raise InputError(f"{path} holds the sites {held}, {RECIPE_FILE} says {said}. Save it again.")
    kept = {}
    for site, (layers, width) in shapes.items():
        cut = tensors[site]
        whole = cut.dtype == np.int32 and cut.ndim == 1
        if not whole or (cut.size and (cut.min() < 0 or cut.max() >= layers * width)):
            raise InputError(f"{path}: the tensor {site!r} is not int32 numbers below {layers * width}. Save it again.")
        flat = np.ones(layers * width, dtype=bool)
        flat[cut] = False
        kept[site] = flat.reshape(layers, width)
    mask = Mask(kept)
    if mask.digest() != content["mask_digest"] or mask.cut != content["cut"]:
        raise InputError(f"{path} is not the mask that {RECIPE_FILE} was written with. Save the recipe again.")
    return mask
