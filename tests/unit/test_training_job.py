"""A training job checks every figure, survives its file, and says what is wrong with one."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from unlearning_core.errors import InputError
from unlearning_core.training.job import TrainingJob


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", float("nan")),
        ("max_steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", 2),
        ("weight_decay", -0.1),
        ("batch_size", 0),
        ("batch_size", "8"),
        ("batch_size", True),
        ("max_length", 1),
        ("warmup_ratio", 1.0),
        ("seed", -1),
        ("eval_texts", None),
        ("measure_every", 0),
        ("measure_share", 1.5),
        ("dtype", "float16"),
        ("device", "tpu"),
    ],
)
def test_figure_out_of_range_is_named_with_its_value(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{field} is {value!r}"):
        TrainingJob("m", "t", "o", **{field: value})


def test_job_survives_its_file(tmp_path: Path) -> None:
    job = TrainingJob(tmp_path / "m", "t", "o", prompts=["Hello", "You"], max_steps=3, keep_pruned=False)
    job.save(tmp_path / "job.json")
    assert TrainingJob.load(tmp_path / "job.json") == job
    assert set(job.to_dict()) == {field.name for field in fields(TrainingJob)}


@pytest.mark.parametrize("content", ["", "[1]", '{"model_folder": "m"}', '{"bach_size": 3}'])
def test_file_that_is_no_job_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(InputError, match=r"job\.json"):
        TrainingJob.load(tmp_path / "job.json")
