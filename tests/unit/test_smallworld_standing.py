"""How far a model stands from the twin: by hand with a cut, at no distance from itself; its table and its place."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from unlearning_core.concepts.labelling import label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.never_knew import distance
from unlearning_core.models.ground_truth import GroundTruth
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.smallworld.card import put_standing
from unlearning_core.smallworld.standing import SETS, Ground, ground, second_name, standing, table, training_of
from unlearning_core.smallworld.tables import markdown


@pytest.fixture(scope="module")
def models() -> tuple[LoadedModel, LoadedModel]:
    return tuple(load_model(name, device="cpu") for name in ("smallworld", "smallworld-never-knew-seats"))


@pytest.fixture(scope="module")
def few() -> Ground:
    """A little of everything."""
    whole = ground()
    texts = {name: whole.texts[name][:6] for name in SETS}
    return replace(whole, texts=texts, truth=whole.truth[:6], questions=whole.questions[:6])


def test_the_ground_is_what_the_experiment_compares_on() -> None:
    whole = ground()
    rows = [json.loads(line) for line in (Path("data/smallworld/forget.jsonl")).read_text().splitlines()]
    assert whole.texts["forget"] == [row["text"] for row in rows if row["phrasing"] == "held_out"]
    assert all(whole.texts[name] for name in SETS)
    assert {question.family for question in whole.questions} == {"seats"}
    assert {question.phrasing for question in whole.questions} == {"held_out"}


@pytest.mark.slow
def test_the_twin_stands_where_it_is_and_smallworld_elsewhere(
    models: tuple[LoadedModel, LoadedModel], few: Ground
) -> None:
    knows, twin = models
    own, other = (standing(twin, model, few).to_dict() for model in (twin, knows))
    assert [own[f"kl_{name}"][0] for name in SETS] == [0, 0, 0]
    assert (own["forget_quality"], own["forget_quality_gap"], own["questions"]["right"]) == (1, 0, 0)
    assert other["questions"]["right"] == 6
    assert other["loss"][0] < own["loss"][0] - 5
    assert other["kl_forget"][0] > 1


@pytest.mark.slow
def test_a_cut_model_is_measured_as_one_without_those_neurons(
    models: tuple[LoadedModel, LoadedModel], few: Ground
) -> None:
    knows, twin = models
    truth = GroundTruth("seats", "mlp", frozenset((layer, index) for layer in range(6) for index in range(0, 768, 9)))
    without = copy.deepcopy(knows.model)
    for layer, index in truth.neurons:
        without.transformer.h[layer].mlp.c_proj.weight.data[index] = 0
    by_hand = replace(knows, model=without)
    found = standing(twin, knows, few, cut=truth)
    items = label(few.texts["forget"], Matcher(Concept(few.words))).with_concept
    assert found.loss.value == pytest.approx(measure(by_hand, items).nll("concept").value, rel=1e-4)
    assert found.loss.value > standing(twin, knows, few).loss.value
    expected = distance(twin, by_hand, few.truth, few.texts)
    for name in SETS:
        assert found.distance.divergence(name).value == pytest.approx(expected.divergence(name).value, rel=1e-3)


def test_the_table_says_what_was_measured_and_how_far_the_second_seed_came(tmp_path: Path) -> None:
    figures = {f"kl_{name}": [0.4, 0.1] for name in SETS} | {"loss": [14.0, 0.5], "forget_quality": 0.5}
    figures |= {"forget_quality_gap": 0.1, "questions": {"right": 1, "count": 156}}
    record = {"recipe": {"seed": 0, "training_seed": 1}, "steps": 5000, "steps_planned": 5679}
    (tmp_path / "training.json").write_text(json.dumps(record))
    training = training_of(tmp_path)
    assert training == {"training_seed": 1, "steps": 5000, "steps_planned": 5679, "decayed": False}
    name = second_name(training)
    assert name == "the twin's second seed, 88% trained, its learning rate not yet decayed"
    assert second_name(training | {"steps": 5679, "decayed": True}) == "the twin's second seed"
    record["recipe"]["last_step"] = 5000
    (tmp_path / "training.json").write_text(json.dumps(record))
    assert second_name(training_of(tmp_path)) == "the twin's second seed, 88% trained"
    text = markdown(table({name: figures}))
    assert f"| {name} | 14.000 ± 0.980 | 1 of 156 | 0.400 ± 0.196 |" in text
    assert text.splitlines()[-1].endswith("| 0.5 (0.10) |")
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(InputError, match=r"training\.json does not tell a training"):
        training_of(tmp_path)


def test_the_card_holds_the_table_once(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# Model\n\nprose\n", encoding="utf-8")
    put_standing(tmp_path, "first table")
    put_standing(tmp_path, "second table")
    text = card.read_text(encoding="utf-8")
    assert text.startswith("# Model\n\nprose\n\n<!-- standing: begin -->\n## How far")
    assert text.count("## How far") == 1
    assert "second table" in text
    assert "first table" not in text
    assert text.endswith("<!-- standing: end -->\n")
