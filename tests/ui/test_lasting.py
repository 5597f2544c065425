"""What stays in memory is passed over by the collection after each run, and is freed once it is dropped."""

import gc
import sys
import weakref
from collections.abc import Iterator
from types import ModuleType

import pytest

from pages.components import lasting
from pages.components.lasting import reading_modules, search_everything, set_aside_modules


class Spread:
    """Refers to itself, as a model does that accelerate spreads over devices."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_set_aside() -> Iterator[None]:
    search_everything()
    yield
    search_everything()


def test_a_collection_passes_over_what_was_set_aside() -> None:
    gc.collect()
    before = len(gc.get_objects())
    set_aside_modules()
    assert gc.get_freeze_count() > 0.9 * before
    assert len(gc.get_objects()) < 0.1 * before


def test_it_is_done_again_only_after_many_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    set_aside_modules()
    later = [Spread()]
    set_aside_modules()
    assert any(one is later for one in gc.get_objects())
    for number in range(lasting._MANY):
        monkeypatch.setitem(sys.modules, f"imported {number}", ModuleType(f"imported {number}"))
    set_aside_modules()
    assert not any(one is later for one in gc.get_objects())


def test_what_was_set_aside_and_refers_to_itself_is_freed_once_everything_is_looked_at() -> None:
    model = Spread()
    gone = weakref.ref(model)
    set_aside_modules()
    del model
    gc.collect()
    assert gone() is not None
    search_everything()
    gc.collect()
    assert gone() is None


def test_while_modules_are_read_garbage_is_searched_for_rarely_and_then_as_before_whoever_ends_first() -> None:
    before = gc.get_threshold()
    first, second = reading_modules(), reading_modules()
    first.__enter__()
    assert gc.get_threshold() == (lasting._RARE, *before[1:])
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before


def test_models_that_are_forgotten_are_looked_at() -> None:
    from pages.components.model_cache import forget_models

    set_aside_modules()
    forget_models()
    assert gc.get_freeze_count() == 0
