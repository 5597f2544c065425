"""Well-known benchmarks, measured by EleutherAI's lm-evaluation-harness (`lm-eval`, an extra) on a model in memory.

Prompts, scoring and standard errors are the harness's own, with its default seeds, so that figures can be held against
those that others publish: https://github.com/EleutherAI/lm-evaluation-harness. No chat template is applied. Of metrics
that have no closed standard error it is bootstrapped.
"""

import contextlib
import copy
import difflib
import importlib.util
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from unlearning_core.errors import InputError, WorkbenchError
from unlearning_core.evaluation.suite import Frames
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

    from unlearning_core.models.loading import LoadedModel

BATCH = 8
"""Requests that are read at once."""

RESAMPLES = 1000
"""Of a bootstrapped standard error."""

INSTALL = "pip install lm-eval (in a checkout: pip install --no-deps -r requirements-benchmarks.txt)"

LIST = "https://github.com/EleutherAI/lm-evaluation-harness/tree/main/lm_eval/tasks"


class Harness:
    """The harness with its tasks, and those of a person's own folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Loads no model and no task.

        Args:
            folder: of further tasks, each a YAML file as the harness reads it. Python files that these name are run.

        Raises:
            InputError: the harness is not installed, or there is no such folder.
        """
        if importlib.util.find_spec("lm_eval") is None:
            raise InputError(
                f"Benchmarks need EleutherAI's lm-evaluation-harness, which is not installed. Install it: {INSTALL}"
            )
        if folder is not None and not folder.is_dir():
            raise InputError(
                f"--task-folder is {folder}, which is no folder. Give the folder of your tasks' YAML files."
            )
        self.folder = folder

    @property
    def version(self) -> str:
        """Of the harness."""
        return version("lm-eval")

    @cached_property
    def _own(self) -> Any:
        """The tasks of the person's folder, which take no time to list."""
        from lm_eval.tasks import TaskManager

        return None if self.folder is None else TaskManager(include_path=str(self.folder), include_defaults=False)

    @cached_property
    def _all(self) -> Any:
        """Every task there is: thousands of files are read."""
        from lm_eval.tasks import TaskManager

        return TaskManager(include_path=None if self.folder is None else str(self.folder))

    def is_own(self, name: str) -> bool:
        """Whether a task, group or tag of that name is in the person's folder."""
        return self._own is not None and name in self._own.all_tasks

    def _manager(self, name: str) -> Any:
        """Who knows the task; a group of the person's folder may name tasks that are not in it."""
        if not self.is_own(name):
            return self._all
        members = (self._own.task_index[name].cfg or {}).get("task")
        here = not isinstance(members, list) or all(map(self._own.all_tasks.__contains__, members))
        return self._own if here else self._all

    def load(self, name: str) -> dict[str, Any]:
        """The tasks of a task, group or tag by name, with their examples.

        Raises:
            InputError: there is none of that name, its examples cannot be had, it runs code that a model wrote, or it
                needs more than text.
        """
        manager = self._manager(name)
        if name not in manager.all_tasks:
            close = difflib.get_close_matches(name, manager.all_tasks, n=3, cutoff=0.6)
            hint = f"Did you mean {', '.join(close)}?" if close else f"What there is: {LIST}"
            raise InputError(f"--tasks: the harness (lm-eval {self.version}) has no task {name!r}. {hint}")
        try:
            with _quiet():
                found: dict[str, Any] = manager.load([name])["tasks"]
            for task in found.values():
                if len(task.eval_docs) == 0:
                    raise ValueError(f"{task.task_name} has no examples")
                _check(task)
            return found
        except WorkbenchError:
            raise
        except Exception as error:
            raise _not_loaded(name, error) from error

    def sources(self, name: str) -> list[Path]:
        """Files on this machine that a task of the person's folder is made of: that folder's, and its examples'.

        Raises:
            InputError: as `load`.
        """
        assert self.folder is not None
        named: list[str] = []
        for task in self.load(name).values():
            given = (task.config.dataset_kwargs or {}).get("data_files", {})
            named += _flat([task.config.dataset_path, given])
        places = [self.folder, *(Path(place) for place in named if place)]
        files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
        return sorted({file.resolve() for file in files if file.is_file() and "__pycache__" not in file.parts})

    def measure(
        self,
        name: str,
        loaded: "LoadedModel",
        *,
        limit: int | None = None,
        shots: int | None = None,
        title: str = "",
        progress: ProgressCallback = silent,
    ) -> Frames:
        """What a model scores in a task, or in every task of a group or tag.

        Args:
            limit: examples of each task, the first ones; None: all.
            shots: solved examples before each question; None: as the task has it.
            title: what `progress` is told that is being done.
            progress: told before every batch.

        Returns:
            `scores`, a row a task, metric and filter: value, stderr (NaN where the harness has none), examples, of (how
            many the task has), better ("higher", "lower" or ""), version, shots, and members (of a group its tasks,
            with spaces between them; "" for a task). `samples`, a row an example of each metric that has a number or a
            (number, weight) an example: task, metric, filter, example (its place and the hash of its content), value,
            weight.

        Raises:
            InputError: as `load`.
        """
        from lm_eval.evaluator import simple_evaluate

        self.load(name)
        model = _told(loaded, title or name, progress)
        with _quiet(), _one_process():
            found = simple_evaluate(
                model,
                tasks=[name],
                task_manager=self._manager(name),
                limit=limit,
                num_fewshot=shots,
                bootstrap_iters=RESAMPLES,
                log_samples=True,
            )
        return {"scores": _scores(found), "samples": _samples(found["samples"])}


def _flat(value: Any) -> list[str]:
    """The names in a setting that is one, a list of them, or lists by split."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [name for one in value or () for name in _flat(one)] if isinstance(value, Iterable) else []


def _check(task: Any) -> None:
    if getattr(task, "UNSAFE_CODE", False) or getattr(task, "MULTIMODAL", False):
        what = "runs code that a model wrote" if getattr(task, "UNSAFE_CODE", False) else "needs pictures or sound"
        raise InputError(f"--tasks: {task.task_name} {what}, which this program does not do. Leave it out.")


def _not_loaded(name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    advice = "See that its files are whole and its packages installed, or leave it out."
    if isinstance(error, ConnectionError):
        advice = (
            "Its examples are on the Hub: connect to it (HF_HUB_OFFLINE unset) once, then they are on this machine."
        )
    elif isinstance(error, ModuleNotFoundError):
        advice = f"Install {error.name}, or leave the task out."
    return InputError(f"--tasks: {name} cannot be loaded ({reason}). {advice}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The harness draws its bars on standard error; ours keeps the stream that it began with."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _one_process() -> Iterator[None]:
    """Standard errors are bootstrapped here, not in one process a core, each with a copy of the model."""
    before = os.environ.get("DISABLE_MULTIPROC")
    os.environ["DISABLE_MULTIPROC"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["DISABLE_MULTIPROC"]
        else:
            os.environ["DISABLE_MULTIPROC"] = before


def _told(loaded: "LoadedModel", title: str, progress: ProgressCallback) -> "HFLM":
    """The model as the harness takes it, which tells `progress` how many requests are read."""
    from lm_eval.models.huggingface import HFLM

    class Told(HFLM):
        done = total = 0

        def _count(self, requests: Sequence[Any]) -> None:
            self.done, self.total = 0, len(requests)

        def _tell(self, number: int) -> None:
            progress(Progress(title, min(self.done, self.total), self.total, "requests"))
            self.done += number

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            self._count(requests)
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
            self._count(requests)
            return super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
            self._count(requests)
            return super().generate_until(requests, disable_tqdm=disable_tqdm)

        def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
            self._tell(len(inps))
            return super()._model_call(inps, *args, **kwargs)

        def _model_generate(self, context: Any, *args: Any, **kwargs: Any) -> Any:
            self._tell(len(context))
            return super()._model_generate(context, *args, **kwargs)

    # It gives the tokenizer a pad token where it has none; the one in memory may be shared.
    return Told(pretrained=loaded.model, tokenizer=copy.deepcopy(loaded.tokenizer), batch_size=BATCH)


def _scores(found: Mapping[str, Any]) -> pd.DataFrame:
    members = {group: _members(group, found["group_subtasks"]) for group in found.get("groups", {})}
    rows = []
    for task, values in {**found["results"], **found.get("groups", {})}.items():
        for key, value in values.items():
            metric, _, kept = key.partition(",")
            if not kept or metric.endswith("_stderr") or isinstance(value, str):
                continue
            of = [found["n-samples"][one] for one in members.get(task, [task])]
            first = members.get(task, [task])[0]
            better = found["higher_is_better"].get(task, found["higher_is_better"].get(first, {})).get(metric)
            rows.append(
                {
                    "task": task,
                    "metric": metric,
                    "filter": kept,
                    "value": float(value),
                    "stderr": _number(values.get(f"{metric}_stderr,{kept}")),
                    "examples": sum(one["effective"] for one in of),
                    "of": sum(one["original"] for one in of),
                    "better": {True: "higher", False: "lower"}.get(better, ""),
                    "version": str(found["versions"].get(task) or ""),
                    "shots": int(found["n-shot"].get(first) or 0),
                    "members": " ".join(members.get(task, [])),
                }
            )
    return pd.DataFrame(rows)


def _members(group: str, children: Mapping[str, Sequence[str]]) -> list[str]:
    """The tasks of a group and of the groups in it."""
    return [leaf for one in children[group] for leaf in (_members(one, children) if one in children else [one])]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _samples(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    rows = []
    for task, samples in found.items():
        for sample in samples:
            for metric in sample["metrics"]:
                value, weight = sample[metric], math.nan
                if isinstance(value, tuple | list) and len(value) == 2:
                    value, weight = value
                try:
                    pair = float(value), float(weight)
                except (TypeError, ValueError):  # a metric of the whole set, such as BLEU: nothing by example
                    continue
                example = f"{sample['doc_id']} {sample['doc_hash'][:16]}"
                rows.append((task, metric, sample["filter"], example, *pair))
    return pd.DataFrame(rows, columns=["task", "metric", "filter", "example", "value", "weight"])
