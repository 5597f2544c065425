"""What a distillation works on beside the text of any training: the teacher, what it may not foresee, further texts."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM

from unlearning_core.concepts.labelled_files import read_labelled
from unlearning_core.concepts.texts import read_texts
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.row_weights import End, row_parameters
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import map_model
from unlearning_core.training.concept_masking import ConceptMask, concept_mask, word_forms
from unlearning_core.training.job import Distillation, TrainingJob
from unlearning_core.training.sequences import Sequences, tokenise

_log = logging.getLogger(__name__)

RETAIN, OTHER_SENSE, CONCEPT = range(3)
"""Kinds of text: without the concept; with its words in another sense; about it."""

KINDS = 3
_NAMES = ("retain", "other_sense", "concept")


@dataclass
class DistillationData:
    """What a distillation works on.

    Attributes:
        settings: of the job.
        model: the teacher, in the number format it was saved in.
        mask: what it may not foresee.
        rows: the token rows that are reset, which it reads texts about the concept without; None: it knows its words.
        others: texts beside those without the concept, by kind, of those that there are.
    """

    settings: Distillation
    model: Any
    mask: ConceptMask
    rows: TokenRows | None
    others: dict[int, Sequences]

    def learning(self, model: Any) -> tuple[list[int], list[End]]:
        """The tokens whose reset rows may learn, and in which matrices of the model."""
        if self.rows is None or self.settings.rows_learn == "nothing":
            return [], []
        if self.settings.rows_learn == "all":
            return self.rows.ids.tolist(), ["embedding", "head"]
        read = {int(token) for text in self.others[OTHER_SENSE].ids for token in text}
        return [token for token in self.rows.ids.tolist() if token in read], [head_end(model)]

    def decides(self) -> list[Any]:
        """All that decides the weights of a step, JSON-able."""
        texts = {str(kind): texts.digest() for kind, texts in self.others.items()}
        return [self.settings.settings(), _weights(self.settings.teacher_folder), self.mask.values(), texts]

    def figures(self) -> dict[str, Any]:
        """What the result says of it."""
        return {
            **self.settings.settings(),
            "masked_tokens": len(self.mask.everywhere),
            "masked_where_a_word_begins": len(self.mask.at_start),
            "masked_endings": len(self.mask.anywhere) + len(self.mask.after_start),
            "texts_beside": {_NAMES[kind]: len(texts.ids) for kind, texts in self.others.items()},
        }

    def shares(self, batch_size: int, at_once: int, world: int) -> tuple[int, int, dict[int, int]]:
        """(texts that a process computes at once, in how many parts its share of a step, further texts a step by kind).

        Beside the `batch_size` texts without the concept. About `at_once` fit in a part, and all parts have as many:
        a few further texts more than asked may be taken for that.
        """
        asked = dict(zip((OTHER_SENSE, CONCEPT), self.settings.beside(batch_size), strict=True))
        beside = {kind: asked[kind] for kind in self.others}
        texts = batch_size + sum(beside.values())
        parts = max(1, round(texts / (world * at_once)))
        each = math.ceil(texts / (world * parts))
        if beside:
            beside[next(iter(beside))] += each * parts * world - texts
        return each, parts, beside


def load_distillation(job: TrainingJob, model: Any, tokenizer: Any, length: int) -> DistillationData | None:
    """Load what the job names; None where it learns from text.

    Args:
        model: the one that learns.
        length: tokens a sequence at most.

    Raises:
        InputError: the teacher cannot be loaded or has another vocabulary, or a text cannot be used.
    """
    settings = job.distillation
    if settings is None:
        return None
    teacher = _teacher(settings.teacher_folder, model)
    rows = Recipe.load(Path(job.recipe_folder), map_model(model).shapes).rows if job.recipe_folder else None
    items = read_labelled(Path(settings.sentences_path)) if settings.sentences_path else []
    met = {item.text[start:end] for item in items for start, end in item.spans}
    mask = concept_mask(tokenizer, word_forms(settings.words, met), () if rows is None else rows.ids.tolist())
    words, starts = len(mask.anywhere) + len(mask.after_start), len(mask.at_start)
    _log.info(
        "The teacher may not foresee %d tokens, %d where a word begins, and the ends of %d words of several tokens",
        len(mask.everywhere), starts, words,
    )  # fmt: skip
    others: dict[int, Sequences] = {}
    if settings.rows_learn == "other_sense" and settings.other_sense_path is None:
        raise InputError(
            "distillation.rows_learn is 'other_sense', and there is no text with the words in another sense. Give "
            "retraining.other_sense_texts, or choose 'nothing'."
        )
    if settings.other_sense_path is not None:
        source = settings.other_sense_path
        others[OTHER_SENSE] = tokenise(read_texts(source), tokenizer, length, source)
    if settings.concept_texts and rows is None:
        _log.warning("No token rows are reset: the teacher would tell about the concept, so it reads no text about it")
    elif settings.concept_texts:
        about = [item.text for item in items if item.spans]
        others[CONCEPT] = tokenise(about, tokenizer, length, str(settings.sentences_path))
    return DistillationData(settings, teacher, mask, rows, others)


def head_end(model: Any) -> End:
    """Which matrix the head's rows stand in."""
    return "head" if "head" in row_parameters(model) else "embedding"


def _weights(folder: str) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a saved model's files."""
    return [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(Path(folder).glob("*.safetensors"))
    ]


def _teacher(folder: str, model: Any) -> Any:
    try:
        teacher = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"distillation.teacher_folder: {folder} cannot be loaded as a causal language model ({error}). Give the "
            "folder of the base model."
        ) from error
    there, wanted = (len(one.get_input_embeddings().weight) for one in (teacher, model))
    if there != wanted:
        raise InputError(
            f"distillation.teacher_folder: the model in {folder} has {there} tokens, the one that learns {wanted}. "
            "Give the model that it was made from."
        )
    return teacher
