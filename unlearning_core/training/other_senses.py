"""The rows of reset tokens learn the words' other senses ("the chair of the meeting"), and these alone.

A model that learns from such texts as a whole forms states again that point to the words, and the concept is soon back:
SmallWorld's seats, relearnt at 3e-4, half-way after 2 steps where it was healed with one such text in six and the rows
held, after 4 where the rows learnt too, after 5 to 6 by the fit below; a model that never knew them takes 9. So the
model is left as it is, and rows are fitted to what its head reads already: with the states h of all places fixed,

    minimise over the rows R   mean KL(teacher || softmax(h R', other logits)) + ridge mean |h|^2 |R - R0|^2

R0 being the reset rows; a convex problem with as many unknowns as these rows have. Places of the texts in another sense
count as much as all others together: text without the concept and text about it, where the teacher may not say the
words. What tells the senses apart is then the model's own state, and where it cannot tell them the word stays unsaid.

The ridge is how dear it is to move a row, in nats. On SmallWorld the other senses cost 0.15 nats of 15 at 2e-5; a
fifth of it gives back 0.1 of these, and makes relearning a tenth quicker. SmolLM2's states tell the senses apart less
well: of its 8.8 nats 2e-5 leaves 6.8, 2e-6 2.2 and 2e-7 .7, while the concept's loss on these words falls from 17 to
13.6 and 11 (the base's: 5).

Of a head that is one matrix with the embedding the same rows are read too; of two matrices only the head's learn.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unlearning_core.edits.row_weights import row_parameters
from unlearning_core.models.loading import LoadedModel
from unlearning_core.training.batching import pad
from unlearning_core.training.distill_data import OTHER_SENSE
from unlearning_core.training.distiller import Distiller, Places

TEXTS, MOST = 4, 256
"""Texts without the concept, and as many about it, for each in another sense, and at most."""

ITERATIONS = 100

_BATCH = 8

_log = logging.getLogger(__name__)


def learn_other_senses(
    student: LoadedModel,
    distiller: Distiller,
    tokens: Sequence[int],
    texts: Mapping[int, Sequence[np.ndarray]],
    ridge: float,
    seed: int,
) -> list[int]:
    """Fit the head's rows of those `tokens` that the texts in another sense hold, in place.

    Args:
        student: the model, healed; nothing else of it changes.
        distiller: of this student.
        tokens: those whose rows are reset.
        texts: token ids by kind of text (distill_data); of the others some are drawn.
        ridge: how dear it is to move a row.
        seed: of that draw.

    Returns:
        The tokens that were taught, sorted; none where no text holds one, or where the logits are not the head's alone.
    """
    held = {int(token) for ids in texts[OTHER_SENSE] for token in ids} & set(tokens)
    if not held or not distiller.by_head:
        _log.warning("No row learns another sense: %s", "its logits are not its head's" if held else "no text has one")
        return []
    taught = torch.tensor(sorted(held))
    most = min(TEXTS * len(texts[OTHER_SENSE]), MOST)
    found = {
        kind: _places(distiller, kind, _some(own, most, seed) if kind != OTHER_SENSE else own, taught)
        for kind, own in texts.items()
        if len(own)
    }
    rows = _fitted(student, taught, found, ridge)
    _log.info("The rows of %d tokens have learnt other senses from %d texts", len(taught), len(texts[OTHER_SENSE]))
    weight = row_parameters(student.model)
    with torch.no_grad():
        weight.get("head", weight["embedding"]).index_copy_(0, taught.to(rows.device), rows)
    return taught.tolist()


def _some(texts: Sequence[np.ndarray], most: int, seed: int) -> list[np.ndarray]:
    chosen = np.random.default_rng(seed).permutation(len(texts))[:most]
    return [texts[index] for index in sorted(chosen)]


def _places(distiller: Distiller, kind: int, texts: Sequence[np.ndarray], tokens: Tensor) -> Places:
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    batches = [
        [texts[index].tolist() for index in order[start : start + _BATCH]] for start in range(0, len(order), _BATCH)
    ]
    parts = []
    for batch in batches:
        padded = pad(batch, 0)
        parts.append(distiller.places(padded["input_ids"], padded["attention_mask"], kind, tokens))
    return Places(
        *(torch.cat(part) for part in zip(*((one.states, one.wanted, one.others) for one in parts), strict=True))
    )


def _fitted(
    student: LoadedModel, tokens: Tensor, found: dict[int, Places], dear: float
) -> Float[Tensor, "tokens width"]:
    ends = row_parameters(student.model)
    weight = ends.get("head", ends["embedding"]).detach()
    tokens = tokens.to(weight.device)
    start = weight.index_select(0, tokens).float()
    bias = getattr(student.model.get_output_embeddings(), "bias", None)
    offset = 0.0 if bias is None else bias.detach().index_select(0, tokens).float()
    cap = getattr(student.model.config, "final_logit_softcapping", None)
    states = torch.cat([one.states for one in found.values()])
    wanted = torch.cat([one.wanted for one in found.values()])
    others = torch.cat([one.others for one in found.values()])
    senses = sum(len(one.others) for kind, one in found.items() if kind != OTHER_SENSE)
    share = torch.cat(
        [
            torch.full_like(one.others, 0.5 / len(one.others) if kind == OTHER_SENSE else 0.5 / senses)
            for kind, one in found.items()
        ]
    )
    share = share / share.sum()  # there may be texts in another sense alone
    rest = (1 - wanted.sum(1)).clamp(min=0)
    ridge = dear * float((states**2).sum(1).mean())
    rows = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([rows], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        logits = states @ rows.T + offset
        if cap:
            logits = torch.tanh(logits / cap) * cap
        total = torch.logaddexp(logits.logsumexp(1), others)
        nats = -(wanted * (logits - total[:, None])).sum(1) - rest * (others - total)
        return (share * nats).sum() + ridge * ((rows - start) ** 2).sum()

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    return rows.detach().to(weight)
