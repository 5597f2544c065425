"""Events and status can be read at any moment, also half-written, and a resumed curve holds each step once."""

import json
from pathlib import Path

from unlearning_core.jobs.events import EVENTS_FILE, STATUS_FILE, EventLog, loss_curve, read_events


def test_half_written_line_is_left_for_later_and_does_not_swallow_the_next(tmp_path: Path) -> None:
    EventLog(tmp_path).event("train", step=1, loss=2.0)
    whole = (tmp_path / EVENTS_FILE).read_bytes()
    with (tmp_path / EVENTS_FILE).open("ab") as file:
        file.write(whole[: len(whole) // 2])
    assert [event["step"] for event in read_events(tmp_path)] == [1]
    EventLog(tmp_path).event("train", step=2, loss=1.0)
    assert [event["step"] for event in read_events(tmp_path)] == [1, 2]


def test_curve_drops_the_steps_that_were_done_again(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.state("running", step=0)
    for step in (1, 2, 3, 4):
        log.event("train", step=step, loss=float(step))
    log.event("eval", step=4, loss=9.0)
    log.state("running", step=2)
    log.event("train", step=3, loss=30.0)
    assert [(point["step"], point["loss"]) for point in loss_curve(tmp_path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert loss_curve(tmp_path, "eval") == []


def test_state_is_written_at_once_and_steps_are_kept_for_the_next_write(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.state("running", step=0, total_steps=9)
    log.step(step=7)
    log.state("stopped", "why")
    status = json.loads((tmp_path / STATUS_FILE).read_text())
    assert (status["state"], status["message"], status["step"], status["total_steps"]) == ("stopped", "why", 7, 9)


def test_silent_log_writes_nothing(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "run", silent=True)
    log.state("running", step=0)
    log.event("train", step=1)
    assert not (tmp_path / "run").exists()
