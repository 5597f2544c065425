"""How fast earlier trainings went, and what follows for the next one: by arithmetic on made-up events."""

import json
from pathlib import Path
from typing import Any

import pytest

from unlearning_core.training.rate import Rate, conditions, estimate, rate_of, remembered

HERE = {"machine": "m", "model": "x", "device": "cpu", "threads": "2", "precision": "float32"}


def training(root: Path, name: str, *, batch_size: int = 4, speed: float = 100.0, steps: int = 5, **told: str) -> Path:
    """A folder whose events tell of steps of 200 tokens, after 10 s of loading, with 1.5 s between two steps."""
    folder = root / name / "retraining"
    folder.mkdir(parents=True)
    lines: list[dict[str, Any]] = [
        {"time": "2026-01-01T10:00:00.000+00:00", "kind": "status", "state": "starting"},
        {
            "time": "2026-01-01T10:00:10.000+00:00", "kind": "status", "state": "running", "step": 0,
            "conditions": HERE | told, "batch_size": batch_size,
        },
    ]  # fmt: skip
    for step in range(1, steps + 1):
        # The first step takes a minute more: it must not count in the rate.
        seconds = 60 + 200 * step / speed
        lines.append(
            {
                "time": "", "kind": "train", "step": step, "tokens": 200 * step, "seconds": seconds,
                "elapsed": seconds + 1.5 * step,
            }
        )  # fmt: skip
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def test_a_rate_is_that_of_the_steps_after_the_first_and_what_was_spent_beside_them(tmp_path: Path) -> None:
    rate = rate_of(training(tmp_path, "run"), HERE)
    assert rate is not None
    assert rate.tokens_per_second == pytest.approx(100.0)
    assert rate.beside_seconds == pytest.approx(10 + 5 * 1.5)
    assert (rate.steps, rate.batch_size, rate.source) == (4, 4, "run")


def test_of_a_training_that_was_stopped_and_went_on_the_last_session_counts(tmp_path: Path) -> None:
    folder = training(tmp_path, "run", speed=10.0)
    again = training(tmp_path, "again", speed=50.0)
    with (folder / "events.jsonl").open("a") as file:
        file.write((again / "events.jsonl").read_text())
    rate = rate_of(folder, HERE)
    assert rate is not None
    assert rate.tokens_per_second == pytest.approx(50.0)


@pytest.mark.parametrize("other", ["machine", "model", "device", "threads", "precision"])
def test_a_training_under_other_conditions_tells_nothing(tmp_path: Path, other: str) -> None:
    folder = training(tmp_path, "run", **{other: "another"})
    assert rate_of(folder, HERE) is None
    assert rate_of(folder, HERE | {other: "auto"}) is not None


def test_too_few_steps_tell_nothing_and_neither_does_an_empty_folder(tmp_path: Path) -> None:
    assert rate_of(training(tmp_path, "short", steps=2), HERE) is None
    assert rate_of(tmp_path, HERE) is None


def test_the_newest_with_as_many_texts_a_step_is_remembered_else_the_newest(tmp_path: Path) -> None:
    newest, middle, oldest = (
        training(tmp_path, name, batch_size=size, speed=speed)
        for name, size, speed in (("newest", 8, 80.0), ("middle", 4, 40.0), ("oldest", 4, 20.0))
    )
    found = [remembered([newest, middle, oldest], HERE, size) for size in (4, 16)]
    assert [rate and rate.source for rate in found] == ["middle", "newest"]
    assert remembered([], HERE, 4) is None


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps", "tokens"),
    [(1, None, 3, 100), (2.5, None, 8, 267), (1, 5, 5, 167), (0.1, None, 1, 33)],
)
def test_an_estimate_counts_the_tokens_of_the_steps(epochs: float, max_steps: int, steps: int, tokens: int) -> None:
    lengths = [11] * 10
    rate = Rate(tokens_per_second=20.0, beside_seconds=7.0, batch_size=4, steps=3)
    found = estimate(lengths, batch_size=4, epochs=epochs, max_steps=max_steps, rate=rate)
    assert (found.steps, found.tokens) == (steps, tokens)
    assert found.seconds == pytest.approx(tokens / 20.0 + 7.0)


def test_conditions_tell_models_apart_by_their_shape_and_not_by_where_they_lie(tmp_path: Path) -> None:
    def model(name: str, **values: Any) -> dict[str, str]:
        (tmp_path / name).mkdir()
        settings = {"model_type": "gpt2", "n_embd": 8, "_name_or_path": name} | values
        (tmp_path / name / "config.json").write_text(json.dumps(settings))
        return conditions(tmp_path / name, "cpu", "torch.float32")

    one, same, wider = model("one"), model("same"), model("wider", n_embd=16)
    assert one == same
    assert one["model"] != wider["model"]
    assert one["precision"] == "float32"
