"""A pruned tiny model with reset token rows, and a job that distils into it from its base."""

from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.integration.retraining_case import make_job, pruned, texts
from unlearning_core.concepts.labelled_files import write_labelled
from unlearning_core.concepts.labelling import label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.row_weights import make_token_rows
from unlearning_core.edits.weights import bake
from unlearning_core.files import write_json
from unlearning_core.training.job import TrainingJob

WORDS = ("chair", "bench")


def with_rows(folder: Path, family: str, **settings: Any) -> tuple[Mask, list[int]]:
    """A base, the same with every third neuron cut and the words' rows reset, and the recipe; (mask, token ids)."""
    mask = pruned(folder, family, **settings)
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    ids = sorted({token for word in WORDS for token in tokenizer(f" {word}")["input_ids"]})
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    rows = make_token_rows(base, ids, [300, 301, 302], 1.0)
    bake(base, mask, rows=rows)
    base.save_pretrained(folder / "pruned")
    Recipe(mask, str(folder / "base"), {"ranker": "every third"}, 1 / 3, rows=rows).save(folder / "recipe")
    return mask, ids


def distilling(
    folder: Path, output: str = "out", changes: dict[str, Any] | None = None, **settings: Any
) -> TrainingJob:
    """A distillation with all that it can have: other senses, texts about the concept, depth, noise."""
    matcher = Matcher(Concept(WORDS))
    write_labelled(folder / "labelled.jsonl", [label_text(text, matcher) for text in texts(20, seed=3)])
    write_json(
        folder / "other_sense.json", [f"the {word} of the {other}" for word in WORDS for other in ("boat", "cat")]
    )
    distillation = {
        "teacher_folder": folder / "base", "words": WORDS, "sentences_path": folder / "labelled.jsonl",
        "other_sense_path": folder / "other_sense.json", "concept_texts": 2, "concept_weight": 2.0,
        "depth_weight": 0.5, "noise": 0.2,
    }  # fmt: skip
    return make_job(folder, output, distillation=distillation | settings, **changes or {})
