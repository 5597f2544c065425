"""What a model knows and writes while it learns, at little cost: losses, continued prompts, the answers to a quiz."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unlearning_core.concepts.labelled_files import read_labelled
from unlearning_core.errors import WorkbenchError
from unlearning_core.evaluation.question_sets import read_question_set
from unlearning_core.jobs.events import EventLog
from unlearning_core.training.trainer import EditKeepingTrainer

_log = logging.getLogger(__name__)
_NUMBERS = ("concept_nll", "concept_nll_stderr", "retain_nll", "retain_nll_stderr")


class Allowance:
    """Time that may be spent beside the training: a share of what the training itself has taken, in seconds."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._last: float | None = None
        self.spent = 0.0

    def allows(self, trained: float) -> bool:
        """Whether one more, as long as the last one, would stay within the share of `trained` seconds."""
        return self._last is not None and self.spent + self._last <= self._share * trained

    def spend(self, seconds: float, *, free: bool = False) -> None:
        """One took `seconds`; a free one (before the first step) only tells how long they take."""
        self._last = seconds
        self.spent += 0.0 if free else seconds


class Learning:
    """Measures one model between two optimizer steps and writes the events "measure" and "sample", and "quiz".

    It draws no random number and changes no weight: the training goes on as it would without it. Once before the
    first step and once after the last, and in between every `measure_every` steps, or as often as `measure_share` of
    the training's time allows. The quiz is asked before the first step, after the last, and in between at those
    evaluations for which as large a share again allows it.
    """

    def __init__(self, trainer: EditKeepingTrainer, log: EventLog) -> None:
        self._job, self._total, self._log, self._trainer = trainer.job, trainer.args.max_steps, log, trainer
        self._allowance, self._quiz_allowance = Allowance(self._job.measure_share), Allowance(self._job.measure_share)
        self._items = read_labelled(Path(self._job.probe_set_path)) if self._job.probe_set_path else []
        self._questions = read_question_set(Path(self._job.quiz_path)) if self._job.quiz_path else []
        self._given_up = not self._items and not self._job.prompts
        self._loaded = trainer.data.student

    def due(self, step: int, trained: float) -> bool:
        """Whether to measure after `step`, when the steps have taken `trained` seconds."""
        if self._given_up:
            return False
        if step >= self._total:
            return True
        every = self._job.measure_every
        return step % every == 0 if every else self._allowance.allows(trained)

    def may_ask(self, step: int, trained: float) -> bool:
        """Whether the quiz may be asked at the evaluation after `step`, when the steps have taken `trained` seconds."""
        return bool(self._questions) and (step >= self._total or self._quiz_allowance.allows(trained))

    def measure(self, step: int, *, first: bool = False) -> None:
        """Measure and write; what goes wrong is logged, and the training goes on without further measurements."""
        if self._given_up:
            return
        try:
            with self._evaluating(self._allowance, first):
                self._measure(step)
        except WorkbenchError as error:
            self._given_up = True
            _log.warning("Nothing more is measured while it learns: %s", error)

    def ask(self, step: int, *, first: bool = False) -> None:
        """Ask the quiz and write what it answers; what goes wrong is logged, and it is not asked again."""
        if not self._questions:
            return
        try:
            with self._evaluating(self._quiz_allowance, first):
                self._ask(step)
        except WorkbenchError as error:
            self._questions = []
            _log.warning("The quiz is not asked any more while it learns: %s", error)

    @contextmanager
    def _evaluating(self, allowance: Allowance, first: bool) -> Iterator[None]:
        """The model as it is used, not trained, and its time counted."""
        started = time.monotonic()
        self._trainer.model.eval()
        try:
            with self._trainer.autocast():
                yield
        finally:
            self._trainer.model.train()
            allowance.spend(time.monotonic() - started, free=first)

    def _measure(self, step: int) -> None:
        from unlearning_core.evaluation.generation import generate
        from unlearning_core.evaluation.likelihood import measure
        from unlearning_core.evaluation.registry import metrics_table

        if self._items:
            found = measure(self._loaded, self._items)
            numbers = metrics_table({"base": {"measurement": found}})["base"]
            # Other text is that of sentences without the concept, where there are some.
            apart = "apart_nll" if numbers.get("apart_nll") is not None else "retain_nll"
            told = {name: numbers[name.replace("retain_nll", apart)] for name in _NUMBERS}
            self._log.event("measure", step=step, total_steps=self._total, sentences=len(self._items), **told)
        if self._job.prompts:
            written = generate(self._loaded, self._job.prompts, temperature=0.0, max_new_tokens=self._job.sample_tokens)
            for sample in written:
                self._log.event("sample", step=step, total_steps=self._total, prompt=sample.prompt, text=sample.text)

    def _ask(self, step: int) -> None:
        from unlearning_core.config.schema import ProofSection
        from unlearning_core.evaluation.quiz import ask

        put = ProofSection(chat=self._job.quiz_chat, answer_tokens=self._job.quiz_tokens)
        # Its tokenizer was saved with it: the base's, with the base's chat template.
        marks = ask(self._loaded, self._questions, self._loaded, put)
        answers = [
            {"prompt": question.prompt, "about": question.about, "answer": mark.answer, "right": mark.right}
            for question, mark in zip(self._questions, marks, strict=True)
        ]
        self._log.event("quiz", step=step, total_steps=self._total, answers=answers)
