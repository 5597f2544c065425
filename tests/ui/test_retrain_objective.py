"""The Retrain page asks what is learnt: options of a distillation appear with it, and are kept in the run."""

from pathlib import Path

import pytest

from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled
from unlearning_core.jobs.device_queue import VARIABLE
from unlearning_core.runs import background


@pytest.fixture(autouse=True)
def empty_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "queue"))


def test_a_distillation_is_chosen_with_its_options_and_kept(
    open_page: OpenPage, new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "start", lambda *args, **kwargs: 0)
    senses = tmp_path / "senses.txt"
    senses.write_text("The chair of the club spoke.\n")
    run = new_run("measure pruned")
    app = fine(open_page("retrain", run))
    choice = labelled(app.radio, "What it learns")
    assert choice.value == "text"
    assert not [one for one in app.number_input if one.label == "Depth"]
    app = fine(choice.set_value("distill").run())
    labelled(app.text_input, "Text with the words in another sense (optional)").set_value(str(senses))
    labelled(app.number_input, "Depth").set_value(1.0)
    labelled(app.number_input, "Texts about the concept per step").set_value(4)
    app = fine(labelled(app.number_input, "Noise before it").set_value(0.3).run())
    labelled(app.number_input, "Weight of such a text").set_value(2.0)
    app = fine(labelled(app.number_input, "Scale of the noise").set_value(0.2).run())
    fine(button(app, "Start the retraining").click().run())
    kept = run.config.retraining
    assert (kept.objective, kept.other_sense_texts) == ("distill", str(senses))
    assert (kept.depth_weight, kept.concept_texts, kept.concept_weight) == (1.0, 4, 2.0)
    assert (kept.noise, kept.noise_scale) == (0.3, 0.2)


def test_what_was_set_is_not_lost_when_the_text_itself_is_learnt(
    open_page: OpenPage, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "start", lambda *args, **kwargs: 0)
    run = new_run("measure pruned")
    config = run.config
    config.retraining.objective, config.retraining.depth_weight = "distill", 2.5
    run.save_config(config)
    app = fine(open_page("retrain", run))
    assert labelled(app.number_input, "Depth").value == 2.5
    app = fine(labelled(app.radio, "What it learns").set_value("text").run())
    fine(button(app, "Start the retraining").click().run())
    assert (run.config.retraining.objective, run.config.retraining.depth_weight) == ("text", 2.5)
