"""Forward KL from a masked teacher: by numpy, its gradient by finite differences, alike in slices."""

import numpy as np
import pytest
import torch

from unlearning_core.training import masked_divergence
from unlearning_core.training.masked_divergence import PlaceMasks, divergences

PLACES, VOCABULARY, WIDTH = 7, 11, 5
EVERYWHERE, AT_START = [2, 9], [4]
MASKED = np.array([True, True, False, True, True, True, True])
STARTS = np.array([True, False, False, False, True, False, False])
SINGLE = [(1, 3), (1, 7), (5, 0)]


def masks():
    return PlaceMasks(
        torch.tensor(EVERYWHERE), torch.from_numpy(MASKED), torch.tensor(AT_START), torch.from_numpy(STARTS),
        torch.tensor(SINGLE),
    )  # fmt: skip


def case(seed=0):
    """(teacher's states and head, student's states and head), float64 so that differences can be taken."""
    random = np.random.default_rng(seed)
    return [random.normal(size=shape) for shape in ((PLACES, WIDTH), (WIDTH, VOCABULARY)) * 2]


def by_hand(teacher, teacher_head, student, student_head):
    """Each place by itself, over the tokens that the teacher may foresee."""
    found = []
    for place in range(PLACES):
        hidden = set(EVERYWHERE) if MASKED[place] else set()
        hidden |= set(AT_START) if STARTS[place] else set()
        hidden |= {token for at, token in SINGLE if at == place}
        kept = [token for token in range(VOCABULARY) if token not in hidden]
        p = np.exp((teacher @ teacher_head)[place][kept])
        p /= p.sum()
        q = np.exp((student @ student_head)[place])
        found.append(float((p * np.log(p / (q / q.sum())[kept])).sum()))
    return np.array(found)


def measured(values):
    teacher, teacher_head, student, student_head = (torch.tensor(one, dtype=torch.float32) for one in values)
    student.requires_grad_()
    student_head.requires_grad_()
    known, learnt = (lambda states: states @ teacher_head, teacher), (lambda states: states @ student_head, student)
    return divergences(known, learnt, masks()), student, student_head


def test_each_place_is_as_numpy_says():
    values = case()
    found, *_ = measured(values)
    np.testing.assert_allclose(found.detach().numpy(), by_hand(*values), rtol=2e-5)
    assert (found.detach().numpy() > 0.1).all()


@pytest.mark.parametrize("rows", [PLACES, 3, 1])
def test_gradients_are_finite_differences_in_slices_of_any_size(rows, monkeypatch):
    monkeypatch.setattr(masked_divergence, "SLICE_ELEMENTS", rows * VOCABULARY)
    values = case(1)
    found, student, head = measured(values)
    weights = np.linspace(0.5, 2, PLACES)
    (found * torch.tensor(weights, dtype=torch.float32)).sum().backward()
    for number, gradient in ((2, student.grad), (3, head.grad)):
        for index in np.ndindex(values[number].shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [one.copy() for one in values]
                moved[number][index] += step
                ends.append((weights * by_hand(*moved)).sum())
            assert float(gradient[index]) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=2e-4)


def test_a_student_that_says_what_the_masked_teacher_says_is_at_no_distance_and_keeps_its_weights():
    logits = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(2)).requires_grad_()
    hidden = logits.detach().clone()
    hidden[:, EVERYWHERE] = 100.0  # what the teacher would say first, were it allowed to
    nothing = torch.zeros(1, dtype=torch.bool)
    given = PlaceMasks(
        torch.tensor(EVERYWHERE), ~nothing, torch.tensor([], dtype=torch.long), nothing,
        torch.zeros(0, 2, dtype=torch.long),
    )  # fmt: skip
    mine = logits + torch.zeros(VOCABULARY).index_fill(0, torch.tensor(EVERYWHERE), -200.0)
    found = divergences((lambda states: states.clone(), hidden), (lambda states: states, mine), given)
    found.sum().backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-6)
    assert float(logits.grad.abs().max()) < 1e-6


def test_no_place_is_no_distance():
    empty = torch.zeros(0, WIDTH)
    nothing = torch.zeros(0, dtype=torch.bool)
    given = PlaceMasks(torch.tensor([1]), nothing, torch.tensor([2]), nothing, torch.zeros(0, 2, dtype=torch.long))
    assert divergences((torch.relu, empty), (torch.relu, empty), given).shape == (0,)
