"""Taking turns at a model: in the order of coming, one at a time, and who moves on gives up the place."""

import threading

import pytest

from pages.components.turns import Line


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
        thread.join(60)
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
        gone.join(60)
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
