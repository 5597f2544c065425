"""Several visitors at once on one cached model, and the memory of models that make room for others."""

import copy
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pages.components.model_cache import base_model, forget_models, model_of
from tests.tiny_models import save_tiny
from tests.ui.conftest import ROOT
from tests.ui.pieces import NewRun, OpenPage, fine
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.models import cache, loading
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.mapping import map_model
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

RATIOS = (0.0, 0.05, 0.2, 0.6)
PROMPTS = ("The chair", "She put the")


def seen(loaded: LoadedModel, context: RunContext, mask: Mask | None) -> tuple[list[str], np.ndarray]:
    """What a visitor gets to see of a cut: texts, and the loss of every held-out sentence."""
    written = generate(loaded, PROMPTS, mask=mask, samples=2, max_new_tokens=12, seed=3)
    table = measure(loaded, context.sentences("held_out").items, mask=mask).sentences
    return [text.text for text in written], table[["concept_nats", "retain_nats"]].to_numpy()


def baked(loaded: LoadedModel, mask: Mask) -> LoadedModel:
    """A model of one's own whose weights are cut: no hook and no context is involved."""
    model = copy.deepcopy(loaded.model)
    own = map_model(model)
    bake(model, mask, own)
    return replace(loaded, model=model, map=own)


def test_visitors_at_once_on_one_cached_model_each_see_their_own_mask(new_run: NewRun) -> None:
    run = new_run("rank")
    context = RunContext(run)
    with base_model(run) as shared:
        see_their_own_masks(run, context, shared)


def see_their_own_masks(run: Run, context: RunContext, shared: LoadedModel) -> None:
    masks = [Mask.from_ranking(context.ranking, shared.map.shapes, ratio) for ratio in RATIOS]
    expected = [seen(baked(shared, mask), context, None) for mask in masks]
    together, found = threading.Barrier(len(masks)), [[] for _ in masks]
    models: list[object] = []

    def visit(number: int) -> None:
        for _ in range(3):
            together.wait(300)
            with base_model(run) as loaded:
                models.append(loaded)
                found[number].append(seen(loaded, RunContext(run), masks[number]))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(len(masks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(models) == 3 * len(masks)
    assert all(model is shared for model in models)
    # The cuts differ in what they do, or nobody could tell one visitor's from another's.
    assert len({tuple(texts) for texts, _ in expected}) == len(masks)
    for (texts, nats), visits in zip(expected, found, strict=True):
        for seen_texts, seen_nats in visits:
            assert seen_texts == texts
            np.testing.assert_allclose(seen_nats, nats, rtol=1e-4, atol=1e-4)
    whole_texts, whole_nats = seen(shared, context, None)
    assert whole_texts == expected[0][0]
    np.testing.assert_allclose(whole_nats, expected[0][1], rtol=1e-4, atol=1e-4)


MEMORY = """
import json, psutil, sys
from pages.components.model_cache import MOST
from unlearning_core.models.cache import ModelCache
from unlearning_core.models import cache, loading
from unlearning_core.models.loading import load_model

folder, cache, held = sys.argv[1], ModelCache(MOST), []
for number in range(MOST + 4):
    with cache.hold(number, lambda: load_model(folder, device="cpu", dtype="float32")):
        held.append(psutil.Process().memory_info().rss)
cache.clear()
print(json.dumps({"held": held[MOST - 1:], "first": held[0], "cleared": psutil.Process().memory_info().rss}))
"""


def test_a_model_that_makes_room_for_another_gives_its_memory_back(tmp_path: Path) -> None:
    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 8}
    save_tiny("llama", tmp_path / "model", **shape)
    size = (tmp_path / "model" / "model.safetensors").stat().st_size
    assert size > 90e6
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "model")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    full, *later = told["held"]
    # The measure works: the second model that is kept shows in it.
    assert full - told["first"] > 0.7 * size
    # Four more were loaded since; each took the place of another.
    assert max(later) - full < 0.7 * size
    assert full - told["cleared"] > 1.4 * size


def test_a_page_is_drawn_while_another_visitors_model_loads(
    open_page: OpenPage, new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = new_run("rank"), str(save_tiny("llama", tmp_path / "other", seed=1))
    begun, go_on = threading.Event(), threading.Event()
    load, loaded = loading.load_model, []

    def load_at_a_sign(source: str, **settings: Any) -> LoadedModel:
        if source == other:
            begun.set()
            assert go_on.wait(300)
        return load(source, **settings)

    def visit() -> None:
        with model_of(BaseModelSection(base_model_path=other)) as model:
            loaded.append(model)

    monkeypatch.setattr(loading, "load_model", load_at_a_sign)
    with base_model(run):
        pass
    visitor = threading.Thread(target=visit)
    visitor.start()
    assert begun.wait(300)
    app = open_page("prune", run)
    assert not app.exception
    assert {"Neurons cut", "Concept words"} <= {metric.label for metric in app.metric}
    assert not loaded
    go_on.set()
    visitor.join(300)
    assert len(loaded) == 1


def test_two_windows_on_one_run_load_its_model_once_and_both_are_drawn(
    open_page: OpenPage, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run("rank")
    forget_models()
    begun, waiting, go_on = threading.Event(), threading.Event(), threading.Event()
    load, loads = loading.load_model, []

    def load_at_a_sign(source: str, **settings: Any) -> LoadedModel:
        loads.append(source)
        begun.set()
        assert go_on.wait(300)
        return load(source, **settings)

    def told(*given: Any) -> Progress:
        waiting.set()
        return Progress(*given)

    monkeypatch.setattr(loading, "load_model", load_at_a_sign)
    monkeypatch.setattr(cache, "Progress", told)  # what it says while it waits
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(open_page, "prune", run)
        assert begun.wait(300)
        other = pool.submit(open_page, "prune", run)
        assert waiting.wait(300)
        go_on.set()
        for app in (one.result(120), other.result(120)):
            fine(app)
            assert not app.exception
            assert {"Neurons cut", "Concept words"} <= {metric.label for metric in app.metric}
    assert len(loads) == 1
