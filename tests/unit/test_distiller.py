"""How far a student is from its teacher: kind by kind as plain forward passes and numpy say, outside and inside."""

import copy

import numpy as np
import pytest
import torch

from tests.tiny_models import tiny
from unlearning_core.edits.row_weights import make_token_rows
from unlearning_core.edits.weights import bake
from unlearning_core.training.concept_masking import ConceptMask
from unlearning_core.training.distill_data import CONCEPT, OTHER_SENSE, RETAIN
from unlearning_core.training.distiller import Distiller
from unlearning_core.training.noise import shrink_towards_fresh
from unlearning_core.training.teacher import Teacher

TEXTS = [[5, 9, 2, 77, 31, 8], [11, 3, 77], [40, 41, 42, 43], [7, 77, 3, 12, 13]]
KINDS = [RETAIN, OTHER_SENSE, RETAIN, CONCEPT]
IDS = torch.tensor([[*text, *[0] * (6 - len(text))] for text in TEXTS])
SEEN = torch.tensor([[1] * len(text) + [0] * (6 - len(text)) for text in TEXTS])
MASK = ConceptMask(
    np.array([3, 77]), np.array([50]), {(40, 41): {60, 61}}, {(9, 2): {62}}, np.arange(400) % 2 == 1
)  # a token ends with a letter where its id is odd
HIDDEN = {
    # by text and place, beside 3 and 77: 50 after even tokens; 60 and 61 after 40, 41. Before 9, 2 stands 5, a letter.
    (0, 2): {50}, (2, 0): {50}, (2, 1): {60, 61}, (2, 2): {50}, (3, 3): {50},
}  # fmt: skip


def divergence(wanted, found, hidden):
    """KL of two vectors of logits, over all tokens but the hidden ones."""
    wanted, found = wanted.double().numpy(), found.double().numpy()
    kept = [token for token in range(len(wanted)) if token not in hidden]
    p = np.exp(wanted[kept] - wanted[kept].max())
    p /= p.sum()
    q = found - found.max() - np.log(np.exp(found - found.max()).sum())
    return float((p * (np.log(p) - q[kept])).sum())


def case(family, **settings):
    """(student, base, base with its rows reset written into it, rows)."""
    base, student = tiny(family, **settings), tiny(family, **settings)
    shrink_towards_fresh(student.model, 0.4, 1.0, seed=3)
    rows = make_token_rows(base.model, [3, 77], [6, 200], 1.0)
    reset = copy.deepcopy(base.model)
    bake(reset, None, rows=rows)
    return student, base, reset, rows


def by_hand(kind, student, base, reset, layer=None):
    """The sum over the places of the texts of that kind, each text read by itself."""
    total = 0.0
    for number, text in enumerate(TEXTS):
        if KINDS[number] != kind:
            continue
        ids = torch.tensor([text])
        with torch.no_grad():
            wanted = (reset if kind == CONCEPT else base.model)(input_ids=ids).logits[0]
            found = student.model(input_ids=ids, output_hidden_states=True)
            logits = found.logits[0]
            if layer is not None:
                handle = base.map.blocks[layer - 1].register_forward_hook(_handing(_after(student, layer, ids)))
                logits = base.model(input_ids=ids).logits[0]
                handle.remove()
        for place in range(len(text) - 1):
            hidden = HIDDEN.get((number, place), set()) | {3, 77} if kind != OTHER_SENSE else set()
            total += divergence(wanted[place], logits[place], hidden)
    return total


def _handing(state):
    return lambda module, args, output: state if isinstance(output, torch.Tensor) else (state, *output[1:])


def _after(student, layer, ids):
    kept = []
    handle = student.map.blocks[layer - 1].register_forward_hook(
        lambda module, args, output: kept.append(output if isinstance(output, torch.Tensor) else output[0])
    )
    student.model(input_ids=ids)
    handle.remove()
    return kept[0]


@pytest.mark.parametrize(
    ("family", "settings"),
    [("gpt2", {}), ("llama", {}), ("gemma2", {"final_logit_softcapping": 5.0}), ("cohere", {})],
    ids=["tied", "untied", "capped", "scaled"],
)
@pytest.mark.parametrize("layer", [None, 1, 3])
def test_each_kind_of_text_is_as_far_as_plain_passes_say(family, settings, layer):
    student, base, reset, rows = case(family, **settings)
    distiller = Distiller(student, Teacher(base, rows), MASK)
    with torch.no_grad():
        found = distiller.distances(student.model, IDS, SEEN, torch.tensor(KINDS), layer)
    assert [(one.kind, one.places) for one in found] == [(RETAIN, 8), (OTHER_SENSE, 2), (CONCEPT, 4)]
    for one in found:
        assert float(one.nats) == pytest.approx(by_hand(one.kind, student, base, reset), rel=1e-4)
        if layer is None or one.kind == OTHER_SENSE:
            assert one.depth is None
        else:
            assert float(one.depth) == pytest.approx(by_hand(one.kind, student, base, reset, layer), rel=1e-4)


def test_gradients_reach_every_weight_of_the_student_and_none_of_the_teacher():
    student, base, _, rows = case("llama")
    distiller = Distiller(student, Teacher(base, rows), MASK)
    found = distiller.distances(student.model, IDS, SEEN, torch.tensor(KINDS), 2)
    sum(one.nats + (one.depth if one.depth is not None else 0) for one in found).backward()
    assert all(parameter.grad is not None for parameter in student.model.parameters())
    assert all(parameter.grad is None for parameter in base.model.parameters())


def test_depth_alone_moves_no_weight_above_its_layer():
    student, base, _, rows = case("llama")
    found = Distiller(student, Teacher(base, rows), MASK).distances(student.model, IDS, SEEN, torch.tensor(KINDS), 2)
    sum(one.depth for one in found if one.depth is not None).backward()
    moved = [any(p.grad is not None for p in block.parameters()) for block in student.map.blocks]
    assert moved == [True, True, False]
    assert student.model.lm_head.weight.grad is None


def test_the_students_own_outputs_are_as_before_once_it_was_measured():
    student, base, _, rows = case("gpt2")
    with torch.no_grad():
        before = student.model(input_ids=IDS, attention_mask=SEEN).logits
        Distiller(student, Teacher(base, rows), MASK).distances(student.model, IDS, SEEN, torch.tensor(KINDS), 1)
        after = student.model(input_ids=IDS, attention_mask=SEEN).logits
    assert torch.equal(before, after)


@pytest.mark.parametrize("family", ["gpt2", "llama", "mixtral"])
def test_weights_are_shrunk_towards_fresh_ones_as_the_formula_says(family):
    model, untouched = tiny(family).model, tiny(family).model
    shrink_towards_fresh(model, 0.3, 0.1, seed=5)
    for (name, after), before in zip(model.named_parameters(), untouched.parameters(), strict=True):
        if before.dim() < 2:
            assert torch.equal(after, before), name
            continue
        fresh = ((after - 0.7 * before) / (0.3 * 0.1)).detach().double().numpy()
        bound = np.sqrt(6 / (before.shape[-1] + before.shape[-2]))
        assert np.abs(fresh).max() <= bound * (1 + 1e-3), name
        # Uniform: its mean is 0, its standard deviation the bound over the root of 3.
        assert abs(fresh.mean()) < 5 * bound / np.sqrt(3 * fresh.size), name
        assert fresh.std() == pytest.approx(bound / np.sqrt(3), rel=0.1), name


def test_noise_is_the_seeds_and_none_leaves_everything():
    made = []
    for share, seed in ((0.0, 1), (0.2, 1), (0.2, 1), (0.2, 2)):
        model = tiny("gpt2").model
        shrink_towards_fresh(model, share, 0.1, seed)
        made.append(model.transformer.wte.weight.detach())
    assert torch.equal(made[0], tiny("gpt2").model.transformer.wte.weight)
    assert torch.equal(made[1], made[2])
    assert not torch.equal(made[1], made[3])
