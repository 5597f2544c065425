"""The part `writing`: what a model writes after many prompts, also such as invite the concept.

*Repetition* is seq-rep-4 of Welleck et al., "Neural Text Generation with Unlikelihood Training", 2020: 1 - unique /
all runs of four words of a text. *Distinct-2* is the share of different pairs of words over all texts (Li et al., "A
Diversity-Promoting Objective Function for Neural Conversation Models", 2016).
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.concept_words import count_words
from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.progress import ProgressCallback

TEMPERATURE, TOP_P = 0.8, 0.95
_BATCH = 64


def write(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """Let the model go on from every prompt, `settings.prompt_samples` times.

    Returns:
        `texts`: a row a text with `prompt`, `sample`, `text`, `words`, `concept_words` (matches of the concept),
        `runs` (of four words) and `repeated_runs`.
    """
    written = generate(
        subject.loaded, material.prompts, samples=settings.prompt_samples, temperature=TEMPERATURE, top_p=TOP_P,
        max_new_tokens=settings.new_tokens, seed=subject.seed, batch_size=_BATCH, progress=progress,
    )  # fmt: skip
    rows = []
    for one in written:
        words = one.text.split()
        runs = list(zip(words, words[1:], words[2:], words[3:], strict=False))
        matches = len(material.matcher.spans(one.text))
        rows.append(
            (one.prompt, one.sample, one.text, count_words(one.text), matches, len(runs), len(runs) - len(set(runs)))
        )
    columns = ["prompt", "sample", "text", "words", "concept_words", "runs", "repeated_runs"]
    return {"texts": pd.DataFrame(rows, columns=columns)}


def words_per_100(frames: Frames) -> Estimate:
    """Concept words in 100 written; the standard error is clustered by prompt."""
    by_prompt = frames["texts"].groupby("prompt")[["concept_words", "words"]].sum()
    return ratio_estimate(100.0 * by_prompt["concept_words"].to_numpy(float), by_prompt["words"].to_numpy())


def repetition(frames: Frames) -> Estimate:
    """seq-rep-4, clustered by prompt."""
    by_prompt = frames["texts"].groupby("prompt")[["repeated_runs", "runs"]].sum()
    return ratio_estimate(by_prompt["repeated_runs"].to_numpy(float), by_prompt["runs"].to_numpy())


def distinct_pairs(frames: Frames) -> Estimate:
    """Distinct-2 over all texts."""
    pairs = [pair for text in frames["texts"]["text"] for pair in pairwise(text.split())]
    return Estimate(len(set(pairs)) / len(pairs) if pairs else np.nan)
