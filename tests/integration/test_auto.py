"""`unlearn auto`: the recipe of a small experiment is searched, taken, made and judged; a stopped search goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from unlearning_core.cli.app import main
from unlearning_core.errors import Stopped
from unlearning_core.models.sources.starters import STARTERS
from unlearning_core.progress import Progress
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning.measuring import CutMeter
from unlearning_core.runs.tuning.search import TRIAL_NOTE, Limits, RecipeSearch, find_or_create_tuned
from unlearning_core.runs.tuning.experiment import built, values_of

QUICK = [
    "neural_probing.ranker=mean_difference", "retraining.max_steps=2", "retraining.max_train_texts=40",
    "evaluation.max_sentences=12", "neural_probing.max_concept_sentences=40", "neural_probing.max_retain_sentences=40",
    "retraining.measure_while_learning=false", "generation.samples=1", "generation.max_new_tokens=4",
    "retraining.depth_weight=0", "retraining.other_sense_texts=null", "proof.control=false", "proof.questions=null",
    "proof.max_texts=8", "proof.max_statements=8", "proof.max_questions=8", "proof.relearning_steps=2",
    "proof.learning_rates=[1e-3]", "proof.prompts=null", "proof.depth_texts=4", "proof.attack_samples=1",
    "proof.new_tokens=4", "never_knew.max_questions=4", "never_knew.max_texts=4",
]  # fmt: skip
