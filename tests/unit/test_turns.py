"""Taking turns at a model: in the order of coming, one at a time, and who moves on gives up the place."""

import threading

import pytest

from pages.components import turns
from pages.components.turns import Known, Line, one_look, shared


def stays() -> bool:
    return False


def test_turns_come_in_order_one_at_a_time() -> None:
    line, done, inside = Line(), list[int](), list[int]()

    def visit(number: int) -> None:
        with line.turn(stays) as mine:
            assert mine
            inside.append(number)
            assert inside == [number]
            inside.remove(number)
            done.append(number)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(5)]
    with line.turn(stays) as first:
        assert first
        for number, thread in enumerate(threads):
            thread.start()
            waiting_for(line, number + 2)
        assert done == []
    for thread in threads:
        thread.join(300)
    assert done == list(range(5))


def test_who_left_gives_up_the_place_and_holds_nobody_up() -> None:
    line, left, found = Line(), threading.Event(), list[bool]()

    def visit() -> None:
        with line.turn(left.is_set) as mine:
            found.append(mine)

    gone = threading.Thread(target=visit)
    with line.turn(stays):
        gone.start()
        waiting_for(line, 2)
        left.set()
        gone.join(300)
        assert found == [False]
    with line.turn(stays) as mine:
        assert mine


def test_a_look_that_fails_gives_its_turn_back() -> None:
    line = Line()
    with pytest.raises(ValueError, match="x"), line.turn(stays):
        raise ValueError("x")
    with line.turn(stays) as mine:
        assert mine


def waiting_for(line: Line, many: int) -> None:
    """Until so many stand in line, the first of them having it."""
    with line._changed:
        assert line._changed.wait_for(lambda: len(line._waiting) == many, 60)


def test_as_many_as_may_have_it_at_once() -> None:
    line = Line(2)
    with line.turn(stays) as one, line.turn(stays) as two:
        assert one
        assert two
        with line.turn(lambda: True) as third:
            assert not third


class Model:
    """What looks are shared by."""


def test_what_one_visitor_had_computed_is_there_for_the_next_and_for_no_other_model() -> None:
    model, other, computed = Model(), Model(), list[str]()

    def compute() -> str:
        computed.append("once")
        return "found"

    for looked_at in (model, model, other):
        with one_look(looked_at):
            assert shared("cut", compute) == "found"
    assert len(computed) == 2
    assert shared("cut", compute) == "found"  # outside of a look nothing is shared
    assert len(computed) == 3


def test_who_waited_for_the_same_look_does_not_compute_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    model, begun, go_on, computed = Model(), threading.Event(), threading.Event(), list[int]()

    def compute() -> str:
        computed.append(1)
        begun.set()
        assert go_on.wait(300)
        return "found"

    def visit() -> None:
        with one_look(model):
            assert shared("cut", compute) == "found"

    threads = [threading.Thread(target=visit) for _ in range(3)]
    threads[0].start()
    assert begun.wait(300)
    line, _ = turns._lines()[0][model]
    for number, thread in enumerate(threads[1:]):
        thread.start()
        waiting_for(line, number + 2)
    go_on.set()
    for thread in threads:
        thread.join(300)
    assert len(computed) == 1


def test_only_the_latest_results_are_kept() -> None:
    known = Known()
    for number in range(turns._REMEMBERED + 5):
        known[number] = number
    assert list(known) == list(range(5, turns._REMEMBERED + 5))
