"""Settings of an experiment, checked as `run` checks them before it begins."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from bench.input_forms.form import REFUSED, Form, form

_GOOD: list[dict[str, Any]] = [
    {}, {"seed": 7}, {"neural_probing.prune_ratio": 0}, {"neural_probing.prune_ratio": 1},
    {"neural_probing.ranker": "probeless"}, {"neural_probing.site": "residual"}, {"neural_probing.per_layer": True},
    {"neural_probing.protected_layers": [0]}, {"neural_probing.excluded_neurons": [["mlp", 0, 3]]},
    {"neural_probing.picked_neurons": [["head", 0, 1]]}, {"neural_probing.layer_ratios": {"0": 0.5, "1": 0}},
    {"retraining.max_steps": 3}, {"retraining.enabled": False}, {"methods": ["prune"]}, {"search.forget": 1.0},
    {"generation.temperature": 0}, {"test_prompts": ["Eine Katze"]}, {"test_prompts": []},
    {"base_model.dtype": "bfloat16"},
    {"base_model.model_type": "llama"}, {"neural_probing.concept_definition": ["chair"]},
    {"_comment": "seed configs have some"},
]  # fmt: skip

_BAD: list[dict[str, Any]] = [
    {"retraining.learning_rate": 2}, {"retraining.learning_rate": -1}, {"retraining.learning_rate": "fast"},
    {"retraining.num_train_epochs": 1e-9}, {"retraining.num_train_epochs": 0}, {"retraining.num_train_epochs": 1e12},
    {"retraining.batch_size": 0}, {"retraining.batch_size": 2.5}, {"retraining.batch_size": 10**9},
    {"retraining.max_length": 1}, {"retraining.max_length": 10**5}, {"retraining.max_steps": 0},
    {"retraining.weight_decay": -1}, {"retraining.warmup_ratio": 1}, {"retraining.checkpoint_steps": 0},
    {"retraining.dataset": "none.jsonl"}, {"retraining.train_dataset_path": "/no/where"},
    {"retraining.val_dataset_path": "none.txt"}, {"retraining.dataset_column": "nope", "retraining.dataset": "TABLE"},
    {"neural_probing.sentences": "none.txt"}, {"neural_probing.sentences": None}, {"neural_probing.sentences": ""},
    {"neural_probing.retain_corpus": "none.txt"}, {"neural_probing.neighbours": "none.txt"},
    {"neural_probing.neighbours": ["chair"]}, {"neural_probing.concept_definition": "none.txt"},
    {"neural_probing.concept_definition": []}, {"neural_probing.prune_ratio": 1.5},
    {"neural_probing.prune_ratio": -0.1}, {"neural_probing.prune_ratio": 1e-7}, {"neural_probing.site": "attention"},
    {"neural_probing.ranker": "probless"}, {"neural_probing.ranker_parameters": {"measur": 1}},
    {"neural_probing.protected_layers": [99]}, {"neural_probing.protected_layers": [-1]},
    {"neural_probing.protected_layers": [0, 1, 2]}, {"neural_probing.excluded_neurons": [["mlp", 0, 10**6]]},
    {"neural_probing.picked_neurons": [["mlp", 0, -1]]}, {"neural_probing.layer_ratios": {"0": 1.5}},
    {"neural_probing.layer_ratios": {"99": 0.1}}, {"neural_probing.layer_ratios": {"0": 1e-7}},
    {"neural_probing.held_out": 1}, {"neural_probing.max_concept_sentences": 0},
    {"neural_probing.prune_ratoi": 0.1}, {"test_prompts": [""]}, {"test_prompts": "Anna"},
    {"test_prompts": ["Anna", " \n"]}, {"test_prompts": ["a chair " * 2000]}, {"test_prompts": [1]},
    {"generation.samples": 0}, {"generation.top_p": 0}, {"generation.temperature": -1},
    {"generation.max_new_tokens": 0}, {"generation.seed": -1}, {"seed": 2**40}, {"seed": "x"},
    {"base_model.device": "gpu"}, {"base_model.device": "cuda:99"}, {"base_model.dtype": "int8"},
    {"base_model.base_model_path": ""}, {"base_model.base_model_path": "/no/where"},
    {"base_model.model_type": "bloom"}, {"base_model.num_layers": 99}, {"base_model.neurons_per_layer": 1},
    {"base_model.revision": "main"}, {"methods": ["prnue"]}, {"methods": [{"name": "prune", "parameters": {"x": 1}}]},
    {"methods": ["prune", "prune"]}, {"push_to_hub": "no name"}, {"push_to_hub": "me/model"},
    {"never_knew.model": "/no/where"}, {"never_knew.model": "SELF", "never_knew.questions": "none.jsonl"},
    {"never_knew.model": "SELF", "never_knew.forget_texts": "none.jsonl"}, {"search.forget": -1},
    {"evaluation.max_sentences": 1}, {"test_prompts": ["hf_" + "abcdefgh" * 5]}, {"nonsense": 1},
]  # fmt: skip

_FILES = [
    ("not JSON", b"{", REFUSED), ("empty", b"", REFUSED), ("a list", b"[]", REFUSED), ("null", b"null", REFUSED),
    ("Latin-1", '{"test_prompts": ["Stühle"]}'.encode("latin-1"), REFUSED), ("binary", b"\x00\xff\x00", REFUSED),
    ("nested deep", b'{"a":' * 3000 + b"1" + b"}" * 3000, REFUSED),
    ("a huge number", b'{"seed": ' + b"9" * 5000 + b"}", REFUSED), ("NaN", b'{"search": {"forget": NaN}}', REFUSED),
]  # fmt: skip


def forms() -> Iterator[Form]:
    """Each a config, or a few settings in place of those of a good one."""
    for settings in _GOOD:
        yield form(json.dumps(settings)[:80], _given(settings), "checked")
    for settings in _BAD:
        yield form(json.dumps(settings)[:80], _given(settings), REFUSED)
    for name, content, expected in _FILES:
        yield form(f"a config that is {name}", _written(content), expected)


@cache
def _experiment() -> Path:
    import tempfile

    from tests.tiny_experiment import write_experiment

    folder = Path(tempfile.mkdtemp(prefix="bench-inputs-"))
    write_experiment(folder)
    (folder / "table.csv").write_text("text,id\nA dog ran.,1\nA cat sat.,2\n", encoding="utf-8")
    return folder


def _given(settings: dict[str, Any]) -> Any:
    def give(folder: Path) -> str:
        from unlearning_core.config.reading import build_config, override, read_config_values
        from unlearning_core.runs.pipeline import check_new_run

        place = _experiment()
        named = {"TABLE": str(place / "table.csv"), "SELF": str(place / "model")}
        values = read_config_values(place / "config.json")
        given = [
            f"{key}={json.dumps(named.get(value, value) if isinstance(value, str) else value)}"
            for key, value in settings.items()
            if not key.startswith("_")
        ]
        check_new_run(build_config(override(values, given), folder=place), folder / "runs")
        assert not (folder / "runs").exists(), "something was written"
        return "checked"

    return give


def _written(content: bytes) -> Any:
    def give(folder: Path) -> str:
        from unlearning_core.config.reading import load_config

        (folder / "config.json").write_bytes(content)
        load_config(folder / "config.json")
        return "read"

    return give
