"""A training job checks every value, survives JSON, and says what is wrong with one."""

import json
from pathlib import Path
from typing import Any

import pytest

from unlearning_core.errors import InputError
from unlearning_core.training.job import TrainingJob

PATHS = {"model_folder": "m", "train_path": "t", "output_folder": "o"}


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
        TrainingJob(**PATHS | {field: value})


def test_a_job_survives_json_with_absolute_paths_and_names_of_the_hub(tmp_path: Path) -> None:
    job = TrainingJob(**PATHS | {"model_folder": tmp_path / "m"}, prompts=["Hello", "You"], max_steps=3)
    again = TrainingJob(**json.loads(json.dumps(job.values())))
    assert (again.model_folder, again.prompts, again.max_steps) == (str(tmp_path / "m"), ("Hello", "You"), 3)
    assert (again.train_path, again.output_folder) == ("t", str(Path("o").resolve()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_folder": "m"}, "train_path is missing"),
        (PATHS | {"bach_size": 3}, "no field 'bach_size'; remove it"),
        (PATHS | {"model_folder": 3}, "model_folder is 3"),
        (
            PATHS | {"learning_rate": 2.0},
            r"^learning_rate is 2\.0; expected more than 0 and at most 1 \(5e-5 is usual\)\. Change it and start the "
            r"retraining again\.$",
        ),
    ],
)
def test_what_is_wrong_with_a_field_is_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingJob(**values)
