"""Models in memory: looking one up waits for no load, a load is shared, and a model in use stays."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from unlearning_core.errors import InputError, Stopped
from unlearning_core.models.cache import ModelCache
from unlearning_core.progress import Progress

WAIT = 30
"""Seconds after which a test that hangs fails."""


class Model:
    """Stands for a loaded model; the cache looks at nothing in it."""


class SlowLoad:
    """A load that ends when the test says so.

    Attributes:
        begun: set when somebody loads.
        end: lets it end.
        times: how often somebody loaded.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.error, self.times = error, 0

    def __call__(self) -> Any:
        self.times += 1
        self.begun.set()
        assert self.end.wait(WAIT)
        if self.error is not None:
            raise self.error
        return Model()


class Visitor:
    """Somebody who asks for a model in a thread of their own.

    Attributes:
        waits: set once they were told that another one loads it.
    """

    def __init__(self, pool: ThreadPoolExecutor, cache: ModelCache, key: str, load: Callable[[], Any]) -> None:
        self.waits = threading.Event()
        self.model: Future[Any] = pool.submit(self._ask, cache, key, load)

    def _ask(self, cache: ModelCache, key: str, load: Callable[[], Any]) -> Any:
        with cache.hold(key, load, self._told) as model:
            return model

    def _told(self, progress: Progress) -> None:
        self.waits.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def in_memory(cache: ModelCache) -> str:
    return "".join(key for key in "abcd" if cache.has(key))


def use(cache: ModelCache, *keys: str) -> None:
    for key in keys:
        with cache.hold(key, Model):
            pass


def test_a_model_in_memory_is_handed_out_while_another_one_loads(pool: ThreadPoolExecutor) -> None:
    cache, slow = ModelCache(2), SlowLoad()
    use(cache, "a")
    loading = Visitor(pool, cache, "b", slow)
    assert slow.begun.wait(WAIT)
    with cache.hold("a", lambda: pytest.fail("it is in memory")):
        assert not loading.model.done()
        assert in_memory(cache) == "a"
    slow.end.set()
    loading.model.result(WAIT)
    assert in_memory(cache) == "ab"


def test_two_who_ask_for_the_same_model_load_it_once_and_get_the_same(pool: ThreadPoolExecutor) -> None:
    cache, slow = ModelCache(2), SlowLoad()
    first = Visitor(pool, cache, "a", slow)
    assert slow.begun.wait(WAIT)
    others = [Visitor(pool, cache, "a", slow) for _ in range(3)]
    assert all(other.waits.wait(WAIT) for other in others)
    slow.end.set()
    models = {id(visitor.model.result(WAIT)) for visitor in (first, *others)}
    assert len(models) == 1
    assert slow.times == 1


def test_two_models_load_at_the_same_time(pool: ThreadPoolExecutor) -> None:
    cache, together = ModelCache(2), threading.Barrier(2)

    def load() -> Any:
        together.wait(WAIT)  # broken unless both are here
        return Model()

    visitors = [Visitor(pool, cache, key, load) for key in "ab"]
    assert all(visitor.model.result(WAIT) for visitor in visitors)


def test_a_load_that_fails_is_told_to_all_who_wait_and_is_tried_again_by_the_next(pool: ThreadPoolExecutor) -> None:
    cache, slow = ModelCache(2), SlowLoad(InputError("There is no such model."))
    first = Visitor(pool, cache, "a", slow)
    assert slow.begun.wait(WAIT)
    others = [Visitor(pool, cache, "a", slow) for _ in range(2)]
    assert all(other.waits.wait(WAIT) for other in others)
    slow.end.set()
    for visitor in (first, *others):
        with pytest.raises(InputError, match="no such model"):
            visitor.model.result(WAIT)
    assert slow.times == 1
    assert in_memory(cache) == ""
    use(cache, "a")
    assert in_memory(cache) == "a"


@pytest.mark.parametrize("left", [Stopped("Stopped."), KeyboardInterrupt()])
def test_who_stops_a_load_stops_nobody_else(pool: ThreadPoolExecutor, left: BaseException) -> None:
    cache, stopped = ModelCache(2), SlowLoad(left)
    first = Visitor(pool, cache, "a", stopped)
    assert stopped.begun.wait(WAIT)
    other = Visitor(pool, cache, "a", Model)
    assert other.waits.wait(WAIT)
    stopped.end.set()
    assert isinstance(first.model.exception(WAIT), type(left))
    assert isinstance(other.model.result(WAIT), Model)


def test_who_waits_can_stop_while_the_other_goes_on_loading(pool: ThreadPoolExecutor) -> None:
    cache, slow = ModelCache(2), SlowLoad()
    loading = Visitor(pool, cache, "a", slow)
    assert slow.begun.wait(WAIT)

    def stop(progress: Progress) -> None:
        raise Stopped("Stopped.")

    with pytest.raises(Stopped), cache.hold("a", Model, stop):
        pytest.fail("it is not loaded yet")
    slow.end.set()
    assert isinstance(loading.model.result(WAIT), Model)
    assert in_memory(cache) == "a"


@pytest.mark.parametrize(("asked", "kept"), [("aabac", "ac"), ("abc", "bc"), ("abcb", "bc")])
def test_the_model_that_was_used_longest_ago_makes_room(asked: str, kept: str) -> None:
    cache = ModelCache(2)
    use(cache, *asked)
    assert in_memory(cache) == kept


def test_a_model_in_use_makes_no_room_and_goes_once_there_are_too_many_and_nobody_uses_it() -> None:
    cache = ModelCache(2)
    with ExitStack() as in_use:
        held = {key: in_use.enter_context(cache.hold(key, Model)) for key in "ab"}
        use(cache, "c")
        # There is no room for a third while two are held.
        assert in_memory(cache) == "ab"
        with cache.hold("a", lambda: pytest.fail("it is held")) as again:
            assert again is held["a"]
        use(cache, "d")
        assert in_memory(cache) == "ab"
    assert in_memory(cache) == "ab"
    use(cache, "c")
    assert in_memory(cache) == "ac"


def test_a_model_held_twice_stays_until_both_have_released_it() -> None:
    cache = ModelCache(1)
    with cache.hold("a", Model):
        with cache.hold("a", Model):
            pass
        use(cache, "b")
        assert in_memory(cache) == "a"


def test_clearing_drops_what_nobody_uses_now_and_the_rest_when_it_is_released() -> None:
    cache = ModelCache(2)
    use(cache, "a")
    with cache.hold("b", Model) as model:
        gone = weakref.ref(model)
        cache.clear()
        assert in_memory(cache) == "b"
        with cache.hold("b", lambda: pytest.fail("it is held")):
            pass
        assert in_memory(cache) == "b"
    assert in_memory(cache) == ""
    del model
    gc.collect()
    assert gone() is None


def test_a_page_that_is_left_in_the_middle_releases_its_model() -> None:
    from pages.components.compat import LeavingPage

    cache = ModelCache(1)
    with pytest.raises(LeavingPage), cache.hold("a", Model):
        raise LeavingPage
    use(cache, "b")
    assert in_memory(cache) == "b"
