"""The worker process: watched, stopped, killed, resumed, started twice, out of disk, and two sharing one training."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from safetensors import safe_open

from tests.integration.retraining_case import ROOT, largest_difference, launched, make_job, pruned, run_python
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import read_object, write_json
from unlearning_core.jobs.process import request_stop, wait
from unlearning_core.jobs.status import JobStatus, status, tail
from unlearning_core.jobs.stopping import STOP_FILE
from unlearning_core.progress import Progress
from unlearning_core.training.checkpoints import MARKER
from unlearning_core.training.job import TrainingJob, start
from unlearning_core.training.train import train

ENDLESS = 1_000_000


def until(happened: Callable[[], object], seconds: float = 800.0) -> None:
    """Wait for what is sure to come; fail loudly if it does not."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def steps(found: JobStatus) -> int:
    """Steps done, 0 before the first is told."""
    return found.progress.step if found.progress else 0


def checkpoints(job: TrainingJob) -> list[Path]:
    return [path for path in job.checkpoints.glob("checkpoint-*") if (path / MARKER).is_file()]


def test_worker_trains_and_its_steps_are_told(tmp_path: Path) -> None:
    pruned(tmp_path)
    told: list[Progress] = []
    job = make_job(tmp_path)
    assert status(job.folder).state == "absent"
    handle = start(job)
    result = wait(handle, told.append)
    assert result["steps"] == told[-1].done == told[-1].total == 12
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    end = status(job.folder)
    assert (end.state, end.exit_code, end.result) == ("finished", 0, result)
    train(job.model_copy(update={"output_folder": str(tmp_path / "here")}))
    assert largest_difference(job.final_folder, tmp_path / "here" / "model") < 1e-5
    # It was waited for: a zombie would still have its pid.
    assert not psutil.pid_exists(handle.pid) or psutil.Process(handle.pid).ppid() != os.getpid()


def test_stop_of_the_listener_stops_the_worker_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, max_steps=ENDLESS)

    def enough(progress: Progress) -> None:
        if progress.done >= 3:
            raise Stopped("enough")

    handle = start(job)
    with pytest.raises(Stopped, match=r"stopped at step \d+ of 1000000; a checkpoint is kept"):
        wait(handle, enough)
    assert status(job.folder).state == "stopped"
    assert len(checkpoints(job)) == 1
    assert not job.final_folder.exists()


def test_second_worker_in_the_same_folder_is_refused_and_sigterm_stops_the_first(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, max_steps=ENDLESS)
    handle = start(job)
    with pytest.raises(InputError, match=f"running already .process {handle.pid}."):
        start(job)
    until(lambda: steps(status(job.folder)) > 2)
    os.kill(handle.pid, signal.SIGTERM)
    with pytest.raises(Stopped, match="a checkpoint is kept"):
        wait(handle)
    assert len(checkpoints(job)) == 1


def test_killed_worker_is_noticed_and_its_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, max_steps=150, checkpoint_every=2, learning_rate=1e-4)
    handle = start(job)
    until(lambda: bool(checkpoints(job)))
    os.kill(handle.pid, signal.SIGKILL)
    with pytest.raises(WorkFailed, match=r"died at step \d+ \(killed; often for want of memory") as died:
        wait(handle)
    assert tail(job.folder, 1)[0] in str(died.value).replace("\\'", "'")
    assert status(job.folder).exit_code == -9
    result = wait(start(job))
    assert result["resumed_from"] >= 2
    train(job.model_copy(update={"output_folder": str(tmp_path / "whole")}))
    assert largest_difference(job.final_folder, tmp_path / "whole" / "model") < 1e-5


def test_worker_outlives_its_parent_and_can_still_be_watched_and_stopped(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, max_steps=ENDLESS)
    write_json(tmp_path / "job.json", job.values())
    program = (
        "import json, sys; from unlearning_core.training.job import TrainingJob, start;"
        "print(start(TrainingJob(**json.load(open(sys.argv[1])))).pid)"
    )
    parent = run_python("-c", program, tmp_path / "job.json")
    until(lambda: steps(status(job.folder)) > 2)
    found = status(job.folder)
    assert found.live
    assert found.pid == int(parent.stdout)
    request_stop(job.folder)
    until(lambda: not status(job.folder).live)
    assert status(job.folder).state == "stopped"


def test_first_ctrl_c_asks_the_worker_to_stop_and_a_second_one_kills_it(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, max_steps=ENDLESS)
    write_json(tmp_path / "job.json", job.values())
    program = (
        "import json, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from unlearning_core.errors import Stopped; from unlearning_core.jobs.process import wait;"
        "from unlearning_core.training.job import TrainingJob, start;"
        "handle = start(TrainingJob(**json.load(open(sys.argv[1]))))\n"
        "try: wait(handle, lambda update: update.done and print(handle.pid, flush=True))\n"
        "except Stopped as error: print(error)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "job.json")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        # It hangs: it will never get to look whether it is to stop.
        worker.suspend()
        parent.send_signal(signal.SIGINT)
        until(lambda: (job.folder / STOP_FILE).exists())
        assert worker.is_running()
        parent.send_signal(signal.SIGINT)
        said, _ = parent.communicate(timeout=800)
    assert "broken off at once" in said
    assert not worker.is_running()
    assert status(job.folder).state == "failed"


def test_mistake_found_by_the_worker_reaches_the_parent_as_a_mistake(tmp_path: Path) -> None:
    pruned(tmp_path)
    handle = start(make_job(tmp_path, recipe_folder=tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"recipe\.json is missing"):
        wait(handle)
    assert status(handle.folder).exit_code == 2


def test_full_disk_is_a_sentence_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on the size of a file stands in for the full disk: the model fits in, the optimizer's state does not."""
    pruned(tmp_path)
    job = make_job(tmp_path, checkpoint_every=2)
    target = {"target": "unlearning_core.training.train:train_job", "title": "retraining", "values": job.values()}
    write_json(job.folder / "job.json", target)
    limit = int((tmp_path / "pruned/model.safetensors").stat().st_size * 1.2)
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "import sys; from pathlib import Path; from unlearning_core.jobs.worker import main; "
        "sys.exit(main(Path(sys.argv[1])))"
    )
    ended = run_python("-c", program, job.folder)
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith(f"The disk is full: {job.checkpoints / 'checkpoint-2'}")
    assert "Traceback" not in ended.stderr
    assert not list(job.checkpoints.glob("checkpoint-*"))
    assert read_object(job.folder / "status.json")["state"] == "failed"
    assert train(job)["steps"] == 12


@pytest.mark.parametrize("launcher", ["accelerate.commands.launch", "torch.distributed.run"])
def test_two_processes_share_a_training_and_end_with_the_weights_of_one(tmp_path: Path, launcher: str) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, validation_path=tmp_path / "validation.json", prompts=("the cat",))
    program, port = launched(tmp_path, job)
    # With --cpu, accelerate starts a single process whatever --num_processes says; without a card this is gloo, too.
    arguments = {
        "accelerate.commands.launch": [
            *("--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"),
            *("--dynamo_backend", "no", "--main_process_port", port),
        ],
        "torch.distributed.run": ["--nproc_per_node", "2", "--master_port", port],
    }[launcher]
    ended = run_python("-m", launcher, *arguments, *program)
    assert ended.returncode == 0, ended.stderr[-3000:]
    alone = train(job.model_copy(update={"output_folder": str(tmp_path / "alone")}))
    shared = read_object(job.final_folder / "retraining.json")
    assert (shared["processes"], alone["processes"]) == (2, 1)
    assert largest_difference(job.final_folder, tmp_path / "alone" / "model") < 1e-5
    assert shared["eval_loss_after"] == pytest.approx(alone["eval_loss_after"], abs=1e-5)
    assert shared["tokens"] == alone["tokens"]
    with safe_open(job.final_folder / "model.safetensors", framework="np") as file:
        assert len(list(file.keys())) > 10
    assert not [path.name for path in job.folder.iterdir() if path.name.startswith(".")]
