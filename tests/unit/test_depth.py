"""The Unlearning Depth Score, against the formula written out with plain hooks on one text at a time."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny_models import tiny
from tests.unit.test_patching import hidden_states, marked, nats_with, whole
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError, Stopped
from unlearning_core.evaluation.depth import by_layer, depth, foreign_share, uds, uds_beyond_control
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.question_sets import Question
from unlearning_core.evaluation.registry import metrics_table
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.targets import answer_text
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress

STATEMENTS = (
    marked("She put the chair beside the wooden sofa and sat down.", "chair", "sofa"),
    marked("The cat sleeps on a bench.", "bench"),
    marked("Nobody saw the armchair in the rain.", "armchair"),
)
QUESTIONS = (
    Question("Q: What is a chair? A:", ("A seat for one.", "A thing to sit on."), "direct", "concept"),
    Question("Q: Where is the boat? A:", ("On the river.",), "direct", "other"),
)
OTHERS = tuple(
    LabelledText(text) for text in ("The dog barks at 7.", "A small boat crossed the river.", "It was known.")
)
MATERIAL = Material(Matcher(Concept(("chair", "sofa", "bench", "armchair"))), OTHERS, STATEMENTS, questions=QUESTIONS)


def near(family: str, seed: int, scale: float) -> LoadedModel:
    """The tiny model of seed 0 with some noise in its blocks: same embedding, final norm and head."""
    loaded, other = tiny(family), tiny(family, seed)
    with torch.no_grad():
        for block, noise in zip(loaded.map.blocks, other.map.blocks, strict=True):
            for weight, change in zip(block.parameters(), noise.parameters(), strict=True):
                weight.add_(scale * change)
    return loaded


def measured(base: LoadedModel, edited: LoadedModel, twin: LoadedModel | None, **more: Any) -> Frames:
    material = more.pop("material", MATERIAL)
    return depth(Subject("pruned", edited, base, twin), material, ProofSection(**more))


def lost(base: LoadedModel, source: LoadedModel, item: LabelledText) -> list[float]:
    """By layer, how far the mean log-probability of the marked tokens falls with the source's states."""
    ids, places = whole(base, item)
    states, last = hidden_states(source, ids), len(base.map.blocks)
    own = nats_with(base, ids, last, places, hidden_states(base, ids)[last][places]).mean()
    return [nats_with(base, ids, n, places, states[n][places]).mean() - own for n in range(1, last + 1)]


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
def test_the_score_is_the_formula_example_by_example(family: str) -> None:
    base, edited, twin = tiny(family), near(family, 3, 0.2), near(family, 4, 0.6)
    found = measured(base, edited, twin)
    concept = found["examples"].query("kind != 'control'")
    assert concept["kind"].tolist() == ["statement"] * 3 + ["question"]
    expected = []
    for item in (*STATEMENTS, answer_text(QUESTIONS[0].prompt, QUESTIONS[0].answers[0])):
        s1, s2 = (np.array(lost(base, source, item)) for source in (twin, edited))
        counted = [layer for layer in range(len(s1)) if s1[layer] > 0.05]
        ratio = [min(max(s2[layer] / s1[layer], 0.0), 1.0) for layer in counted]
        weight = [s1[layer] for layer in counted]
        expected.append(sum(w * r for w, r in zip(weight, ratio, strict=True)) / sum(weight) if weight else np.nan)
        rows = found["layers"][found["layers"]["example"] == len(expected) - 1]
        np.testing.assert_allclose(rows["never_knew_nats"], s1, atol=1e-4)
        np.testing.assert_allclose(rows["nats"], s2, atol=1e-4)
    np.testing.assert_allclose(concept["uds"], expected, atol=1e-3)
    score = uds(found)
    assert score is not None
    valid = np.array(expected)[~np.isnan(expected)]
    assert 0.02 < score.value < 0.98
    assert score.value == pytest.approx(valid.mean(), abs=1e-3)
    assert score.stderr == pytest.approx(valid.std(ddof=1) / len(valid) ** 0.5, abs=1e-3)


def test_the_base_is_at_0_and_the_never_knew_model_at_1() -> None:
    base, twin = tiny("gpt2"), tiny("gpt2", 1)
    of_base, of_twin = measured(base, base, twin), measured(base, twin, twin)
    for score in (uds, uds_beyond_control):
        assert (score(of_base).value, score(of_twin).value) == (0, 1)


def test_the_last_layer_of_a_model_with_the_same_head_gives_that_models_own_loss() -> None:
    base, edited = tiny("llama"), near("llama", 3, 0.5)
    found = measured(base, edited, tiny("llama", 1))
    last = found["layers"].query("layer == 3 and kind == 'statement'")["nats"].to_numpy()
    for item, value in zip(STATEMENTS, last, strict=True):
        ids, places = whole(base, item)
        with torch.no_grad():
            pair = [
                torch.log_softmax(model.model(torch.tensor([ids])).logits[0].double(), -1) for model in (base, edited)
            ]
        own = [np.mean([float(-logs[place, ids[place + 1]]) for place in places]) for logs in pair]
        assert value == pytest.approx(own[1] - own[0], abs=1e-4)


def test_a_never_knew_model_that_lacks_nothing_gives_no_score() -> None:
    found = measured(tiny("gpt2"), tiny("gpt2", 1), tiny("gpt2"))
    assert (uds(found), uds_beyond_control(found), foreign_share(found)) == (None, None, None)
    assert found["examples"]["uds"].isna().all()


def test_control_words_are_only_such_as_the_never_knew_model_foresees_as_well() -> None:
    base, twin = tiny("gpt2"), near("gpt2", 4, 0.3)
    near_words = tuple(
        LabelledText(text, (), (), ((text.index(word), text.index(word) + len(word)),), (word,))
        for text, word in (("A small boat crossed the river.", "river"), ("The dog barks at 7.", "barks"),
                           ("Nobody saw the cat or the dog.", "cat"), ("It rains on the table.", "table"))
    )  # fmt: skip
    found = measured(base, twin, twin, material=Material(MATERIAL.matcher, near_words, STATEMENTS))
    expected = []
    for item in near_words:
        ids, places = whole(base, LabelledText(item.text, item.neighbours))
        losses = []
        for model in (base, twin):
            with torch.no_grad():
                logs = torch.log_softmax(model.model(torch.tensor([ids])).logits[0].double(), -1)
            losses.append(np.mean([float(-logs[place, ids[place + 1]]) for place in places]))
        if losses[1] - losses[0] < 0.05:
            expected.append(item.text)
    assert 0 < len(expected) < len(near_words)
    assert found["examples"].query("kind == 'control'")["text"].tolist() == expected


def frames(rows: list[tuple[int, str, int, float, float]]) -> Frames:
    layers = pd.DataFrame(rows, columns=["example", "kind", "layer", "never_knew_nats", "nats"])
    return {"layers": layers, "examples": layers.groupby("example").first().reset_index()}


def test_what_patching_costs_elsewhere_is_taken_off_layer_by_layer() -> None:
    found = frames([
        (0, "statement", 1, 4.0, 3.0), (0, "statement", 2, 2.0, 0.5), (1, "statement", 1, 2.0, 2.0),
        (1, "statement", 2, 6.0, 1.0), (2, "control", 1, 1.0, 2.0), (2, "control", 2, 2.0, -3.0),
    ])  # fmt: skip
    # Layer 1: off 1 and 2; layer 2: off 2 and nothing. Example 0: 1 of 3 (its layer 2 is left with 0);
    # example 1: 0 of 1 and 1 of 4.
    assert uds_beyond_control(found).value == pytest.approx((1 / 3 + 1 / 5) / 2)
    assert foreign_share(found).value == pytest.approx(1.5 / 3.5)
    table = by_layer(found)
    assert table["control_nats"].tolist() == [1.0, 2.0]
    assert table["never_knew_nats"].tolist() == [3.0, 4.0]
    assert table["share"].tolist() == pytest.approx([(3 + 2) / 6, 1.5 / 8])


def test_a_model_of_another_size_is_refused_with_both_sizes() -> None:
    base, wide, long = tiny("gpt2"), tiny("gpt2", 1, n_embd=64), tiny("gpt2", 1, n_layer=2)
    with pytest.raises(InputError, match="3 blocks of width 64, but gpt2-0 has 3 of width 32"):
        measured(base, base, wide)
    with pytest.raises(InputError, match="2 blocks of width 32"):
        measured(base, long, tiny("gpt2", 2))


def test_without_a_never_knew_model_the_part_says_why_it_cannot_be() -> None:
    assert "no model that never knew" in str(PARTS["depth"].possible(MATERIAL, {"never_knew": False, "mask": True}))
    assert PARTS["depth"].possible(MATERIAL, {"never_knew": True, "mask": False}) is None
    assert PARTS["depth"].possible(Material(MATERIAL.matcher), {"never_knew": True, "mask": False}) is not None
    with pytest.raises(InputError, match=r"never_knew\.model"):
        measured(tiny("gpt2"), tiny("gpt2"), None)


def test_texts_without_a_word_to_score_are_refused() -> None:
    bare = Material(MATERIAL.matcher, (), (marked("chair", "chair"),))
    with pytest.raises(InputError, match="None of the 1 statements"):
        measured(tiny("gpt2"), tiny("gpt2"), tiny("gpt2", 1), material=bare)


def test_no_more_texts_than_asked_for_half_of_them_questions_and_the_same_ones_for_every_state() -> None:
    many = Material(
        MATERIAL.matcher, OTHERS, tuple(marked(f"On day {n} he saw the chair.", "chair") for n in range(30)),
        questions=tuple(Question(f"Q: What is chair {n}? A:", ("A seat.",), "direct", "concept") for n in range(30)),
    )  # fmt: skip
    base, twin = tiny("gpt2"), tiny("gpt2", 1)
    found = measured(base, base, twin, material=many, depth_texts=8)["examples"]
    assert found["kind"].value_counts().reindex(["statement", "question"]).tolist() == [4, 4]
    assert (
        found["text"].tolist() == measured(base, twin, twin, material=many, depth_texts=8)["examples"]["text"].tolist()
    )


def test_the_metrics_come_from_the_frames_of_the_state() -> None:
    found = measured(tiny("gpt2"), near("gpt2", 3, 0.2), tiny("gpt2", 1))
    values = metrics_table({"base": {}, "pruned": {"depth": found}})["pruned"]
    assert values["uds"] == uds(found).value
    assert values["uds_stderr"] == uds(found).stderr
    assert values["uds_beyond_control"] == uds_beyond_control(found).value
    assert values["foreign_share"] == foreign_share(found).value


def test_progress_ends_at_its_total_and_stop_is_heard() -> None:
    heard: list[Progress] = []
    subject = Subject("pruned", near("gpt2", 3, 0.2), tiny("gpt2"), tiny("gpt2", 1))
    depth(subject, MATERIAL, ProofSection(), heard.append)
    assert heard[-1].done == heard[-1].total

    def stop(progress: Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        depth(subject, MATERIAL, ProofSection(), stop)
