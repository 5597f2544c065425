"""The fit of reset rows to the words' other senses: it ends where its objective, in numpy, has no slope."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny

from unlearning_core.edits.row_weights import row_parameters
from unlearning_core.training.distill_data import CONCEPT, OTHER_SENSE, RETAIN
from unlearning_core.training.distiller import Places
from unlearning_core.training.other_senses import learn_other_senses

TOKENS = [5, 9, 17]
RIDGE = 3e-5


def drawn(loaded: Any, wanted: float, places: int, seed: int) -> Places:
    """Random states and logits of the other tokens; the first two tokens are wanted with that probability."""
    random = torch.Generator().manual_seed(seed)
    width = row_parameters(loaded.model)["embedding"].shape[1]
    return Places(
        3 * torch.randn(places, width, generator=random),
        torch.tensor([wanted, wanted, 0.0]).repeat(places, 1),
        torch.randn(places, generator=random),
    )


class Drawn:
    """Stands where a distiller would: these places are given instead of read."""

    by_head = True

    def __init__(self, found: dict[int, Places]) -> None:
        self._found = found

    def places(self, ids: Any, seen: Any, kind: int, tokens: Any) -> Places:
        assert tokens.tolist() == TOKENS
        return self._found[kind]


@pytest.mark.parametrize("family", ["gpt2", "llama", "phi"])
def test_the_rows_end_where_the_objective_has_no_slope(family: str) -> None:
    loaded = tiny(family)
    ends = row_parameters(loaded.model)
    weight = ends.get("head", ends["embedding"])
    before = {name: value.detach().clone() for name, value in loaded.model.named_parameters()}
    start = weight.detach()[TOKENS].double().numpy()
    found = {
        OTHER_SENSE: drawn(loaded, 0.4, 30, 1), RETAIN: drawn(loaded, 0.0, 40, 2), CONCEPT: drawn(loaded, 0.0, 20, 3),
    }  # fmt: skip
    texts = {OTHER_SENSE: [np.array([*TOKENS, 3])], RETAIN: [np.array([1, 2])], CONCEPT: [np.array([1, 2])]}
    taught = learn_other_senses(loaded, Drawn(found), [*TOKENS, 21], texts, RIDGE, 0)  # type: ignore[arg-type]
    assert taught == TOKENS

    rows = weight.detach()[TOKENS].double().numpy()
    bias = getattr(loaded.model.get_output_embeddings(), "bias", None)
    offset = np.zeros(3) if bias is None else bias.detach()[TOKENS].double().numpy()
    every = [part.states.double().numpy() for part in found.values()]
    ridge = RIDGE * float((np.concatenate(every) ** 2).sum(1).mean())
    slope = 2 * ridge * (rows - start)
    for kind, part in found.items():
        states, logits = part.states.double().numpy(), part.states.double().numpy() @ rows.T + offset
        others = part.others.double().numpy()
        said = np.exp(logits - np.logaddexp(np.log(np.exp(logits).sum(1)), others)[:, None])
        share = 0.5 / 30 if kind == OTHER_SENSE else 0.5 / 60
        slope += share * (said - part.wanted.double().numpy()).T @ states
    assert np.abs(slope).max() < 2e-3 < np.abs(rows - start).max()

    name = next(name for name, value in loaded.model.named_parameters() if value is weight)
    for other, value in loaded.model.named_parameters():
        moved = (value.detach() != before[other]).nonzero()[:, 0].unique().tolist()
        assert moved == (TOKENS if other == name else [])


def test_without_such_a_token_or_a_head_of_its_own_kind_nothing_is_taught() -> None:
    loaded = tiny("gpt2")
    texts = {OTHER_SENSE: [np.array([1, 2, 3])]}
    assert learn_other_senses(loaded, Drawn({}), TOKENS, texts, RIDGE, 0) == []  # type: ignore[arg-type]
    shut: Any = SimpleNamespace(by_head=False)
    assert learn_other_senses(loaded, shut, [1], texts, RIDGE, 0) == []
