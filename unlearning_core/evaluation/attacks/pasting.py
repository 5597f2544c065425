"""Attack by pasting: one group of weights at a time is taken back from the base. Which of them brings the concept back?

Whoever edits one group alone and leaves all others as they were has not removed what the others hold: one paste undoes
it. Where the concept is gone from everywhere no single group brings it back. Groups: the cut neurons alone and the
moved token rows alone (where there are any), all token rows (embedding and head), attention, MLPs, and norms with
everything else.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

from unlearning_core.config.schema import ProofSection
from unlearning_core.edits.row_weights import RowEdit, held_rows
from unlearning_core.edits.weights import Cut, cuts
from unlearning_core.evaluation.attacks.losses import loss_row, losses_table
from unlearning_core.evaluation.finetuning import Learner
from unlearning_core.evaluation.recovery import AS_IT_IS
from unlearning_core.evaluation.relearning import make_probe
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback

CUT, MOVED = "cut neurons", "reset token rows"
GROUPS = ("token rows", "attention", "MLPs", "norms and positions")


def groups_of(loaded: LoadedModel) -> dict[str, list[str]]:
    """Names of the model's parameters by group of `GROUPS`; each parameter is in one."""
    model, row = loaded.model, loaded.map.architecture
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    rows = {id(weight) for module in ends if module is not None for weight in module.parameters()}
    attention, mlp = (_weights_beside(loaded, path) for path in (row.attn_out, row.mlp_out))
    found: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name, weight in model.named_parameters():
        places = (id(weight) in rows, id(weight) in attention, id(weight) in mlp, True)
        found[GROUPS[places.index(True)]].append(name)
    return found


def _weights_beside(loaded: LoadedModel, path: str) -> set[int]:
    """The weights, in every block, of the module that holds the one at `path`.

    Where that stands in the block itself (OPT's fc2), its own weights and those of the block's other matrices that no
    module holds.
    """
    found: set[int] = set()
    for block in loaded.map.blocks:
        parent = path.rpartition(".")[0]
        modules = [block.get_submodule(parent)] if parent else [m for m in block.children() if _is_matrix(m)]
        found |= {id(weight) for module in modules for weight in module.parameters()}
    return found


def _is_matrix(module: nn.Module) -> bool:
    return any(weight.dim() > 1 for weight in module.parameters(recurse=False))


@contextmanager
def pasted(model: nn.Module, base: nn.Module, names: list[str]) -> Iterator[None]:
    """Inside the `with`, these parameters of `model` have the base's values."""
    own, theirs = dict(model.named_parameters()), dict(base.named_parameters())
    before = {name: own[name].detach().clone() for name in names}
    with torch.no_grad():
        for name in names:
            own[name].copy_(theirs[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for name in names:
                own[name].copy_(before[name])


def attack_pasted(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """`losses`: a row for the model as it is and one for each group pasted back; no row for a model of other shapes."""
    probe = make_probe(subject, material, settings)
    if not _same_shapes(subject.loaded.model, subject.base.model):
        return {"losses": losses_table([], probe)}
    copied = Learner(subject.loaded).loaded
    meter, edits = probe.meter(copied), _edits(subject, copied)
    groups: dict[str, AbstractContextManager[None]] = {
        **{name: _undone(pairs) for name, pairs in edits.items()},
        **{name: pasted(copied.model, subject.base.model, names) for name, names in groups_of(copied).items()},
    }
    rows = [loss_row(probe, meter, AS_IT_IS)]
    for group, back in groups.items():
        with back:
            rows.append(loss_row(probe, meter, group))
        progress(Progress("pasting weights back", len(rows), len(groups) + 1, "models"))
    return {"losses": losses_table(rows, probe)}


def _same_shapes(model: nn.Module, base: nn.Module) -> bool:
    own, theirs = ({name: weight.shape for name, weight in one.named_parameters()} for one in (model, base))
    return own == theirs


Pair = tuple[Cut | RowEdit, Cut | RowEdit]
"""The same place of an edit in the copy and in the base."""


def _edits(subject: Subject, copied: LoadedModel) -> dict[str, list[Pair]]:
    """What the recipe changed, a group a kind of edit."""
    found: dict[str, list[Pair]] = {}
    if (mask := subject.mask) is not None and mask.cut:
        found[CUT] = list(zip(cuts(copied.map, mask), cuts(subject.base.map, mask), strict=True))
    if (rows := subject.rows) is not None:
        own, theirs = held_rows(copied.model, rows), held_rows(subject.base.model, rows)
        found[MOVED] = list(zip(own, theirs, strict=True))
    return found


@contextmanager
def _undone(pairs: Sequence[Pair]) -> Iterator[None]:
    """Inside the `with`, these places of the copy have the base's values again."""
    before = [own.parameter.detach().clone() for own, _ in pairs]
    for own, theirs in pairs:
        own.paste(theirs.parameter)
    try:
        yield
    finally:
        with torch.no_grad():
            for (own, _), weight in zip(pairs, before, strict=True):
                own.parameter.copy_(weight)
