"""A distillation as a stage of a run: SmallWorld with rows reset, a few steps; what it depends on; texts kept apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.tiny_experiment import write_experiment
from unlearning_core.concepts.texts import read_texts
from unlearning_core.config.reading import load_config, starter_config
from unlearning_core.config.schema import ExperimentConfig, RetrainingSection
from unlearning_core.errors import InputError
from unlearning_core.methods import retrain
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.material import material_of
from unlearning_core.runs.other_sense import write_learnt
from unlearning_core.runs.pipeline import execute, find_or_create_run
from unlearning_core.runs.run import Run


def run_until(config: ExperimentConfig, folder: Path, until: str) -> Run:
    run, _ = find_or_create_run(config, folder)
    execute(run, until=until)
    return run


@pytest.fixture(scope="module")
def smallworld(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ExperimentConfig]:
    """Three steps of everything: depth, texts about the concept, noise."""
    config = starter_config("smallworld")
    config.never_knew.model, config.proof.questions = None, None
    probing, training = config.neural_probing, config.retraining
    probing.ranker, probing.ranker_parameters = "probeless", {}
    probing.max_concept_sentences = probing.max_retain_sentences = 100
    probing.token_rows.strength = 1.0
    training.objective, training.max_steps, training.max_train_texts = "distill", 3, 60
    training.batch_size, training.depth_weight, training.concept_texts, training.noise = 8, 1.0, 4, 0.1
    training.other_sense_texts = config.proof.other_sense_texts
    training.measure_while_learning = False
    config.evaluation.max_sentences = 10
    return run_until(config, tmp_path_factory.mktemp("runs"), "retrain"), config


def test_smallworld_goes_through_and_keeps_its_rows_and_cuts(smallworld: tuple[Run, ExperimentConfig]) -> None:
    run, _ = smallworld
    summary = run.status()["stages"]["retrain"]["summary"]
    recipe = run.recipe()
    assert recipe.rows is not None
    assert (summary["steps"], summary["cut"], summary["regrown"]) == (3, recipe.mask.cut, 0)
    assert summary["eval_loss_after"] < summary["eval_loss_before"]
    told = summary["distillation"]
    assert told["masked_tokens"] >= len(recipe.rows.ids)
    assert told["texts_beside"]["concept"] > 50
    before, after = (load_file(run.model(state) / "model.safetensors") for state in ("pruned", "retrained"))
    name = "transformer.wte.weight"
    held = [token for token in recipe.rows.ids if (after[name][token] == before[name][token]).all()]
    assert len(held) > 10
    assert (after[name] != before[name]).any(axis=1).mean() > 0.9


def test_no_text_in_another_sense_is_learnt_and_measured(smallworld: tuple[Run, ExperimentConfig]) -> None:
    run, config = smallworld
    context = RunContext(run)
    path = write_learnt(context)
    assert path is not None
    learnt, measured = list(read_texts(str(path))), list(material_of(context).other_sense)
    whole = list(read_texts(str(config.proof.other_sense_texts)))
    assert len(whole) - 2 <= len(learnt) + len(measured) <= len(whole)
    assert not set(learnt) & set(measured)
    assert measured == whole[1::2]


def test_where_only_one_of_them_reads_the_texts_it_reads_all(tmp_path: Path) -> None:
    texts, others = tmp_path / "senses.json", tmp_path / "more.json"
    texts.write_text('["The chair of the club spoke.", "A bench of judges sat.", "The seat was lost by a vote."]')
    others.write_text('["The chair of the club spoke.", "He chairs the meeting."]')
    config = load_config(write_experiment(tmp_path, proof={"other_sense_texts": str(texts)}))
    run = run_until(config, tmp_path / "runs", "label")
    assert len(material_of(RunContext(run)).other_sense) == 3
    assert write_learnt(RunContext(run)) is None
    config.retraining.objective, config.retraining.other_sense_texts = "distill", str(others)
    context = RunContext(run, config=config)
    assert list(read_texts(str(write_learnt(context)))) == ["He chairs the meeting."]
    assert len(material_of(context).other_sense) == 3
    others.write_text('["The chair of the club spoke."]')
    with pytest.raises(InputError, match=r"retraining\.other_sense_texts: every text of .*more\.json is measured on"):
        write_learnt(RunContext(run, config=config))


def stage_inputs(**settings: Any) -> Any:
    return retrain.inputs(RetrainingSection(**settings), 3)


def test_a_training_on_text_depends_on_what_it_always_did() -> None:
    known = {
        "num_train_epochs": 1.0, "max_steps": None, "learning_rate": 2e-5, "weight_decay": 0.01, "warmup_ratio": 0.05,
        "batch_size": 4, "max_length": None, "keep_pruned": True, "checkpoint_steps": 100,
    }  # fmt: skip
    assert stage_inputs() == {"settings": known, "seed": 3}
    assert stage_inputs(noise=0.3, depth_weight=1.0, concept_texts=4, other_sense_texts="x") == stage_inputs()


@pytest.mark.parametrize(
    "setting",
    [{"noise": 0.3}, {"noise_scale": 0.2}, {"depth_weight": 1.0}, {"concept_texts": 4}, {"concept_weight": 2.0}],
)
def test_a_distillation_depends_on_each_of_its_settings(setting: dict[str, float]) -> None:
    assert stage_inputs(objective="distill", **setting) != stage_inputs(objective="distill") != stage_inputs()


def test_a_distillation_is_made_anew_when_its_texts_in_another_sense_change(tmp_path: Path) -> None:
    senses = tmp_path / "senses.json"
    senses.write_text('["The chair of the club spoke at length."]')
    changes = {
        "objective": "distill",
        "max_steps": 2,
        "other_sense_texts": str(senses),
        "measure_while_learning": False,
    }
    config = load_config(write_experiment(tmp_path, retraining=changes))
    run = run_until(config, tmp_path / "runs", "retrain")
    first = load_file(run.model("retrained") / "model.safetensors")
    execute(run, until="retrain")
    assert run.status()["stages"]["retrain"]["summary"]["distillation"]["texts_beside"] == {"other_sense": 1}
    senses.write_text('["A bench of judges sat down to think.", "He chairs the long meeting."]')
    execute(run, until="retrain")
    assert run.status()["stages"]["retrain"]["summary"]["distillation"]["texts_beside"] == {"other_sense": 2}
    second = load_file(run.model("retrained") / "model.safetensors")
    assert any(not np.array_equal(first[name], second[name]) for name in first)
