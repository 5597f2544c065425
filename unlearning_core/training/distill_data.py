"""What a distillation works on beside the text of any training: the teacher, what it may not foresee, further texts."""

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM

from unlearning_core.concepts.labelled_files import read_labelled
from unlearning_core.concepts.texts import read_texts
from unlearning_core.edits.recipe import Recipe
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
        for_rows: texts with the words in another sense that the reset rows alone learn from, at the end; where no row
            is held they are among the others.
        taught: the tokens whose rows have learnt from them, once they have.
    """

    settings: Distillation
    model: Any
    mask: ConceptMask
    rows: TokenRows | None
    others: dict[int, Sequences]
    for_rows: Sequences | None = None
    taught: list[int] = field(default_factory=list)

    def decides(self) -> list[Any]:
        """All that decides the weights of a step, JSON-able."""
        texts = {str(kind): texts.digest() for kind, texts in self.others.items()}
        if self.for_rows is not None:
            texts["rows"] = self.for_rows.digest()
        return [self.settings.settings(), _weights(self.settings.teacher_folder), self.mask.values(), texts]

    def figures(self) -> dict[str, Any]:
        """What the result says of it."""
        return {
            **self.settings.settings(),
            "masked_tokens": len(self.mask.everywhere),
            "masked_where_a_word_begins": len(self.mask.at_start),
            "masked_endings": len(self.mask.anywhere) + len(self.mask.after_start),
            "tokens_with_another_sense": len(self.taught),
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
        "The teacher may not predict %d tokens, %d where a word begins, and the ends of %d words of several tokens",
        len(mask.everywhere), starts, words,
    )  # fmt: skip
    others: dict[int, Sequences] = {}
    for_rows = None
    if settings.other_sense_path is not None:
        source = settings.other_sense_path
        senses = tokenise(read_texts(source), tokenizer, length, source)
        if rows is not None and job.keep_pruned:
            for_rows = senses
        else:
            others[OTHER_SENSE] = senses
    if settings.concept_texts and rows is None:
        _log.warning("No token rows are reset: the teacher would tell about the concept, so it reads no text about it")
    elif settings.concept_texts:
        about = [item.text for item in items if item.spans]
        others[CONCEPT] = tokenise(about, tokenizer, length, str(settings.sentences_path))
    return DistillationData(settings, teacher, mask, rows, others, for_rows)


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
