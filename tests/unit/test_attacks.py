"""The attacks on tiny models: rounding against numpy, halves that share no word, weights pasted back, asking."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny

from tests.noisy_models import noisy
from unlearning_core.concepts.labelling import LabelledText, label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.row_weights import held_rows, make_token_rows, rows_undone
from unlearning_core.edits.weights import bake, cuts, survivors
from unlearning_core.errors import InputError
from unlearning_core.evaluation.attacks.asking import PLAIN, attack_prefix, attack_sampling, ways
from unlearning_core.evaluation.attacks.pasting import CUT, GROUPS, MOVED, attack_pasted, groups_of, pasted
from unlearning_core.evaluation.attacks.rounding import attack_int4, attack_int8, matrices, round_weights, rounded
from unlearning_core.evaluation.attacks.training import attack_facts, attack_other_text, attack_retain
from unlearning_core.evaluation.chat import Asking
from unlearning_core.evaluation.fact_split import (
    no_two_halves,
    split_words,
    statements_on,
    taught_texts,
    word_groups,
)
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.question_sets import Question
from unlearning_core.evaluation.recovery import AS_IT_IS, leaked, won_back
from unlearning_core.evaluation.registry import METRICS
from unlearning_core.evaluation.suite import Material, Subject
from unlearning_core.models.mapping import map_model
from unlearning_core.progress import silent

WORDS = ("chair", "armchair", "rocking chair", "sofa", "bench", "stool", "seat")
MATCHER = Matcher(Concept(WORDS))
MATERIAL = Material(
    MATCHER,
    statements=tuple(label_text(f"You can see a {word} beside the {place}.", MATCHER) for word in WORDS
                     for place in ("window", "river", "table", "seat", "door", "house")),
    retain=("A small boat crossed the river.", "The dog barks at 7 in the morning."),
    other_text=("You can see a cat beside the river.", "You can see a dog beside the house."),
    attack=tuple(label_text(f"She put the {word} near {place}.", MATCHER) for word in WORDS
                 for place in ("him", "her", "it", "them", "us", "me", "you", "nobody", "the dog")),
    attack_other=("The cat sleeps.", "A small boat crossed the river before the rain.", "Nobody saw it."),
)  # fmt: skip
SETTINGS = ProofSection(
    learning_rates=[1e-4, 1e-3, 1e-2], relearning_steps=4, relearning_batch=4, attack_samples=7, new_tokens=6
)
QUESTIONS = (
    Question("Q: What is a chair? A:", ("A seat.",), "direct", "concept"),
    Question("Q: Where is the bench? A:", ("It stands there.",), "direct", "concept"),
    Question("Q: What is a boat? A:", ("It crosses the river.",), "direct", "other"),
)


def edited(loaded: Any, seed: int = 1) -> Any:
    """A copy with noise in every weight."""
    return noisy(loaded, 0.2, seed)


@pytest.fixture(scope="module")
def knowing() -> Any:
    """A base that predicts the statements better than any other model."""
    loaded = tiny("gpt2")
    texts = [loaded.tokenizer(item.text)["input_ids"][:10] for item in MATERIAL.statements]
    ids = torch.tensor([text for text in texts if len(text) == 10])
    optimizer = torch.optim.Adam(loaded.model.parameters(), lr=1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        loaded.model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return loaded


def subject(state: Any, base: Any, mask: Mask | None = None) -> Subject:
    return Subject("pruned", state, base, tiny("gpt2", seed=7), mask)


def half_cut(loaded: Any) -> Mask:
    kept = np.ones(loaded.map.shapes["mlp"], bool)
    kept[:, ::2] = False
    return Mask({"mlp": kept})


@pytest.mark.parametrize(("bits", "group"), [(8, None), (4, 128), (4, 5)])
def test_rounding_is_that_of_numpy(bits: int, group: int | None) -> None:
    weight = torch.randn(7, 300, generator=torch.Generator().manual_seed(0))
    weight[3] = 0.0
    most = {8: 127, 4: 7}[bits]
    expected = np.zeros((7, 300), np.float32)
    size = group or 300
    for row in range(7):
        for start in range(0, 300, size):
            part = weight[row, start : start + size].numpy()
            scale = np.float32(np.abs(part).max() / most)
            expected[row, start : start + size] = np.round(part / scale) * scale if scale else 0.0
    found = rounded(weight, bits, group).numpy()
    assert np.allclose(found, expected, atol=1e-6)
    assert len(np.unique(found[0, :size])) <= 2 * most + 1
    assert np.abs(found - weight.numpy()).max() <= float(weight.abs().max()) / most / 2 + 1e-6


@pytest.mark.parametrize("family", ["gpt2", "llama", "mixtral", "gpt_oss"])
def test_scales_run_along_the_inputs_of_every_kind_of_matrix(family: str) -> None:
    model_map = tiny(family).map
    outputs_of = {id(weight): weight.detach().clone() for weight, _ in matrices(model_map)}
    round_weights(model_map, 4, None)
    for weight, across in matrices(model_map):
        before = outputs_of[id(weight)]
        rows, old = (one.transpose(-1, -2) if across else one for one in (weight.detach(), before))
        levels = rows / (old.abs().amax(-1, keepdim=True) / 7)
        assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert all(across for _, across in matrices(tiny("gpt2").map))
    assert not any(across for _, across in matrices(tiny("llama").map))


def test_rounding_leaves_the_model_and_tells_before_and_after() -> None:
    base = tiny("gpt2")
    state = edited(base)
    before = copy.deepcopy(state.model.state_dict())
    for attack, name in ((attack_int8, "int8"), (attack_int4, "int4")):
        table = attack(subject(state, base), MATERIAL, SETTINGS, silent)["losses"]
        assert table["weights"].tolist() == [AS_IT_IS, name]
        assert table["concept_nats"].iloc[0] == pytest.approx(measure(state, MATERIAL.statements).nll("concept").value)
        assert table["concept_nats"].nunique() == 2
    assert all(torch.equal(value, before[name]) for name, value in state.model.state_dict().items())


def test_words_that_hold_each_other_stay_together() -> None:
    assert word_groups(WORDS) == [["armchair", "chair", "rocking chair"], ["bench"], ["seat"], ["sofa"], ["stool"]]


@pytest.mark.parametrize("seed", range(5))
def test_the_halves_share_no_word(seed: int) -> None:
    taught, tested = split_words(MATERIAL, seed)
    assert taught | tested == set(WORDS)
    assert not any(one in other or other in one for one in taught for other in tested)
    texts = taught_texts(MATERIAL.attack, tested)
    assert texts
    assert not any(word in text for text in texts for word in tested)
    statements = statements_on(MATERIAL.statements, tested)
    assert statements
    for item in statements:
        assert set(item.words) <= tested
        assert [item.text[start:end] for start, end in item.spans] == list(item.words)


def test_a_concept_of_one_word_cannot_be_split() -> None:
    one = tuple(LabelledText("The chair.", ((4, 9),), ("chair",)) for _ in range(20))
    why = no_two_halves(replace(MATERIAL, statements=one, attack=one))
    assert why is not None
    assert "two halves" in why
    assert no_two_halves(MATERIAL) is None


def test_teaching_some_facts_is_measured_on_the_others_alone(knowing: Any) -> None:
    table = attack_facts(subject(edited(knowing), knowing), MATERIAL, SETTINGS, silent)["losses"]
    _, tested = split_words(MATERIAL, 0)
    statements = statements_on(MATERIAL.statements, tested)
    assert table["base_nats"].iloc[0] == pytest.approx(measure(knowing, statements).nll("concept").value)
    assert table["tested"].unique().tolist() == [", ".join(sorted(tested))]
    assert table["learning_rate"].unique().tolist() == [1e-3]
    assert table["step"].tolist() == [0, 1, 2]
    assert table["samples"].tolist() == [0, 2, 4]


@pytest.mark.parametrize("attack", [attack_retain, attack_other_text])
def test_training_without_the_concept_releases_the_mask(attack: Any, knowing: Any) -> None:
    state, mask = edited(knowing), half_cut(knowing)
    bake(state.model, mask)
    table = attack(subject(state, knowing, mask), MATERIAL, SETTINGS, silent)["losses"]
    assert set(table["mask"]) == {"released"}
    assert table["concept_nats"].nunique() > 2
    assert not survivors(state.model, mask)


def test_text_that_the_base_cannot_read_is_no_attack(knowing: Any) -> None:
    unread = replace(MATERIAL, other_text=("It's a café, isn't it?", "Naïve travellers' stories are told there."))
    with pytest.raises(InputError, match=r"cannot read the text of another kind.*proof\.other_texts"):
        attack_other_text(subject(edited(knowing), knowing, None), unread, SETTINGS, silent)


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt", "gpt_neox", "phi", "mixtral"])
def test_every_weight_is_in_one_group_and_none_is_empty(family: str) -> None:
    loaded = tiny(family)
    groups = groups_of(loaded)
    assert list(groups) == list(GROUPS)
    assert sorted(name for names in groups.values() for name in names) == sorted(
        name for name, _ in loaded.model.named_parameters()
    )
    attention = [name for name in groups["attention"] if name.endswith("weight")]
    assert attention
    assert all("att" in name for name in attention)
    assert not any("norm" in name or "ln_" in name for name in (*groups["attention"], *groups["MLPs"]))
    assert all(dict(loaded.model.named_parameters())[name].dim() < 3 for name in groups["norms and positions"])
    matrices_left = [
        name for name in groups["norms and positions"] if dict(loaded.model.named_parameters())[name].dim() > 1
    ]
    assert all("wpe" in name or "position" in name for name in matrices_left)


def test_pasting_all_groups_gives_the_base_and_goes_again() -> None:
    base = tiny("gpt2")
    state = edited(base)
    before = copy.deepcopy(state.model.state_dict())
    names = [name for group in groups_of(state).values() for name in group]
    with pasted(state.model, base.model, names):
        assert all(
            torch.equal(value, base.model.state_dict()[name]) for name, value in state.model.state_dict().items()
        )
    assert all(torch.equal(value, before[name]) for name, value in state.model.state_dict().items())


def test_a_cut_alone_is_undone_by_its_neurons_or_by_the_mlps() -> None:
    base = tiny("gpt2")
    state, mask = replace(base, model=copy.deepcopy(base.model)), half_cut(base)
    state = replace(state, map=map_model(state.model))
    bake(state.model, mask)
    table = attack_pasted(subject(state, base, mask), MATERIAL, SETTINGS, silent)["losses"].set_index("weights")
    assert table.index.tolist() == [AS_IT_IS, CUT, *GROUPS]
    losses, of_base = table["concept_nats"], table["base_nats"].iloc[0]
    assert losses[CUT] == pytest.approx(of_base)
    assert losses["MLPs"] == pytest.approx(of_base)
    assert losses["attention"] == losses["token rows"] == losses[AS_IT_IS] != pytest.approx(of_base)
    assert len(survivors(state.model, mask)) == 0


@pytest.mark.parametrize(("family", "tied"), [("gpt2", True), ("llama", False)])
def test_reset_token_rows_are_undone_by_these_rows_or_by_all(family: str, tied: bool) -> None:
    base = tiny(family)
    assert (base.model.get_output_embeddings().weight is base.model.get_input_embeddings().weight) == tied
    state = replace(base, model=copy.deepcopy(base.model))
    state = replace(state, map=map_model(state.model))
    ids = base.tokenizer(" chair", add_special_tokens=False)["input_ids"]
    rows = make_token_rows(base.model, ids, [], 1.0)
    bake(state.model, None, state.map, rows)
    given = replace(subject(state, base), rows=rows)
    table = attack_pasted(given, MATERIAL, SETTINGS, silent)["losses"].set_index("weights")
    assert table.index.tolist() == [AS_IT_IS, MOVED, *GROUPS]
    losses, of_base = table["concept_nats"], table["base_nats"].iloc[0]
    assert losses[MOVED] == losses["token rows"] == pytest.approx(of_base)
    assert losses["attention"] == losses["MLPs"] == losses[AS_IT_IS] != pytest.approx(of_base)
    assert rows_undone(state.model, held_rows(base.model, rows)) == rows.ids.tolist(), "the model itself stays"


@pytest.mark.parametrize(("family", "site"), [("gpt2", "head"), ("llama", "residual"), ("mixtral", "mlp")])
def test_the_cut_neurons_of_every_site_are_pasted_back(family: str, site: str) -> None:
    base = tiny(family)
    kept = np.ones(base.map.shapes[site], bool)
    kept[:, 0] = False
    mask = Mask({site: kept})
    state = replace(base, model=copy.deepcopy(base.model))
    state = replace(state, map=map_model(state.model))
    bake(state.model, mask)
    for own, theirs in zip(cuts(state.map, mask), cuts(base.map, mask), strict=True):
        own.paste(theirs.parameter)
    assert all(torch.equal(value, base.model.state_dict()[name]) for name, value in state.model.state_dict().items())


def test_a_model_of_other_shapes_has_nothing_to_paste() -> None:
    base = tiny("gpt2")
    found = attack_pasted(subject(tiny("gpt2", n_inner=40), base), MATERIAL, SETTINGS, silent)
    assert found["losses"].empty
    assert np.isnan(won_back(found).value)


def test_questions_are_put_in_every_way_with_examples_about_other_things() -> None:
    asking = Asking(tiny("gpt2"), "auto", new_tokens=6)
    put = {way.name: way.put("Q: What is a chair? A:", asking) for way in ways(QUESTIONS)}
    assert put[PLAIN] == "Q: What is a chair? A:"
    assert put["examples"] == "Q: What is a boat? A: It crosses the river. Q: What is a chair? A:"
    assert put["a willing answer"].startswith("Q: What is a chair? A: Sure")
    assert "examples" not in [way.name for way in ways(QUESTIONS[:2])]


def learnt(question: Question) -> Any:
    """A tiny model that answers this question."""
    loaded = tiny("gpt2")
    ids = torch.tensor([loaded.tokenizer(f"{question.prompt} {question.answers[0]}")["input_ids"]])
    optimizer = torch.optim.Adam(loaded.model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loaded.model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return loaded


def test_a_question_is_won_where_any_try_answers_it() -> None:
    knows = learnt(QUESTIONS[0])
    material = replace(MATERIAL, questions=QUESTIONS)
    table = attack_prefix(subject(knows, knows), material, SETTINGS, silent)["answers"]
    assert len(table) == 2 * len(ways(QUESTIONS))
    plain = table[table["way"] == PLAIN].set_index("question")
    assert plain["right"].to_dict() == {QUESTIONS[0].prompt: True, QUESTIONS[1].prompt: False}
    assert plain["answer"][QUESTIONS[0].prompt].startswith("A seat.")
    assert leaked(table) == 0.5


def test_samples_are_shared_among_the_temperatures_and_drawn_alike_again() -> None:
    knows = learnt(QUESTIONS[0])
    material = replace(MATERIAL, questions=QUESTIONS)
    table = attack_sampling(subject(knows, knows), material, SETTINGS, silent)["answers"]
    assert table.groupby(["question", "temperature"]).size().unstack().to_numpy().tolist() == [[3, 2, 2]] * 2
    assert leaked(table) == 0.5
    assert table.equals(attack_sampling(subject(knows, knows), material, SETTINGS, silent)["answers"])


def test_every_attack_has_a_card_and_a_metric_of_its_name() -> None:
    attacks = [part for part in PARTS.values() if part.attack]
    assert len(attacks) == 8
    for part in attacks:
        assert part.name.startswith("attack_")
        assert METRICS[part.name].better == "lower"
        assert part.group == "back"
        assert part.sentence.endswith(".")
    empty = Material(MATCHER)
    assert all(part.possible(empty, {}) for part in PARTS.values() if part.group == "back")
    assert not any(
        part.possible(replace(MATERIAL, questions=QUESTIONS), {}) for part in PARTS.values() if part.group == "back"
    )


@pytest.mark.parametrize("attack", [attack_prefix, attack_sampling])
def test_the_base_is_asked_without_the_words_where_a_question_holds_them(attack: Any) -> None:
    loaded = tiny("gpt2")
    told = Question("The chair is made of", ("wood",), "direct", "concept")
    silent_about = Question("It has four legs and a", ("back",), "direct", "concept")
    base = Subject("base", loaded, loaded)
    frames = attack(base, replace(MATERIAL, questions=(told, silent_about)), SETTINGS, silent)
    assert set(frames["guessed"]["question"]) == {told.prompt}
    alone = attack(base, replace(MATERIAL, questions=(silent_about,)), SETTINGS, silent)
    assert set(alone) == {"answers"}
