"""An estimate before a training, against the training itself."""

from pathlib import Path

import pytest

from tests.integration.retraining_case import make_job, pruned, weights
from tests.integration.test_learning import probed
from unlearning_core.errors import InputError
from unlearning_core.jobs.device_queue import hold_device
from unlearning_core.jobs.stopping import never
from unlearning_core.training.data import load_data
from unlearning_core.training.rate import conditions, estimate, measure_rate, rate_of
from unlearning_core.training.train import time_steps, train


def test_a_measured_rate_changes_nothing_and_the_estimate_counts_what_the_training_then_reads(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, validation_path=tmp_path / "validation.json", **probed(tmp_path))
    before = weights(tmp_path / "pruned")
    rate = measure_rate(job)
    assert not job.folder.exists()
    assert all((weights(tmp_path / "pruned")[name] == value).all() for name, value in before.items())
    assert rate.steps == 3
    assert rate.tokens_per_second > 0
    expected = estimate(
        load_data(job).train.lengths, batch_size=job.batch_size, epochs=job.epochs, max_steps=None, rate=rate
    )
    figures = train(job)
    assert (expected.steps, expected.tokens) == (figures["steps"], figures["tokens"])
    known = rate_of(job.folder, conditions(job.model_folder, "cpu", figures["precision"]))
    assert known is not None
    # The training's own figure counts its first step too, which is slower.
    assert known.tokens_per_second > 0.5 * figures["tokens_per_second"]


def test_while_another_training_has_the_device_nothing_is_measured(tmp_path: Path) -> None:
    pruned(tmp_path)
    with (
        hold_device("cpu", tmp_path, waiting=lambda before: None, should_stop=never),
        pytest.raises(InputError, match="Another retraining is running on this device"),
    ):
        time_steps(make_job(tmp_path))
