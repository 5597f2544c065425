"""Prune, the other half of the edit: token rows are previewed, listed, switched, kept and taken along in recipes."""

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.current_run import changed
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled, show_tab
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.row_weights import held_rows, rows_undone
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.models.loading import load_model
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import cut_settings
from unlearning_core.runs.run import Run
from unlearning_core.runs.token_rows import run_token_rows

SLIDER, PILLS = "Token rows reset, %", "These are reset; a token that is switched off keeps its row"


def strength(app: AppTest) -> int:
    return labelled(app.slider, SLIDER).value


def reset(app: AppTest) -> int:
    return int(labelled(app.metric, "Tokens reset").value)


@pytest.fixture
def moved(open_page: OpenPage, new_run: NewRun) -> tuple[AppTest, Run]:
    """The page of a run with the rows reset in full."""
    run = new_run("rank")
    # Everyday words share the tokens of so small a vocabulary.
    run.save_config(changed(run.config, neural_probing={"token_rows": {"broad_text": False}}))
    app = fine(open_page("prune", run))
    assert "Tokens reset" not in [metric.label for metric in app.metric]
    return fine(labelled(app.slider, SLIDER).set_value(100).run()), run


def test_the_numbers_are_those_of_the_model_with_both_edits(moved: tuple[AppTest, Run]) -> None:
    app, run = moved
    context = RunContext(run)
    loaded = context.model("base")
    cut = cut_settings(run.config)
    asked = run.config.neural_probing.token_rows.model_copy(update={"strength": 1.0})
    config = run.config.model_copy(
        update={"neural_probing": run.config.neural_probing.model_copy(update={"token_rows": asked})}
    )
    rows = run_token_rows(context, loaded, cut_settings(config).token_rows)
    assert rows is not None
    assert reset(app) == len(rows.ids)
    items = run.sentences("held_out").take(24, 24, 0).items
    mask = cut.mask(run.ranking(), loaded.map.shapes)
    change = nll_delta(measure(loaded, items), measure(loaded, items, mask=mask, rows=rows), "concept")
    shown = labelled(app.metric, "Concept words").help
    assert f"changes by {change.value:+z.2f}" in shown
    alone = nll_delta(measure(loaded, items), measure(loaded, items, mask=mask), "concept")
    assert f"changes by {alone.value:+z.2f}" not in shown


def test_tokens_that_keep_their_rows_are_named_with_why(moved: tuple[AppTest, Run]) -> None:
    app, run = moved
    show_tab(app, "Tokens")
    said = {text.value.split(",")[0] for text in app.caption if "so their rows stay" in text.value}
    assert said <= {"Shared with other words", "Too rare to tell"}
    run.save_config(changed(run.config, neural_probing={"token_rows": {"broad_text": True}}))
    app = fine(app.run())
    shared = next(text.value for text in app.caption if text.value.startswith("Shared with other words"))
    assert "chair" in shared, "of a vocabulary so small chairman has it too"


def test_the_strength_is_in_the_url_and_is_undone(moved: tuple[AppTest, Run]) -> None:
    app, _ = moved
    assert app.query_params["rows"] == "1"
    fine(button(app, "Undo").click().run())
    assert strength(app) == 0
    fine(button(app, "Redo").click().run())
    assert strength(app) == 100


def test_a_token_that_is_switched_off_keeps_its_row(moved: tuple[AppTest, Run]) -> None:
    app, run = moved
    before = reset(app)
    show_tab(app, "Tokens")
    pills = labelled(app.get("button_group"), PILLS)
    fine(pills.set_value(pills.value[1:]).run())
    assert reset(app) == before - 1 > 0
    kept = run.config.neural_probing.token_rows.kept
    assert len(kept) == 1
    assert kept[0] not in labelled(app.get("button_group"), PILLS).value
    pills = labelled(app.get("button_group"), PILLS)
    fine(pills.set_value([*pills.value, pills.options[0]]).run())
    assert (reset(app), run.config.neural_probing.token_rows.kept) == (before, [])


def test_keeping_writes_both_edits_and_says_what_was_reset(moved: tuple[AppTest, Run]) -> None:
    app, run = moved
    fine(button(app, "Keep this cut").click().run())
    assert run.config.neural_probing.token_rows.strength == 1
    recipe = run.recipe()
    assert recipe.rows is not None
    assert recipe.mask.cut > 0
    saved = load_model(str(run.model("pruned")), device="cpu", may_be_cut=True)
    base = RunContext(run).model("base")
    assert rows_undone(saved.model, held_rows(base.model, recipe.rows)) == recipe.rows.ids.tolist()
    said = run.status()["stages"]["prune"]["summary"]["tokens"]
    assert said in [text.value for text in app.markdown]


def test_a_named_recipe_brings_the_strength_and_the_switches_back(moved: tuple[AppTest, Run]) -> None:
    app, run = moved
    show_tab(app, "Tokens")
    pills = labelled(app.get("button_group"), PILLS)
    fine(pills.set_value(pills.value[1:]).run())
    kept = run.config.neural_probing.token_rows.kept
    show_tab(app, "Recipes")
    labelled(app.text_input, "Name of this cut").set_value("both").run()
    fine(button(app, "Save the recipe").click().run())
    rows = Recipe.load(run.folder / "recipes" / "both").rows
    assert rows is not None
    assert len(rows.ids) == reset(app)
    show_tab(app, "Tokens")
    pills = labelled(app.get("button_group"), PILLS)
    fine(pills.set_value(pills.options).run())
    fine(labelled(app.slider, SLIDER).set_value(50).run())
    show_tab(app, "Recipes")
    fine(button(app, "Load the recipe").click().run())
    assert strength(app) == 100
    assert run.config.neural_probing.token_rows.kept == kept
    assert reset(app) == len(rows.ids)
