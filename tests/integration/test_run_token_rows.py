"""Token rows along the path: the run resets them, keeps them while it retrains, searches and sweeps with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_experiment import write_experiment
from unlearning_core.config.reading import load_config
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.edits.weights import survivors
from unlearning_core.errors import InputError
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.search import Target
from unlearning_core.methods.prune import TOKENS
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import cut_settings, new_recipe
from unlearning_core.runs.pipeline import create_run, execute, pending
from unlearning_core.runs.recipes import load_named, save_named
from unlearning_core.runs.run import Run
from unlearning_core.runs.search import RunSearch
from unlearning_core.runs.stages.proof import _subject
from unlearning_core.runs.stages.registry import stages_of
from unlearning_core.runs.sweep import RunSweep
from unlearning_core.runs.token_rows import run_token_rows

ROWS = {"strength": 1.0, "broad_text": False}


def run_of(folder: Path, *, until: str | None = None, rows: dict[str, Any] = ROWS, **changes: Any) -> Run:
    probing = {"token_rows": rows, **changes.pop("neural_probing", {})}
    run = create_run(load_config(write_experiment(folder, neural_probing=probing, **changes)), folder / "runs")
    execute(run, until=until)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("rows"))


def test_the_rows_are_reset_in_the_file_and_stay_so_in_the_retrained_model(finished: Run) -> None:
    recipe, context = finished.recipe(), RunContext(finished)
    rows = recipe.rows
    assert rows is not None
    base = context.model("base").model
    table = pd.read_parquet(finished.folder / "recipe" / TOKENS)
    assert sorted(table.loc[table["reset"], "token_id"]) == rows.ids.tolist()
    assert {"Ġsat", "Ġchair"} <= {*table.loc[table["reset"], "token"]}
    unseen = sorted(set(range(context.model("base").model.config.vocab_size)) - {*rows.ids.tolist()})
    assert len(unseen) > len(rows.ids)
    ends = ("model.embed_tokens.weight", "lm_head.weight")
    for state in ("pruned", "retrained"):
        saved = AutoModelForCausalLM.from_pretrained(finished.model(state)).state_dict()
        for name, target in zip(ends, (rows.target_in, rows.target_out), strict=True):
            assert np.array_equal(saved[name][rows.ids].numpy(), np.tile(target, (len(rows.ids), 1)))
            others = torch.equal(saved[name][unseen], base.state_dict()[name][unseen])
            assert others == (state == "pruned")
        assert survivors(finished.model(state), recipe.mask) == []


def test_the_summary_says_how_many_tokens_and_what_they_cover(finished: Run) -> None:
    said = finished.status()["stages"]["prune"]["summary"]
    table = pd.read_parquet(finished.folder / "recipe" / TOKENS)
    covered = table.loc[table["reset"], "inside"].sum() / table["inside"].sum()
    assert said["token_rows"] == table["reset"].sum() > 0
    assert said["covered"] == pytest.approx(covered, abs=1e-4)
    assert said["tokens"].startswith(
        f"The rows of {said['token_rows']} tokens are reset; they are {100 * covered:.3g} %"
    )


def test_the_measured_model_is_the_previewed_one(finished: Run) -> None:
    context, recipe = RunContext(finished), finished.recipe()
    loaded = context.model("base")
    items = context.sentences("held_out").items
    preview = Meter(loaded, items).measure(recipe.mask, rows=recipe.rows).nll("concept").value
    with applied(loaded.model, recipe.mask, loaded.map, recipe.rows):
        inside = Meter(loaded, items).measure().nll("concept").value
    assert preview == pytest.approx(finished.metrics()["pruned"]["concept_nll"], abs=1e-4)
    assert preview == pytest.approx(inside, abs=1e-6)


def test_the_suite_is_given_the_rows(finished: Run) -> None:
    context = RunContext(finished)
    for state in ("pruned", "retrained"):
        assert _subject(PARTS["losses"], state, context).rows == finished.recipe().rows
    assert _subject(PARTS["losses"], "base", context).rows is None


def test_the_edit_is_made_again_only_when_what_it_depends_on_changes(finished: Run) -> None:
    def due(**rows: Any) -> set[str]:
        probing = finished.config.neural_probing
        asked = probing.model_copy(update={"token_rows": probing.token_rows.model_copy(update=rows)})
        config = finished.config.model_copy(update={"neural_probing": asked})
        return {*pending(RunContext(finished, config=config), stages_of(config))}

    assert due() == set()
    assert {"prune", "measure pruned", "retrain"} <= due(strength=0.5)
    assert not {"rank", "label", "measure base"} & due(strength=0.5)
    assert "prune" in due(kept=["Ġsat"])
    assert "prune" in due(strength=0.0)
    # Settings of rows that are left alone change nothing.
    assert due(strength=0.0) == due(strength=0.0, share=0.5)


def test_a_named_recipe_brings_its_settings_back(finished: Run) -> None:
    context = RunContext(finished)
    loaded, settings = context.model("base"), cut_settings(finished.config)
    rows = run_token_rows(context, loaded, settings.token_rows)
    mask = settings.mask(finished.ranking(), loaded.map.shapes)
    folder = save_named(finished, "seats", new_recipe(context, settings, mask, rows))
    assert Recipe.load(folder).rows == finished.recipe().rows == rows
    assert load_named(folder, finished.ranking(), loaded.map.shapes) == settings
    assert settings.token_rows == RowSettings(1.0, 0.95, (), False)


def test_search_and_sweep_cut_with_the_rows_in_place(finished: Run) -> None:
    context, settings = RunContext(finished), cut_settings(finished.config)
    loaded, rows = context.model("base"), finished.recipe().rows
    sweep = RunSweep.of(finished, settings)
    sweep.compute()
    points = {(point.order, point.neurons): point for point in sweep.points() if point.order == "top"}
    items = context.sentences("held_out").take(sweep.sentences, sweep.sentences, 0).items
    meter = Meter(loaded, items)
    for (_, neurons), point in [*points.items()][:3]:
        mask = Mask.from_ranking(finished.ranking(), loaded.map.shapes, point.ratio)
        assert mask.cut == neurons
        after = meter.measure(mask, rows=rows)
        expected = after.nll("concept").value - meter.base.nll("concept").value
        assert point.forget == pytest.approx(expected, abs=1e-5)
    alone = points["top", 0]
    assert alone.forget != 0
    found = RunSearch(finished, settings).compute(Target(50.0, 50.0), most=1)
    assert found.points[0].to_dict() == replace(alone, ratio=0.0).to_dict(), "taken over from the sweep"
    assert RunSweep(finished, sweep.settings).measured_on != sweep.measured_on


def test_rows_alone_are_an_edit_and_a_random_cut_leaves_them_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path, neural_probing={"prune_ratio": 0.0}, methods=["prune", "random_cut"], until="random_cut")
    recipe = run.recipe()
    assert recipe.mask.cut == 0
    assert recipe.rows is not None
    control = Recipe.load(run.file("random_cut", "recipe"))
    assert control.rows == recipe.rows, "what stood before stays"
    alone = run_of(tmp_path / "alone", methods=["random_cut"], until="random_cut")
    assert Recipe.load(alone.file("random_cut", "recipe")).rows is None


def test_without_a_token_of_its_own_the_concept_is_cut_alone_and_the_summary_says_so(
    finished: Run, tmp_path: Path
) -> None:
    table = pd.read_parquet(finished.folder / "recipe" / TOKENS)
    kept = table.loc[table["reset"], "token"].tolist()
    run = run_of(tmp_path, until="prune", rows=ROWS | {"kept": kept})
    said = run.status()["stages"]["prune"]["summary"]
    assert said["token_rows"] == 0
    assert said["tokens"] == "Every token that belongs to the concept alone is switched off, so no token row is reset."
    assert run.recipe().rows is None
    assert run.recipe().mask == finished.recipe().mask


def test_a_kept_token_that_does_not_exist_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names 'chairs and tables', which is no token"):
        run_of(tmp_path, rows=ROWS | {"kept": ["chairs and tables"]})
