"""A method that the pages know nothing of: the state that it makes is on Compare, and Retrain counts as done."""

import pytest
import torch
from pydantic import BaseModel

from pages.components.current_run import changed
from pages.components.model_cache import base_model, state_model
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled
from unlearning_core.methods.method import Method, MethodInput, Summary
from unlearning_core.methods.registry import METHODS
from unlearning_core.runs.pipeline import execute
from unlearning_core.runs.run import Run


class Parameters(BaseModel):
    """None."""


def blur(given: MethodInput, parameters: Parameters) -> Summary:
    """Saves the model before it with larger embeddings."""
    loaded = given.load()
    loaded.model.get_input_embeddings().weight.data.mul_(3.0)
    given.save(loaded)
    return {}


@pytest.fixture
def blurred_run(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> Run:
    method = Method("blur", "Blur", "Makes the embeddings larger.", "blurred", Parameters, blur)
    monkeypatch.setitem(METHODS, "blur", method)
    run = new_run()
    run.save_config(changed(run.config, methods=[{"name": "prune"}, {"name": "blur"}]))
    execute(run)
    return run


def test_a_further_state_is_compared_and_writes(open_page: OpenPage, blurred_run: Run) -> None:
    app = fine(open_page("compare", blurred_run))
    assert list(app.dataframe[0].value.columns) == ["", "Base", "Pruned", "Blurred"]
    assert any("[**Blurred**]" in text.value for text in app.markdown)
    assert not any("not retrained yet" in message.value for message in app.info)
    assert labelled(app.selectbox, "Second model").value == "blurred"
    labelled(app.text_input, "Prompt").set_value("The old man")
    fine(button(app, "Write").click().run())
    _, written = app.session_state[f"typed texts {blurred_run.id}"]
    assert list(written) == ["base", "pruned", "blurred"]
    assert written["blurred"] != written["base"]


def test_the_retrain_page_offers_it_and_leads_on(open_page: OpenPage, blurred_run: Run) -> None:
    app = fine(open_page("retrain", blurred_run))
    choice = labelled(app.selectbox, "What is done to the pruned model")
    assert choice.options[0] == "Retrain on filtered text"
    assert choice.options[-1] == "Blur"
    assert choice.value.name == "blur"
    assert any("Makes the embeddings larger" in caption.value for caption in app.caption)
    assert any("finished and measured" in message.value for message in app.success)
    assert any(link.proto.label == "Next: Compare" for link in app.get("page_link"))


def test_its_model_is_the_one_that_the_method_saved(blurred_run: Run) -> None:
    with base_model(blurred_run) as base, state_model(blurred_run, "blurred") as (blurred, mask):
        assert mask is None
        before, after = (loaded.model.get_input_embeddings().weight for loaded in (base, blurred))
        torch.testing.assert_close(after, 3.0 * before)
