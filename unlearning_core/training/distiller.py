"""How far a model is from its teacher on some texts: in what it says, and in what the teacher makes of its inside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.loading import LoadedModel
from unlearning_core.training.concept_masking import ConceptMask
from unlearning_core.training.distill_data import CONCEPT, OTHER_SENSE
from unlearning_core.training.masked_divergence import Head, PlaceMasks, divergences
from unlearning_core.training.teacher import Teacher


@dataclass(frozen=True, eq=False)
class Distance:
    """Of the texts of one kind.

    Attributes:
        kind: of distill_data.
        nats: KL(teacher || student), summed over the places; gradients flow to the student.
        depth: the same of what the teacher makes of the student's inner state, where that was asked.
        places: how many places they are summed over.
    """

    kind: int
    nats: Float[Tensor, ""]
    depth: Float[Tensor, ""] | None
    places: int


@dataclass(frozen=True, eq=False)
class Places:
    """Places of some texts, as a fit of a few rows of the head needs them.

    Attributes:
        states: what the student's head reads there, float32.
        wanted: the masked teacher's probabilities of the tokens of these rows.
        others: log of the sum of exp of the student's logits of all other tokens.
    """

    states: Float[Tensor, "places width"]
    wanted: Float[Tensor, "places tokens"]
    others: Float[Tensor, " places"]


class Distiller:
    """One student and its teacher. Texts in other senses have no depth: there its words are to stay readable."""

    def __init__(self, student: LoadedModel, teacher: Teacher, mask: ConceptMask) -> None:
        self._model: Any = student.model
        self._blocks = student.map.blocks
        self._next = NextToken(student)
        self._teacher, self._mask = teacher, mask

    def distances(
        self,
        model: nn.Module,
        ids: Int[Tensor, "texts tokens"],
        seen: Int[Tensor, "texts tokens"],
        kinds: Int[Tensor, " texts"],
        layer: int | None = None,
    ) -> list[Distance]:
        """Kind by kind.

        Args:
            model: the student, or what wraps it for several processes.
            ids: token ids, padded on the right.
            seen: 1 at real tokens.
            kinds: of each text.
            layer: 1 to the number of blocks: after which block the student's state is given to the teacher.
        """
        places = torch.zeros_like(seen, dtype=torch.bool)
        places[:, :-1] = seen[:, 1:].bool()
        head, states, inner = self._read(model, ids, seen, places, layer)
        text_of_place = torch.arange(len(ids), device=ids.device)[:, None].expand_as(ids)[places]
        found = []
        for kind in kinds.unique().tolist():
            texts = (kinds == kind).nonzero()[:, 0]
            longest = int(seen[texts].sum(1).max())
            own = [part[texts, :longest] for part in (ids, seen, places)]
            above = layer if kind != OTHER_SENSE else None
            reading = self._teacher.read(*own, above=above, rows_reset=kind == CONCEPT)
            taught, masks = (self._teacher.head, reading.states), self._masks(kind, *own)
            mine = states[(text_of_place[:, None] == texts).any(1)]
            nats, depth = divergences(taught, (head, mine), masks).sum(), None
            if above is not None and inner is not None:
                upper = self._teacher.upper(reading, above, inner[texts, :longest])
                depth = divergences(taught, (self._teacher.head, upper), masks).sum()
            found.append(Distance(kind, nats, depth, len(mine)))
        return found

    @property
    def by_head(self) -> bool:
        """Whether the student's logits are what its head makes of its states, and nothing else."""
        return self._next.by_head

    @torch.no_grad()
    def places(
        self,
        ids: Int[Tensor, "texts tokens"],
        seen: Int[Tensor, "texts tokens"],
        kind: int,
        tokens: Int[Tensor, " tokens"],
    ) -> Places:
        """Every place of these texts, with the teacher's probabilities of some tokens; only `by_head`.

        Args:
            ids: token ids, padded on the right; on any device, like `seen` and `tokens`.
            seen: 1 at real tokens.
            kind: of all of them.
            tokens: ids.
        """
        device = self._model.get_input_embeddings().weight.device
        ids, seen, tokens = ids.to(device), seen.to(device), tokens.to(device)
        places = torch.zeros_like(seen, dtype=torch.bool)
        places[:, :-1] = seen[:, 1:].bool()
        _, states, _ = self._read(self._model, ids, seen, places, None)
        reading = self._teacher.read(ids, seen, places, rows_reset=kind == CONCEPT)
        masks, wanted, others = self._masks(kind, ids, seen, places), [], []
        for first in range(0, len(states), self._next.rows):
            some = slice(first, first + self._next.rows)
            taught = self._teacher.head(reading.states[some]).float()
            masks.write(taught, first)
            wanted.append(taught.softmax(-1)[:, tokens])
            logits = self._next.head_logits(states[some]).float()
            logits[:, tokens] = -torch.inf
            others.append(logits.logsumexp(-1))
        return Places(states.float(), torch.cat(wanted), torch.cat(others))

    def _read(
        self, model: nn.Module, ids: Tensor, seen: Tensor, places: Tensor, layer: int | None
    ) -> tuple[Head, Float[Tensor, "places inputs"], Float[Tensor, "texts tokens width"] | None]:
        """The student's head, what it reads at the places, and the state after block `layer`."""
        heard: dict[str, Tensor] = {}

        def keep(module: nn.Module, args: Any, output: Any) -> None:
            heard["inner"] = output if isinstance(output, Tensor) else output[0]

        handle = self._blocks[layer - 1].register_forward_hook(keep) if layer is not None else None
        try:
            if self._next.by_head:
                with _head_spared(self._model.get_output_embeddings()) as kept:
                    model(input_ids=ids, attention_mask=seen, use_cache=False)
                return self._next.head_logits, kept[0][places], heard.get("inner")
            logits = model(input_ids=ids, attention_mask=seen, use_cache=False).logits
            return _as_it_is, logits[places], heard.get("inner")
        finally:
            if handle is not None:
                handle.remove()

    def _masks(self, kind: int, ids: Tensor, seen: Tensor, places: Tensor) -> PlaceMasks:
        """What the teacher may not foresee at the places of texts of that kind."""
        masked = torch.full((int(places.sum()),), kind != OTHER_SENSE)
        starts, single, first = torch.zeros_like(masked), [], 0
        for text, length in zip(ids.tolist(), seen.sum(1).tolist(), strict=True):
            read = text[: length - 1]
            if kind != OTHER_SENSE:
                starts[first : first + len(read)] = torch.from_numpy(self._mask.starts(read))
                single += [(first + place, token) for place, token in self._mask.completions(read)]
            first += len(read)
        pairs = torch.tensor(single, dtype=torch.long).reshape(-1, 2)
        ids_of = (torch.from_numpy(self._mask.everywhere), masked, torch.from_numpy(self._mask.at_start), starts, pairs)
        return PlaceMasks(*(part.to(ids.device) for part in ids_of))


def _as_it_is(logits: Tensor) -> Tensor:
    return logits


@contextmanager
def _head_spared(head: nn.Module) -> Iterator[list[Float[Tensor, "texts tokens width"]]]:
    """Keep what the head is given, and let it work on the first position alone.

    Its logits are made later, a slice at a time. The whole model is run all the same, not its body alone: what wraps
    it to train in several processes must see each pass.
    """
    kept: list[Tensor] = []

    def before(module: nn.Module, args: Any) -> Any:
        kept.append(args[0])
        return (args[0][:, :1], *args[1:])

    handle = head.register_forward_pre_hook(before)
    try:
        yield kept
    finally:
        handle.remove()
