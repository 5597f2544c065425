"""The test prompts of a run: they follow its concept, and what a person tries on Prune is remembered with the run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelling import label_text
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.evaluation.prompts import about_concept, prompts_about
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import digest

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

WRITTEN = 16
"""Sentences that the model writes to take prompts from."""

NOTE = "prompts"

OF_THE_OLD_CONCEPT: dict[str, Any] = {
    "test_prompts": [],
    "proof": {"questions": None, "prompts": None, "other_sense_texts": None, "attack_texts": None},
    "retraining": {"other_sense_texts": None},
}
"""Settings with text about one concept: nothing is shown of another one by it."""


def prompts_of_sentences(run: Run) -> list[str]:
    """Prompts from the run's held-out sentences.

    Raises:
        InputError: the sentences are not labelled yet, or none holds the concept.
    """
    return about_concept(run.sentences("held_out").items)


def written_prompts(run: Run, base: "LoadedModel", progress: ProgressCallback = silent) -> list[str]:
    """Prompts from sentences that the base model writes about the run's concept; the same ones when asked again.

    Raises:
        WorkFailed: the model writes nothing usable.
    """
    from unlearning_core.writing.writer import WriterSettings, write_sentences

    context = RunContext(run)
    model = run.config.base_model.base_model_path
    settings = WriterSettings(
        model, context.concept.words, WRITTEN, concept_share=0.75, seed=run.config.seed, batch_size=WRITTEN
    )
    target = run.work_folder("prompts") / f"{digest([model, settings.words, settings.seed])[:10]}.jsonl"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_sentences(base, context.concept, target, settings, progress)
    return prompts_about([label_text(text, context.matcher) for text in as_sentences(read_texts(str(target)))])


def tried_prompts(run: Run) -> list[str]:
    """What is continued on Prune: what was typed there last, else the run's test prompts.

    Raises:
        InputError: as `RunContext.test_prompts`.
    """
    return run.note(NOTE) or RunContext(run).test_prompts


def follow_concept(run: Run) -> None:
    """Give a run that has no test prompts some from its labelled sentences.

    Raises:
        InputError: as `prompts_of_sentences`.
    """
    if run.config.test_prompts:
        return
    found = prompts_of_sentences(run)
    run.write_note(NOTE, None)
    run.save_config(run.config.model_copy(update={"test_prompts": found}))


def try_prompts(run: Run, prompts: Sequence[str]) -> None:
    """Remember what was typed; results that were measured with the run's test prompts stay what they are."""
    given = [line for line in prompts if line.strip()]
    run.write_note(NOTE, given if given and given != RunContext(run).test_prompts else None)
