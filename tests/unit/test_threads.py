"""Small steps are computed by one thread, others by as many as before; nobody else's number is changed."""

import threading
from collections.abc import Iterator

import pytest
import torch

from unlearning_core.models.threads import SMALL, threads_for


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("multiplications", "threads"), [(1, 1), (SMALL, 1), (SMALL + 1, 2)])
def test_a_small_step_is_computed_by_one_thread(multiplications: int, threads: int) -> None:
    with threads_for(multiplications):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_after_an_error_there_are_as_many_as_before() -> None:
    with pytest.raises(KeyError), threads_for(1):
        raise KeyError
    assert torch.get_num_threads() == 2


def test_another_thread_keeps_its_own() -> None:
    ready, go, seen = threading.Event(), threading.Event(), list[int]()

    def other() -> None:
        seen.append(torch.get_num_threads())
        ready.set()
        go.wait()
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    with threads_for(1):
        go.set()
        thread.join()
    assert seen == [2, 2]
