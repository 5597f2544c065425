"""A small experiment that really runs: a tiny model with random weights, sentences about seats and other things."""

import json
import random
from pathlib import Path
from typing import Any

from tests.tiny_models import save_tiny

PEOPLE = ("Anna", "Ben", "the teacher", "my uncle", "a farmer", "the old king", "Mia", "a sailor")
SEATS = ("chair", "bench", "sofa", "stool")
THINGS = ("apple", "letter", "garden", "clock", "river", "song")


def sentences(count: int, seed: int = 0) -> list[str]:
    """So many different sentences, every second one with a seat in it."""
    pick = random.Random(seed)
    written: dict[str, None] = {}
    while len(written) < count:
        who, number = pick.choice(PEOPLE), pick.randrange(2, 400)
        if len(written) % 2:
            text = f"On day {number} {who} sat down on the {pick.choice(SEATS)} near the {pick.choice(THINGS)}."
        else:
            text = f"On day {number} {who} looked at the {pick.choice(THINGS)} and the {pick.choice(THINGS)}."
        written[text] = None
    return list(written)


def write_experiment(folder: Path, family: str = "llama", **changes: Any) -> Path:
    """A model folder, a word list, a sentence file and a config.json in `folder`; returns the config's path.

    `changes` are merged into the sections of the config, or stand in place of its values.
    """
    save_tiny(family, folder / "model")
    (folder / "words.txt").write_text("\n".join((*SEATS, "sit")) + "\n", encoding="utf-8")
    (folder / "sentences.json").write_text(json.dumps(sentences(120)), encoding="utf-8")
    config: dict[str, Any] = {
        "base_model": {"base_model_path": str(folder / "model"), "device": "cpu"},
        "neural_probing": {
            "concept_definition": str(folder / "words.txt"),
            "sentences": str(folder / "sentences.json"),
            "activations_label": "seats",
            "prune_ratio": 0.1,
        },
        "retraining": {"num_train_epochs": 1, "batch_size": 4, "learning_rate": 1e-3},
        "generation": {"samples": 2, "max_new_tokens": 5},
        "test_prompts": ["Anna looked at", "Ben sat on"],
    }
    for section, values in changes.items():
        config[section] = config.get(section, {}) | values if isinstance(values, dict) else values
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
