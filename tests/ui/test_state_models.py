"""The model of each state, as the pages hold it: base, the base under the recipe's mask, or a saved one."""

import pytest

from pages.components.model_cache import base_is_loaded, base_model, forget_models, state_model
from pages.components.states import heading, texts_by_prompt
from tests.ui.pieces import NewRun
from unlearning_core.errors import InputError
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.runs.run import Run


@pytest.fixture
def run(new_run: NewRun) -> Run:
    return new_run("prune")


def test_pruned_is_the_base_under_the_mask_of_the_recipe(run: Run) -> None:
    with base_model(run) as base, state_model(run, "base") as (same, none), state_model(run, "pruned") as (cut, recipe):
        assert same is base
        assert cut is base
        assert none is None
        assert recipe == run.recipe()


def test_a_state_that_is_not_there_says_what_to_do(run: Run) -> None:
    with pytest.raises(InputError, match="retrained"), state_model(run, "retrained"):
        pass
    with pytest.raises(InputError, match=r"never_knew\.model"), state_model(run, NEVER_KNEW):
        pass


def test_models_are_forgotten_once_nobody_uses_them(run: Run) -> None:
    with base_model(run):
        forget_models()
        assert base_is_loaded(run)
    assert not base_is_loaded(run)


def test_a_state_of_another_method_has_a_name_and_a_colour_of_its_own() -> None:
    assert heading("base") == ":blue[**Base**]"
    assert heading(NEVER_KNEW) == ":gray[**Never knew**]"
    assert "[**Distilled**]" in heading("distilled")
    assert heading("distilled")[:5] not in {heading(state)[:5] for state in ("base", "pruned", "retrained")}


def test_texts_are_put_side_by_side_by_prompt_and_sample() -> None:
    def text(prompt: str, sample: int, what: str) -> dict[str, object]:
        return {"prompt": prompt, "sample": sample, "text": what}

    written = {"base": [text("A", 0, "a0"), text("A", 1, "a1"), text("B", 0, "b0")], "pruned": [text("A", 1, "c1")]}
    assert texts_by_prompt(written) == {
        "A": [{"base": "a0", "pruned": ""}, {"base": "a1", "pruned": "c1"}],
        "B": [{"base": "b0", "pruned": ""}],
    }
