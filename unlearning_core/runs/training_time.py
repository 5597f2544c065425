"""How long the retraining of a run will take, told before it is started."""

from dataclasses import asdict, dataclass
from typing import cast

from unlearning_core.config.schema import RetrainingSection
from unlearning_core.jobs.device_queue import Ticket, all_queues
from unlearning_core.jobs.status import status
from unlearning_core.methods.registry import METHODS
from unlearning_core.methods.retrain import training_job
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import execute
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.method import method_input, parameters_of
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.rate import Rate, conditions, remembered

NOTE = "rate"
"""What was measured for this run's model before it was ever trained, with the conditions it was measured under."""

_RUNS = 200
"""The newest runs whose trainings are looked at."""


def known_rate(run: Run, batch_size: int) -> Rate | None:
    """How fast models of this shape were trained here before: in this run, in another one, or measured for it."""
    wanted = _conditions(run)
    others = [other for other in list_runs(run.folder.parent)[:_RUNS] if other.id != run.id]
    rate = remembered([other.training_folder for other in (run, *others)], wanted, batch_size)
    if rate is not None and rate.batch_size == batch_size:
        return rate
    measured = run.note(NOTE) or {}
    if measured.get("conditions") == wanted and (rate is None or measured["rate"]["batch_size"] == batch_size):
        return Rate(**measured["rate"])
    return rate


def prepare_estimate(run: Run, progress: ProgressCallback = silent) -> None:
    """Filter the text, which tells how long it is, and time a few steps where no earlier training tells the rate.

    Raises:
        InputError: the text cannot be used, or another retraining is running on the device.
        Stopped: `progress` raised it.
        WorkFailed: the timing failed.
    """
    from unlearning_core.training.rate import measure_rate

    execute(run, progress, until="filter", context=RunContext(run, progress))
    if known_rate(run, run.config.retraining.batch_size) is None:
        rate = measure_rate(job_of(run), progress)
        run.write_note(NOTE, {"conditions": _conditions(run), "rate": asdict(rate)})


def job_of(run: Run) -> TrainingJob:
    """The retraining that the settings of the run ask for."""
    context, method = RunContext(run), METHODS["retrain"]
    parameters = cast("RetrainingSection", parameters_of(method, context))
    return training_job(method_input(method, context, run.work_folder("estimate")), parameters)


def training_lengths(run: Run, max_length: int | None) -> list[int]:
    """Tokens of each sequence of the filtered text, as the training will read it.

    Raises:
        InputError: the text has not been filtered, or `max_length` is more than the model reads.
    """
    from transformers import AutoConfig, AutoTokenizer

    from unlearning_core.concepts.texts import read_texts
    from unlearning_core.training.sequences import longest_sequence, tokenise

    model, text = job_of(run).model_folder, run.training_text() / "train"
    config = AutoConfig.from_pretrained(model, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    length = longest_sequence(config.get_text_config(), max_length)
    return tokenise(read_texts(str(text)), tokenizer, length, str(text)).lengths


def seconds_after(run: Run) -> float:
    """What measuring the retrained model will take, by what the pruned one took."""
    stages = run.status()["stages"]
    before = method_input(METHODS["retrain"], RunContext(run), run.folder).before
    names = (f"measure {before}", f"distance {before}")
    return float(sum(stages.get(name, {}).get("seconds") or 0.0 for name in names))


def steps_done(run: Run, steps: int) -> int:
    """How many of so many steps a stopped training has behind it; 0 if it has another length or no checkpoint."""
    folder = run.training_folder
    told = status(folder).progress
    return told.step if told and told.total_steps == steps and any(folder.glob("checkpoints/checkpoint-*")) else 0


@dataclass(frozen=True)
class Queue:
    """The trainings that run and wait on this machine.

    Attributes:
        runs: the run of each, by its id.
        seconds_left: of the one that runs, or None while it does not know.
    """

    runs: tuple[str, ...]
    seconds_left: float | None


def queue_here(without: Run) -> Queue | None:
    """Who comes first if a training were started now; None if nobody. The run's own is not counted."""
    own = without.training_folder.resolve()
    return _queue([ticket for tickets in all_queues().values() for ticket in tickets if ticket.folder != own])


def queue_of(pid: int | None) -> Queue | None:
    """Who comes before the process `pid` in its line; None if nobody."""
    for tickets in all_queues().values():
        pids = [ticket.pid for ticket in tickets]
        if pid in pids:
            return _queue(tickets[: pids.index(pid)])
    return None


def _queue(tickets: list[Ticket]) -> Queue | None:
    if not tickets:
        return None
    first = status(tickets[0].folder).progress
    return Queue(tuple(ticket.folder.parent.name for ticket in tickets), first.eta_seconds if first else None)


def _conditions(run: Run) -> dict[str, str]:
    job = job_of(run)
    return conditions(job.model_folder, job.device, "auto", job.pace)
