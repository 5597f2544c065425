"""The config: the seed's file as it is, every mistake with its field, overrides, comments."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from unlearning_core.cli.config import commented_starter
from unlearning_core.config.reading import build_config, load_config, override, read_config_values, starter_config
from unlearning_core.config.schema import ExperimentConfig, ProofSection, RetrainingSection, ThresholdSection
from unlearning_core.errors import InputError
from unlearning_core.methods import retrain
from unlearning_core.progress import silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.stages.proof import proof_stages

SEED = {
    "base_model": {
        "base_model_path": "openai-community/gpt2",
        "model_type": "gpt2",
        "neurons_per_layer": 768,
        "num_layers": 12,
    },
    "neural_probing": {
        "concept_definition": "data/target_words.txt",
        "tokens_input_path": "data/tokens.txt",
        "labels_input_path": "data/labels.txt",
        "target_label": "target",
        "activations_label": "2k",
        "prune_ratio": 0.2,
    },
    "retraining": {
        "train_dataset_path": "data/filtered_train",
        "val_dataset_path": "data/filtered_val",
        "num_train_epochs": 1,
        "weight_decay": 0.01,
        "batch_size": 4,
    },
    "test_prompts": ["Paris is the capital city of"],
}


def test_the_seeds_keys_are_read_one_for_one() -> None:
    config = build_config(json.loads(json.dumps(SEED)))
    dumped = config.model_dump()
    for section, values in SEED.items():
        if isinstance(values, dict):
            assert {key: dumped[section][key] for key in values} == values
        else:
            assert dumped[section] == values


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("neural_probing", "prune_ration", 0.1, "neural_probing.prune_ratio"),
        ("retraining", "num_train_epoch", 1, "retraining.num_train_epochs"),
        ("base_model", "base_model", "gpt2", "base_model.base_model_path"),
        ("neural_probing", "prune_ratio", 1.5, "neural_probing.prune_ratio is 1.5; input should be less than or equal"),
        ("neural_probing", "prune_ratio", "many", 'neural_probing.prune_ratio is "many"'),
        ("neural_probing", "site", "mpl", "'mlp', 'head' or 'residual'"),
        ("retraining", "batch_size", 0, "retraining.batch_size is 0"),
        ("retraining", "learning_rate", -1, "retraining.learning_rate is -1"),
    ],
)
def test_a_mistake_is_named_with_its_field(section: str, key: str, value: object, expected: str) -> None:
    values = json.loads(json.dumps(SEED))
    values[section][key] = value
    with pytest.raises(InputError) as caught:
        build_config(values, origin="config.json")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("config.json: ")


def test_an_unknown_section_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean retraining"):
        build_config({"retrain": {}})


def test_tokens_without_labels_are_refused() -> None:
    with pytest.raises(InputError, match=r"tokens_input_path is given without neural_probing\.labels_input_path"):
        build_config({"neural_probing": {"tokens_input_path": "t.txt"}})


def test_overrides_read_json_and_text() -> None:
    values = override({}, ["neural_probing.prune_ratio=0.05", "base_model.device=cpu", 'test_prompts=["a"]', "seed=3"])
    config = build_config(values)
    assert (config.neural_probing.prune_ratio, config.base_model.device) == (0.05, "cpu")
    assert (config.test_prompts, config.seed) == (["a"], 3)


@pytest.mark.parametrize("assignment", ["prune_ratio", "=3", "seed.deeper=1"])
def test_a_bad_override_is_a_sentence(assignment: str) -> None:
    with pytest.raises(InputError, match="--set"):
        override({"seed": 1}, [assignment])


def test_another_ranker_does_not_inherit_the_parameters_of_the_one_before() -> None:
    values = {"neural_probing": {"ranker": "combined", "ranker_parameters": {"rounds": 3}}}
    named = override(deepcopy(values), ["neural_probing.ranker=probeless"])
    assert named == {"neural_probing": {"ranker": "probeless"}}
    both = override(deepcopy(values), ["neural_probing.ranker_parameters.eps=2", "neural_probing.ranker=taylor"])
    assert both == {"neural_probing": {"ranker": "taylor", "ranker_parameters": {"rounds": 3, "eps": 2}}}


def test_relative_paths_are_found_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("chair\n")
    (tmp_path / "config.json").write_text(json.dumps({"neural_probing": {"concept_definition": "words.txt"}}))
    config = load_config(tmp_path / "config.json")
    assert config.neural_probing.concept_definition == str((tmp_path / "words.txt").resolve())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "line 1, column 2: not JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"seed": "\xff"}', "not UTF-8 text .byte 10"),
    ],
)
def test_a_broken_file_is_a_sentence(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected):
        read_config_values(path)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="python -m unlearning_core config"):
        read_config_values(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["smallworld", "smollm2"])
def test_the_commented_starter_is_json_and_gives_the_starters_config(tmp_path: Path, name: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(commented_starter(name), encoding="utf-8")
    assert json.loads(path.read_text())["neural_probing"]["_site"].startswith("which kind of neuron")
    assert load_config(path) == starter_config(name)


def test_the_schema_describes_every_key() -> None:
    schema = ExperimentConfig.model_json_schema()
    for section in ("BaseModelSection", "NeuralProbingSection", "RetrainingSection"):
        properties = schema["$defs"][section]["properties"]
        assert all("description" in field for field in properties.values()), section
    assert {"base_model", "neural_probing", "retraining", "test_prompts"} <= set(schema["properties"])


def test_settings_that_say_nothing_are_the_same_settings_when_they_are_read_back() -> None:
    # A default of 1 for a number with a point comes back as 1.0: the run of these settings was then never found again.
    said = ExperimentConfig()
    read = ExperimentConfig.model_validate(json.loads(json.dumps(said.model_dump())))
    assert json.dumps(read.model_dump()) == json.dumps(said.model_dump())


def test_a_tracker_that_is_not_installed_is_named_and_who_is_told_changes_no_training() -> None:
    section = RetrainingSection(report_to=["trackio"])
    with pytest.raises(InputError, match="names 'trackio', which is not installed"):
        retrain.check(section, silent)
    retrain.check(RetrainingSection(report_to=["tensorboard"]), silent)
    assert retrain.inputs(section, 1) == retrain.inputs(RetrainingSection(), 1)
    assert RetrainingSection(report_to="tensorboard").report_to == ["tensorboard"]  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        RetrainingSection(report_to=["a diary"])  # type: ignore[list-item]


def test_settings_that_save_memory_change_no_training_that_was_made_before_them() -> None:
    usual = retrain.inputs(RetrainingSection(), 1)
    assert (
        not {"precision", "optimizer", "gradient_checkpointing", "lora_rank", "lora_alpha"} & usual["settings"].keys()
    )
    assert retrain.inputs(RetrainingSection(gradient_checkpointing=True), 1) == usual
    assert retrain.inputs(RetrainingSection(lora_alpha=8.0), 1) == usual
    assert retrain.inputs(RetrainingSection(optimizer="adafactor"), 1) != usual
    adapters = [retrain.inputs(RetrainingSection(lora_rank=8, lora_alpha=alpha), 1) for alpha in (None, 8.0)]
    assert usual != adapters[0] != adapters[1] != usual
    retrain.check(RetrainingSection(optimizer="adafactor"), silent)


def test_a_quick_look_races_as_long_as_the_verdict_asks() -> None:
    quick = ProofSection().quick()
    assert (quick.race, quick.relearning_steps) == ("judged", ThresholdSection().relearning_steps)
    longer = ProofSection(thresholds=ThresholdSection(relearning_steps=60))
    assert longer.quick().relearning_steps == 60
    assert ProofSection(relearning_steps=5).quick().relearning_steps == 5


def test_a_whole_race_that_was_measured_before_there_was_a_shorter_one_stays(tmp_path: Path) -> None:
    context = RunContext(create_run(starter_config("smallworld"), tmp_path))

    def settings(*, quick: bool) -> Any:
        (stage,) = [stage for stage in proof_stages(context, quick=quick) if stage.name == "relearn retrained"]
        inputs: Any = stage.inputs(context)
        return inputs["settings"]

    assert set(settings(quick=False)) == {"learning_rates", "relearning_steps", "relearning_batch", "reference"}
    assert settings(quick=True)["race"] == "judged"
