"""Token rows in the weights: made from a model, written into it, held there, and looked for in a saved file."""

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from unlearning_core.edits.saved_weights import SavedWeights
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.models.placement import is_spread

End = Literal["embedding", "head"]


@dataclass(frozen=True, eq=False)
class RowEdit:
    """The rows of one matrix, and what stands in them.

    Attributes:
        end: which matrix; a tied one counts as the embedding.
        parameter: the matrix, a row a token.
        ids: the rows.
        values: what they hold, in float32.
    """

    end: End
    parameter: nn.Parameter
    ids: Int64[Tensor, " tokens"]
    values: Float[Tensor, "tokens width"]

    def write(self) -> None:
        """Put the values in place; cheap enough for every optimizer step."""
        with torch.no_grad():
            self.parameter.index_copy_(0, self.ids.to(self.parameter.device), self.values.to(self.parameter))

    def paste(self, tensor: Shaped[Tensor, "vocabulary width"]) -> None:
        """Give the rows the values that they have in `tensor`, of the parameter's shape."""
        ids = self.ids.to(tensor.device)
        with torch.no_grad():
            rows = tensor.detach().index_select(0, ids).to(self.parameter)
            self.parameter.index_copy_(0, self.ids.to(self.parameter.device), rows)

    def without(self, tokens: Collection[int]) -> "RowEdit | None":
        """The edit of the other rows; None where none is left."""
        kept = torch.tensor([int(token) not in tokens for token in self.ids])
        return (
            RowEdit(self.end, self.parameter, self.ids[kept], self.values[kept.to(self.values.device)])
            if kept.any()
            else None
        )

    def changed(self, tensor: Shaped[Tensor, "vocabulary width"]) -> Int64[np.ndarray, " tokens"]:
        """The token ids whose rows in `tensor`, of the parameter's shape and of any precision, are others."""
        rows = tensor.detach().index_select(0, self.ids.to(tensor.device))
        return self.ids.cpu().numpy()[(rows != self.values.to(rows)).any(dim=1).cpu().numpy()]


def make_token_rows(
    model: Any,
    ids: Sequence[int] | np.ndarray,
    meaningless: Sequence[int] | np.ndarray,
    strength: float,
    read: Callable[[nn.Parameter], Tensor] = Tensor.detach,
) -> TokenRows:
    """The edit that moves the rows `ids` of `model` towards the mean of the rows `meaningless`.

    Args:
        model: the causal language model as it is before the edit; not changed.
        ids: tokens of the concept.
        meaningless: tokens that occur in no text; where there are none the mean is that of all rows.
        strength: 0 to 1.
        read: the numbers of one of its matrices, where the model itself has none (the meta device).

    Raises:
        InputError: the model has no such row, or no output head of its own kind.
    """
    ends = row_parameters(model)
    chosen = np.unique(np.asarray(ids, dtype=np.int64))
    _check_ids(chosen, ends["embedding"])
    towards = torch.from_numpy(np.asarray(meaningless, dtype=np.int64)) if len(meaningless) else None
    targets = {}
    for end, weight in ends.items():
        rows = read(weight)
        rows = rows if towards is None else rows.index_select(0, towards.to(rows.device))
        targets[end] = rows.float().mean(0).cpu().numpy()
    return TokenRows(chosen, float(strength), targets["embedding"], targets.get("head"))


def row_parameters(model: Any) -> dict[End, nn.Parameter]:
    """The matrices that have a row a token: the embedding and, unless both are one, the head.

    Raises:
        InputError: the model computes its logits without such a matrix.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is None or not isinstance(getattr(head, "weight", None), nn.Parameter):
        raise InputError(
            f"This {model.config.model_type} model has no output head with a row for each token, so no token rows can "
            "be reset. Set neural_probing.token_rows.strength to 0."
        )
    ends: dict[End, nn.Parameter] = {"embedding": embedding.weight}
    if head.weight is not embedding.weight:
        ends["head"] = head.weight
    return ends


def row_edits(model: Any, rows: TokenRows) -> list[RowEdit]:
    """Where `rows` is written in the weights of the model before the edit: compute once, `write()` as often as needed.

    Raises:
        InputError: the rows are not of this model.
    """
    if is_spread(model):
        raise InputError(
            "Token rows cannot be shown at work in a model that is spread over memory and disk (device_map: auto). "
            "Prune writes them into the files all the same; set token_rows.strength to 0 to preview the cut alone."
        )
    check_rows(model, rows)
    ends = row_parameters(model)
    found = []
    for end, target in (("embedding", rows.target_in), ("head", rows.target_out)):
        if target is not None:
            weight = ends[end]  # type: ignore[index]  # mypy takes the tuple's first for any str
            ids = torch.from_numpy(rows.ids.copy())
            found.append(RowEdit(end, weight, ids, moved(weight, ids, rows.strength, target)))  # type: ignore[arg-type]
    return found


def check_rows(model: Any, rows: TokenRows) -> None:
    """Make sure that the rows are of this model, which may be one without weights (the meta device).

    Raises:
        InputError: they are not.
    """
    ends = row_parameters(model)
    _check_ids(rows.ids, ends["embedding"])
    if (rows.target_out is not None) != ("head" in ends):
        raise InputError(
            f"The token rows were made for a model {'with' if rows.target_out is not None else 'without'} an output "
            f"head of its own, and this one is {'not ' if rows.target_out is not None else ''}such a model. Make them "
            "for this model."
        )
    for end, target in (("embedding", rows.target_in), ("head", rows.target_out)):
        if target is not None and len(target) != (width := ends[end].shape[1]):  # type: ignore[index]
            raise InputError(
                f"The token rows have {len(target)} numbers each, this model's {end} has {width}: they belong to "
                "another model. Make them for this one."
            )


def moved(
    weight: Tensor, ids: Int64[Tensor, " tokens"], strength: float, target: Float[np.ndarray, " width"]
) -> Float[Tensor, "tokens width"]:
    """The rows `ids` of `weight`, so far of the way towards `target`, in float32."""
    before = weight.detach().index_select(0, ids.to(weight.device)).float()
    return (1 - strength) * before + strength * torch.from_numpy(target.copy()).to(before)


def held_rows(model: Any, rows: TokenRows) -> list[RowEdit]:
    """The rows as they stand in a model that was edited already: what a training writes back to keep them.

    Raises:
        InputError: the model has no such rows.
    """
    found = []
    for end, weight in row_parameters(model).items():
        _check_ids(rows.ids, weight)
        ids = torch.from_numpy(rows.ids.copy())
        found.append(RowEdit(end, weight, ids, weight.detach().index_select(0, ids.to(weight.device)).float()))
    return found


def rows_undone(model_or_folder: nn.Module | str | Path, edits: Sequence[RowEdit]) -> list[int]:
    """The token ids, sorted, whose rows are not what `edits` say; empty if the edit holds.

    Args:
        model_or_folder: a model in memory, or a folder written by `save_pretrained`, which is read tensor by tensor.
        edits: of that model, or of the one that was saved.

    Raises:
        InputError: the folder is not a readable model folder, or of another model.
    """
    found: set[int] = set()
    saved = None if isinstance(model_or_folder, nn.Module) else SavedWeights(Path(model_or_folder))
    ends = row_parameters(model_or_folder if saved is None else saved.model)
    for edit in edits:
        # A head that was a matrix of its own may have been saved as one with the embedding, never the other way.
        weight = ends.get(edit.end, ends["embedding"])
        found |= {*edit.changed(weight if saved is None else saved.read(weight)).tolist()}
    return sorted(found)


def only_rows(module: nn.Module, edit: RowEdit) -> nn.Module:
    """A module like this embedding or head with the edited rows alone, in their order; the module is not touched."""
    small = copy.copy(module)
    where = edit.ids.to(edit.parameter.device)
    parameters: dict[str, Any] = {"weight": nn.Parameter(edit.values.to(edit.parameter), requires_grad=False)}
    if (bias := getattr(module, "bias", None)) is not None:
        parameters["bias"] = nn.Parameter(bias.detach().index_select(0, where), requires_grad=False)
    small._parameters = {**module._parameters, **parameters}
    if isinstance(small, nn.Embedding):
        small.padding_idx = None  # a place in the whole table
    return small


def _check_ids(ids: np.ndarray, weight: Tensor) -> None:
    if not len(ids) or ids[-1] >= weight.shape[0]:
        of = f"the token {ids[-1]}" if len(ids) else "no token"
        raise InputError(
            f"The token rows name {of}, and this model has {weight.shape[0]:,} tokens: they belong to another model. "
            "Make them for this one."
        )
