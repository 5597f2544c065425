"""The Retrain page before, during and after a training; what runs beside it is put there by hand, without a process."""

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.components.retrain.learning_rate import OWN
from tests.ui.pieces import NewRun, OpenPage, button, chart, fine, labelled
from unlearning_core.jobs.device_queue import VARIABLE, hold_device
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.liveness import record
from unlearning_core.jobs.stopping import STOP_FILE, never
from unlearning_core.runs import background
from unlearning_core.runs.run import Run
from unlearning_core.training import rate as timing
from unlearning_core.training.rate import Rate


@pytest.fixture(autouse=True)
def empty_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "queue"))


def words(app: AppTest) -> str:
    """All text of the page."""
    return "\n".join(part.value for kind in (app.markdown, app.caption, app.info) for part in kind)


def at_work(run: Run) -> EventLog:
    """Make the run look as if this very process trained it."""
    record(run.job_folder("background"), os.getpid())
    run.manifest.update(state="running", stage="retrain")
    log = EventLog(run.training_folder)
    record(log.folder, os.getpid())
    return log


def test_the_time_is_estimated_from_timed_steps_and_the_length_of_the_filtered_text(
    open_page: OpenPage, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "measure_rate", lambda job, progress: Rate(10.0, 5.0, job.batch_size, 3))
    run = new_run("measure pruned")
    app = open_page("retrain", run)
    assert "About" not in words(app)
    labelled(app.number_input, "Max steps").set_value(0).run()
    labelled(app.number_input, "Batch size").set_value(2).run()
    fine(button(app, "Estimate the time").click().run())
    kept = run.status()["stages"]["filter"]["summary"]["kept"]["train"]
    steps = -(-kept // 2)
    messages = words(app)
    assert f"for {steps} steps" in messages
    assert "10 a second (measured in 3 steps)" in messages
    tokens = int(next(c.value for c in app.caption if "tokens at" in c.value).split(" tokens")[0].replace(",", ""))
    assert f"About {tokens / 10 + 5:.0f} s" in messages
    labelled(app.number_input, "Epochs").set_value(2.0).run()
    assert f"for {2 * steps} steps" in words(app)
    assert run.config.retraining.batch_size == 2


def test_adapters_and_what_else_saves_memory_reach_the_training(
    open_page: OpenPage, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    monkeypatch.setattr(timing, "measure_rate", lambda job, progress: jobs.append(job) or Rate(10.0, 5.0, 1, 3))
    run = new_run("measure pruned")
    app = open_page("retrain", run)
    labelled(app.selectbox, "What learns").set_value(16)
    labelled(app.selectbox, "Optimizer").set_value("adafactor")
    labelled(app.selectbox, "Number format").set_value("float32")
    assert "about ten times as large" not in words(app)
    labelled(app.toggle, "Compute blocks twice").set_value(True).run()
    assert "about ten times as large" in words(app)
    fine(button(app, "Estimate the time").click().run())
    (job,) = jobs
    assert (job.lora_rank, job.optimizer, job.dtype, job.gradient_checkpointing) == (16, "adafactor", "float32", True)
    assert labelled(open_page("retrain", run).selectbox, "What learns").value == 16


def test_the_time_of_an_earlier_training_is_remembered_and_the_queue_is_told_of(
    open_page: OpenPage, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run("report")
    with hold_device("cpu", tmp_path / "other" / "retraining", waiting=lambda before: None, should_stop=never):
        app = open_page("retrain", run)
    fine(app)
    messages = words(app)
    assert "for 4 steps" in messages
    assert "as it went in this run before" in messages
    assert "Another retraining is running on this machine" in messages
    assert [len(spec["data"]) for spec in (chart(app, 0), chart(app, 1))] == [3, 4]
    # Before the first step and after the last one.
    assert [len(line["x"]) for line in chart(app, 1)["data"] if line["mode"] == "lines+markers"] == [2, 2]
    assert len(chart(app, 1)["layout"]["shapes"]) == 2
    assert "Before the first step" in messages
    assert "After step 4" in messages
    # Whether it is measured on the way decides nothing: the training is not to be done again for it.
    config = run.config
    config.retraining.measure_while_learning = False
    run.save_config(config)
    again = open_page("retrain", run)
    assert any("finished and measured" in message.value for message in again.success)
    assert not labelled(again.toggle, "Measure and write while it learns").value
    assert "Another retraining" not in words(again)


def test_a_training_that_waits_says_so_and_can_be_stopped(open_page: OpenPage, new_run: NewRun, tmp_path: Path) -> None:
    run = new_run("measure pruned")
    log = at_work(run)
    log.state("queued", "Waiting: another retraining is running.", ahead=2, step=0, total_steps=None)
    app = fine(open_page("retrain", run))
    assert "Waiting for its turn" in words(app)
    assert "Number 3 in the queue" in words(app)
    button(app, "Stop").click().run()
    assert (log.folder / STOP_FILE).exists()
    assert "Stopping" in words(app)


def test_curves_and_samples_are_shown_while_it_learns(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("measure pruned")
    log = at_work(run)
    log.state("running", step=0, total_steps=40)
    for step, text in ((0, " the of"), (20, " was a chair")):
        log.event("measure", step=step, total_steps=40, concept_nll=5.0, retain_nll=4.0, concept_nll_stderr=0.1)
        log.event("sample", step=step, prompt="The", text=text)
        quiz = [
            {"prompt": "Q: What is a sofa? A:", "about": "concept", "answer": "A seat.", "right": step == 0},
            {"prompt": "Q: What is a bed? A:", "about": "neighbour", "answer": "To sleep in.", "right": True},
        ]
        log.event("quiz", step=step, total_steps=40, answers=quiz)
    log.event("train", step=20, loss=3.5)
    log.step(step=20, loss=3.5, tokens_per_second=100.0, eta_seconds=12.0)
    app = fine(open_page("retrain", run))
    messages = words(app)
    assert "After step 20" in messages
    assert ":orange-background[**chair**]" in messages
    assert [(line["name"], line["y"]) for line in chart(app, 2)["data"]] == [
        ("about seats", [1, 0]), ("about neighbours", [1, 1]),
    ]  # fmt: skip
    folded = [one.label for one in app.expander]
    assert "About seats it answers 0 of 1" in folded
    assert ":red[:material/close:] What is a sofa" in messages.replace("\\", "")
    assert [line["name"] for line in chart(app, 0)["data"]] == ["each step", "training, smoothed"]
    lines = [line for line in chart(app, 1)["data"] if line["mode"] == "lines+markers"]
    assert [line["name"] for line in lines] == ["concept words", "other text"]
    assert not any("error_y" in line for line in chart(app, 1)["data"])


def test_curves_of_an_earlier_retraining_are_told_to_be_that(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("report")
    said = "of an earlier retraining"
    app = open_page("retrain", run)
    assert chart(app, 0)
    assert said not in words(app)
    retraining = run.config.retraining.model_copy(update={"learning_rate": 2 * run.config.retraining.learning_rate})
    run.save_config(run.config.model_copy(update={"retraining": retraining}))
    app = open_page("retrain", run)
    assert chart(app, 0)
    assert said in words(app)


@pytest.mark.parametrize(("parameters", "preset", "rate"), [(3_500_000, "Strong", 1e-3), (135_000_000, "Usual", 3e-5)])
def test_learning_rates_to_choose_from_fit_the_size_of_the_model(
    open_page: OpenPage, new_run: NewRun, monkeypatch: pytest.MonkeyPatch, parameters: int, preset: str, rate: float
) -> None:
    monkeypatch.setattr(background, "start", lambda *args, **kwargs: 0)
    run = new_run("measure pruned", retraining={"learning_rate": 2.5e-4})
    run.write_note("model", (run.note("model") or {}) | {"parameters": parameters})
    app = open_page("retrain", run)
    choice = labelled(app.segmented_control, "Learning rate")
    assert choice.value == OWN
    assert labelled(app.text_input, "Own learning rate").value == "2.5e-4"
    choice.set_value(preset).run()
    fine(button(app, "Start the retraining").click().run())
    assert run.config.retraining.learning_rate == rate
