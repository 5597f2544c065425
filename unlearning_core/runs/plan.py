"""What a run would do, take and write, told before anything is written: `unlearn run --dry-run`."""

import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from unlearning_core.concepts.labelling import LabelledSet
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.evaluation.prompts import TAKEN
from unlearning_core.methods.registry import methods_of
from unlearning_core.methods.retrain import passes
from unlearning_core.models.devices import available, choose_device
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.rankers.registry import get_ranker
from unlearning_core.runs.checks import WITHOUT_MODEL, check_model, check_never_knew, check_settings
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pace import Pace, measure_pace
from unlearning_core.runs.pipeline import PLANNED, find_run, pending
from unlearning_core.runs.room import check_disk, check_memory, disk_needed, memory_needed
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.label import labelled_source
from unlearning_core.runs.stages.registry import stages_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from unlearning_core.models.inspection import ModelInfo

_COUNTED = 50_000_000
"""Bytes of text up to which it is read to count sentences; of more, and of datasets on the Hub, the most is told."""

_EARLIER = 200
"""The newest runs that are asked how long a stage took."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage: what it does, how long it takes (None: not known; from where), bytes that it writes at most."""

    name: str
    title: str
    seconds: float | None
    source: str
    writes: int


@dataclass(frozen=True)
class Plan:
    """A run that has not begun.

    Attributes:
        known: the run that would be gone on with, or None for a new one.
        model: what would be loaded; None where nothing that is left to do needs it, and it is not there.
        cut: neurons that are cut; 0 where a search finds how many, or none are.
        labelled: sentences with and without the concept; None where they were not counted.
        duplicates: sentences that are left out because an equal one came before.
        missing: concept words that never occur in them.
        texts: first texts of each source, by the setting's name.
        stages: those with work to do.
        memory: bytes that it takes at most, of weights, gradients and optimizer; what a batch takes is not in it.
        memory_free, disk_free: bytes.
    """

    known: Run | None
    model: "ModelInfo | None"
    cut: int
    labelled: tuple[int, int] | None
    duplicates: int
    missing: list[str]
    texts: dict[str, list[str]]
    stages: list[PlannedStage]
    memory: int
    memory_free: int
    disk_free: int

    @property
    def disk(self) -> int:
        """Bytes that it writes at most."""
        return sum(stage.writes for stage in self.stages) + (self.model.download_bytes if self.model else 0)

    @property
    def seconds(self) -> float | None:
        """All stages together; None where one of them is not known."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(self.stages) else None


def plan(config: ExperimentConfig, root: Path, progress: ProgressCallback = silent) -> Plan:
    """Check a run as its start does, and tell what it takes; nothing is written.

    Times come from earlier runs under `root` with the same model and settings of the stage; where there is none, the
    model is timed, if it is on this machine, for two seconds.

    Raises:
        InputError: something in the settings cannot be used.
        WorkFailed: there is not enough disk space.
    """
    get_ranker(config.neural_probing.ranker).check(config.neural_probing.ranker_parameters)
    methods_of(config)
    known = find_run(config, root)
    run = known or Run(root / PLANNED)
    context = RunContext(run, progress, config=config)
    names = pending(context, stages_of(config))
    stages = [stage for stage in stages_of(config) if stage.name in names]
    texts = check_settings(context, names)
    if any(name.startswith("distance ") for name in names):
        check_never_knew(config)
    info = _model_facts(context, names)
    cut, disk, memory = 0, dict[str, int](), 0
    if info is not None:
        cut = check_model(config, info, _tokenizer(context) if info.download_bytes == 0 else None)
        disk = disk_needed(config, names, info.bytes_in_memory, info.parameters)
        check_disk(root, disk)
        check_memory(config, names, info.parameters)
        memory = max(info.bytes_in_memory, memory_needed(config, names, info.parameters))
    labelled = labelled_source(context) if _countable(context) else None
    timed = any(_earlier(config, name, root) is None for name in names if name not in WITHOUT_MODEL)
    pace = None
    if timed and info is not None and _is_at_hand(context, info) and (sample := _sample(labelled, texts)):
        pace = measure_pace(context.ranked_base(), sample)
    place = next(parent for parent in (root.absolute(), *root.absolute().parents) if parent.exists())
    planned = []
    for stage in stages:
        seconds, source = _seconds(context, stage.name, labelled, pace, root)
        planned.append(PlannedStage(stage.name, stage.title, seconds, source, disk.get(stage.name, 0)))
    return Plan(
        known=known,
        model=info,
        cut=cut,
        labelled=None if labelled is None else (len(labelled.with_concept), len(labelled.without)),
        duplicates=0 if labelled is None else labelled.duplicates,
        missing=[] if labelled is None else labelled.missing,
        texts=texts,
        stages=planned,
        memory=memory,
        memory_free=available(choose_device(config.base_model.device)),
        disk_free=shutil.disk_usage(place).free,
    )


def _model_facts(context: RunContext, names: Sequence[str]) -> "ModelInfo | None":
    try:
        return context.base_facts()[0]
    except InputError:
        if set(names) <= WITHOUT_MODEL:
            return None
        raise


def _own_folder(context: RunContext) -> Path:
    """The model's folder as it is: no copy of it is made for a plan."""
    from unlearning_core.models.sources.resolve import own_folder

    section = context.config.base_model
    return own_folder(section.base_model_path, revision=section.revision, allow_pickle=section.allow_pickle)


def _tokenizer(context: RunContext) -> "PreTrainedTokenizerFast":
    from unlearning_core.models.sources.folder import read_tokenizer

    return read_tokenizer(_own_folder(context))


def _is_at_hand(context: RunContext, info: "ModelInfo") -> bool:
    """Whether the model can be loaded without fetching, unpacking or copying anything."""
    from unlearning_core.models.sources.folder import read_config
    from unlearning_core.models.sources.multimodal import is_multimodal

    if info.download_bytes or context.config.base_model.extra_tokens != "refuse":
        return False
    return not is_multimodal(read_config(_own_folder(context)))


def _countable(context: RunContext) -> bool:
    probing = context.config.neural_probing
    named = [probing.tokens_input_path or probing.sentences, probing.retain_corpus, probing.neighbour_corpus]
    return all(_bytes(Path(context.source(place))) <= _COUNTED for place in named if place)


def _bytes(path: Path) -> float:
    if path.is_file():
        return path.stat().st_size
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return math.inf


def _sample(labelled: LabelledSet | None, texts: dict[str, list[str]]) -> list[str]:
    if labelled is not None:
        return [item.text for item in labelled.items[:32]]
    return [text for first in texts.values() for text in first]


def _earlier(config: ExperimentConfig, name: str, root: Path) -> tuple[float, str] | None:
    """What the stage took in the newest run that did the same kind of work on the same model, and that run's id."""
    wanted = _work(config, name)
    for run in list_runs(root)[:_EARLIER]:
        state = run.status()["stages"].get(name, {})
        if state.get("state") == "finished" and state.get("seconds") and not state.get("taken_from"):
            try:
                if _work(run.config, name) == wanted:
                    return float(state["seconds"]), run.id
            except Exception:  # a config that somebody damaged says nothing of time
                continue
    return None


def _work(config: ExperimentConfig, name: str) -> list[object]:
    """What decides how long a stage takes, as far as the settings tell."""
    probing, training = config.neural_probing, config.retraining
    kind = name.partition(" ")[0]
    amounts: dict[str, list[object]] = {
        "label": [probing.sentences, probing.tokens_input_path, probing.retain_corpus],
        "rank": [
            probing.site, probing.ranker, probing.ranker_parameters, probing.max_concept_sentences,
            probing.max_retain_sentences, probing.sentences, probing.tokens_input_path,
        ],
        "measure": [config.evaluation.model_dump(), config.generation.model_dump(), len(config.test_prompts)],
        "distance": [config.never_knew.model_dump()],
        "filter": [training.dataset, training.train_dataset_path, training.max_train_texts, probing.sentences],
        "retrain": [training.model_dump(), probing.sentences],
        "search": [config.search.model_dump(), probing.ranker],
    }  # fmt: skip
    return [config.base_model.model_dump(), *amounts.get(kind, [])]


def _seconds(
    context: RunContext, name: str, labelled: LabelledSet | None, pace: Pace | None, root: Path
) -> tuple[float | None, str]:
    """How long a stage takes, and how that is known."""
    config, kind = context.config, name.partition(" ")[0]
    if (earlier := _earlier(config, name, root)) is not None:
        return earlier[0], f"as in {earlier[1]}"
    if kind in WITHOUT_MODEL:
        return (1.0, "rough estimate") if labelled is not None and kind != "push" else (None, "")
    if pace is None:
        return None, ""
    probing = config.neural_probing
    train, held_out = _counts(config, labelled)
    read = pace.token * pace.tokens
    if kind == "rank":
        ranker = get_ranker(probing.ranker)
        return ranker.passes(ranker.check(probing.ranker_parameters), train) * train * read, "rough estimate"
    if kind == "measure":
        batches = math.ceil((len(config.test_prompts) or TAKEN) * config.generation.samples / 32)
        return held_out * read + batches * config.generation.max_new_tokens * pace.step, "rough estimate"
    if kind == "questions":
        proof = config.proof
        batches = math.ceil(2 * proof.max_questions * (1 + proof.question_samples) / 64)
        return 2 * batches * proof.answer_tokens * pace.step, "rough estimate"
    if kind == "distance":
        twin = config.never_knew
        answers = 4 * twin.max_questions if twin.questions else 0
        return (answers + 2 * 3 * twin.max_texts) * read, "rough estimate"
    if kind == "retrain":
        steps = _steps(context, labelled)
        if steps is None:
            return None, ""
        # Backward costs two forward passes; measuring on the way a twentieth.
        return passes(config.retraining) * 1.05 * steps * config.retraining.batch_size * read, "rough estimate"
    return (1.0, "rough estimate") if kind == "prune" else (None, "")


def _counts(config: ExperimentConfig, labelled: LabelledSet | None) -> tuple[int, int]:
    """Sentences that are ranked on and measured on, at most."""
    probing, most = config.neural_probing, config.evaluation.max_sentences
    train, held_out = probing.max_concept_sentences + probing.max_retain_sentences, 2 * most
    if labelled is None:
        return train, held_out
    parts = [len(labelled.with_concept), len(labelled.without)]
    caps = [probing.max_concept_sentences, probing.max_retain_sentences]
    kept = [part * (1 - probing.held_out) for part in parts]
    return (
        round(sum(min(part, cap) for part, cap in zip(kept, caps, strict=True))),
        round(sum(min(part * probing.held_out, most) for part in parts)),
    )


def _steps(context: RunContext, labelled: LabelledSet | None) -> int | None:
    """Optimizer steps of the retraining at most, or None where the text was not counted."""
    training = context.config.retraining
    if training.max_steps is not None:
        return training.max_steps
    texts = _training_texts(context, labelled)
    return None if texts is None else math.ceil(training.num_train_epochs * math.ceil(texts / training.batch_size))


def _training_texts(context: RunContext, labelled: LabelledSet | None) -> int | None:
    from unlearning_core.concepts.texts import read_texts

    training = context.config.retraining
    named = training.train_dataset_path or training.dataset
    if named is None:
        count = None if labelled is None else round(0.9 * len(labelled.without))
    else:
        place = context.source(named)
        if _bytes(Path(place)) > _COUNTED:
            return training.max_train_texts
        texts: Iterable[str] = read_texts(
            place,
            split=training.dataset_split,
            column=training.dataset_column,
            **training.dataset_reading.model_dump(),
        )
        count = sum(1 for _ in islice(texts, training.max_train_texts))
    known: Sequence[int] = [number for number in (count, training.max_train_texts) if number is not None]
    return min(known, default=None)
