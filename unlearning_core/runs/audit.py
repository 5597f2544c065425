"""An audit: a model that somebody else made is measured against its base, as a run whose only method is `candidate`."""

from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import LabelledText, label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.config.reading import build_config
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.evaluation.prompts import leads
from unlearning_core.files import ROOT
from unlearning_core.methods.registry import CANDIDATE, METHODS
from unlearning_core.models.sources.starters import STARTERS
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.store import digest

PROMPTS = 6
"""Beginnings of sentences about the concept that both models go on from."""

WRITTEN = 400
"""Sentences that the base writes where there are none."""


def audit_config(
    base: str,
    candidate: str,
    words: str | list[str],
    sentences: str,
    *,
    never_knew: str | None = None,
    questions: str | None = None,
    other_texts: str | None = None,
    language: str = "en",
    more: dict[str, Any] | None = None,
) -> ExperimentConfig:
    """The settings of an audit.

    Args:
        base: the model that the candidate was made of.
        candidate: the model that is to have forgotten.
        words: a file of concept words, or a list of them.
        sentences: text with and without the concept: file, folder or dataset.
        never_knew: a model of the same kind that was trained without the concept.
        questions: a file of questions (evaluation/question_sets.py).
        other_texts: text of another kind than the sentences; None: the shipped English.
        more: further settings by section, which go before these.

    Raises:
        InputError: a file cannot be read, or no sentence holds the concept.
    """
    concept = Concept(tuple(words) if isinstance(words, list) else read_words(Path(words)), language=language)
    values: dict[str, Any] = {
        "base_model": {"base_model_path": _absolute(base)},
        "neural_probing": {
            "concept_definition": words if isinstance(words, list) else _absolute(words),
            "language": language,
            "sentences": _absolute(sentences),
        },
        "retraining": {"enabled": False},
        "methods": [{"name": "candidate", "parameters": {"model": _absolute(candidate)}}],
        "never_knew": {"model": None if never_knew is None else _absolute(never_knew)},
        "proof": {
            "questions": None if questions is None else _absolute(questions),
            "other_texts": None if other_texts is None else _absolute(other_texts),
            "control": False,
        },
        "test_prompts": prompts(sentences, concept),
    }
    for section, settings in (more or {}).items():
        values[section] = values.get(section, {}) | settings if isinstance(settings, dict) else settings
    return build_config(values, origin="the audit", folder=Path.cwd())


def prompts(sentences: str, concept: Concept) -> list[str]:
    """A few sentences of the source up to the concept's word; raises InputError where none holds it."""
    matcher, found = Matcher(concept), list[LabelledText]()
    for text in as_sentences(read_texts(sentences)):
        item = label_text(text, matcher)
        if item.spans:
            found.append(item)
        if len(found) >= 10 * PROMPTS:
            break
    if not found:
        raise InputError(
            f"{sentences} has no sentence with one of the concept's words ({', '.join(concept.words[:3])}, ...). Give "
            "text about the concept, or other words."
        )
    return leads(found, PROMPTS)


def written_sentences(
    base: str, candidate: dict[str, Any], concept: Concept, root: Path, progress: ProgressCallback = silent
) -> Path:
    """Sentences that the base writes about the concept, kept under `root` for the next audit of the same kind.

    Args:
        candidate: the parameters of the method `candidate`; its weights are looked at first.

    Raises:
        InputError: a model cannot be had, or the candidate's weights are NaN or infinite.
        WorkFailed: the base writes nothing usable.
    """
    from unlearning_core.models.loading import load_model
    from unlearning_core.writing.writer import WriterSettings, write_sentences, writing_dtype

    target = root / ".written" / f"{digest([base, concept.words, concept.language])[:16]}.jsonl"
    method = METHODS[CANDIDATE]
    method.check(method.parameters(**candidate), progress)
    if not target.is_file():
        settings = WriterSettings(model=base, words=concept.words, count=WRITTEN, concept_share=0.6)
        loaded = load_model(base, dtype=writing_dtype(), progress=progress)
        write_sentences(loaded, concept, target, settings, progress)
    return target


def _absolute(source: str) -> str:
    """A path that holds wherever the run is worked on; a starter's or the Hub's name as it is."""
    path = Path(source).expanduser()
    if source in STARTERS:
        return source
    for place in (path, ROOT / path):
        if place.exists():
            return str(place.resolve())
    return source
