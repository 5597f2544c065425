"""Bringing a run up to date from a page: here under a bar, or in a process of its own that outlives the page."""

from collections.abc import Collection
from contextlib import nullcontext
from typing import Any

from pages.components import visitor
from pages.components.model_cache import base_model, forget_models
from unlearning_core.errors import InputError
from unlearning_core.jobs.status import status
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs import background, proof
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import execute
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning import job as tuning


def refuse_if_busy(run: Run) -> None:
    """Raises InputError while a process in the background works on the run."""
    if background.is_running(run):
        raise InputError("This run is being retrained at the moment. Wait for it, or stop it on the Retrain page.")
    if proof.is_running(run):
        raise InputError("This run is being checked at the moment. Wait for it, or stop it on the Proof page.")
    if tuning.is_running(run):
        raise InputError("This run's settings are being searched at the moment. Wait for it, or stop it on Prune.")


def bring_up_to_date(run: Run, until: str, progress: ProgressCallback, *, with_model: bool = True) -> None:
    """Run the stages through `until` that are not up to date, on the shared base model where they need one.

    Raises:
        InputError: a process in the background works on the run.
    """
    refuse_if_busy(run)
    with base_model(run, progress) if with_model else nullcontext() as base:
        execute(run, progress, until=until, context=RunContext(run, progress, base=base))


def go_on_in_background(run: Run) -> None:
    """Bring the run to its end in a process of its own.

    Raises:
        InputError: one is at work on it already, or a visitor may start no more.
    """
    limits = visitor.job_limits()
    # The process needs the memory that the dashboard's models would keep.
    forget_models()
    run.manifest.update(state="running", stage=None, message="")
    background.start(run, "report", limits)


def check_in_background(run: Run, parts: Collection[str] | None = None, *, quick: bool = False) -> None:
    """Evaluate the run in a process of its own; what is not made yet is made first.

    Raises:
        InputError: somebody works on the run already, or a visitor may start no more.
    """
    refuse_if_busy(run)
    limits = visitor.job_limits()
    forget_models()
    proof.start(run, parts, quick=quick, limits=limits)


def search_in_background(run: Run, minutes: float) -> None:
    """Search the settings of the run in a process of its own.

    Raises:
        InputError: somebody works on the run already, or a visitor may start no more.
    """
    refuse_if_busy(run)
    limits = visitor.job_limits()
    forget_models()
    tuning.start(run, 60 * minutes, limits)


def race_in_background(run: Run) -> None:
    """Let its last model and the one that never knew learn the concept again, in a process of its own.

    Raises:
        InputError: somebody works on the run already, or a visitor may start no more.
    """
    refuse_if_busy(run)
    limits = visitor.job_limits()
    forget_models()
    proof.start_race(run, limits)


def waiting_words(run: Run, job: str) -> str:
    """Why a background job has not begun: others of this server come first. Empty once it has."""
    found = status(run.job_folder(job))
    return found.message if found.state == "queued" else ""


def last_progress(run: Run) -> tuple[float, dict[str, Any]]:
    """What a process in the background last told of the run: the share that is done, and the event itself."""
    told = (event for event in reversed(list(run.events())) if event["kind"] in ("progress", "stage"))
    last: dict[str, Any] = next(told, {})
    return min(1.0, last["done"] / last["total"]) if last.get("total") else 0.0, last
