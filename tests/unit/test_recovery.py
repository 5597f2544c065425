"""Levels between base and forgotten, and what is back of the gap, against arithmetic by hand."""

import math
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from unlearning_core.evaluation.recovery import (
    Gap,
    answers_won,
    samples_to,
    share_of_steps,
    steps_back,
    steps_to,
    won_back,
    worst,
    worst_rate,
)
from unlearning_core.evaluation.registry import metrics_table
from unlearning_core.runs.proof_evidence import race_outcome


def curve(losses: dict[tuple[float, str], list[float]], base: float = 2.0, forgotten: float = 12.0) -> pd.DataFrame:
    """Of each (learning rate, mask) the losses at steps 0, 4, 8, ..., of 8 texts each."""
    rows = [
        {"learning_rate": rate, "mask": mask, "step": 4 * number, "samples": 32 * number, "concept_nats": nats}
        for (rate, mask), one in losses.items()
        for number, nats in enumerate(one)
    ]
    return pd.DataFrame(rows).assign(base_nats=base, forgotten_nats=forgotten, unrelated_nats=math.nan)


def test_levels_lie_between_base_and_forgotten_whatever_a_contender_starts_from() -> None:
    gap = Gap(base=2.0, forgotten=12.0)
    assert [gap.level(share) for share in (0.0, 0.5, 0.9, 1.0)] == [12.0, 7.0, 3.0, 2.0]
    assert [gap.back(nats) for nats in (12.0, 7.0, 3.0, 2.0)] == [0.0, 0.5, 0.9, 1.0]
    assert gap.back(20.0) == 0.0
    assert gap.back(1.0) == 1.0
    assert math.isnan(Gap(3.0, 2.0).back(2.5))
    assert math.isnan(Gap(3.0, 3.0).level(0.5))


def test_between_two_measurements_the_loss_falls_in_a_straight_line() -> None:
    found = steps_back(curve({(1e-4, "none"): [12.0, 9.0, 5.0, 8.0], (1e-3, "none"): [6.0, 9.0]}), 0.5)
    assert found["steps"].tolist() == [6.0, 0.0]
    assert found["samples"].tolist() == [48.0, 0.0]


def test_the_first_step_at_the_level_counts() -> None:
    found = steps_back(curve({(1e-4, "none"): [12.0, 7.0, 6.0], (1e-3, "none"): [12.0, 7.1, 7.2]}), 0.5)
    assert found["steps"].tolist() == [4.0, math.inf]
    assert found["samples"].tolist() == [32.0, math.inf]
    assert found["lowest"].tolist() == [6.0, 7.1]


def test_an_edit_that_forgot_little_needs_no_step() -> None:
    race = {"race": curve({(1e-4, "none"): [3.4, 2.9]})}
    assert steps_to(race, 0.5).value == 0.0
    assert steps_to(race, 0.9).value == pytest.approx(3.2)


def test_the_worst_rate_and_mask_count() -> None:
    table = curve(
        {(1e-4, "kept"): [12.0, 9.0, 6.0], (1e-4, "released"): [12.0, 6.5], (1e-3, "kept"): [12.0, 11.0, 8.0]}
    )
    assert worst(table, 0.5)[["learning_rate", "mask"]].tolist() == [1e-4, "released"]
    assert steps_to({"race": table}, 0.5).value == pytest.approx(4 * 5 / 5.5)
    assert samples_to({"race": table}, 0.5).value == pytest.approx(32 * 5 / 5.5)
    assert worst_rate({"race": table}, 0.5).value == 1e-4


def test_never_within_the_budget_is_one_step_more() -> None:
    race = {"race": curve({(1e-4, "none"): [12.0, 11.0, 10.0], (1e-3, "none"): [12.0, 9.0, 8.0]})}
    assert steps_to(race, 0.5).value == 9.0
    assert samples_to(race, 0.5).value == 72.0
    assert worst_rate(race, 0.5).value == 1e-3


def test_a_gap_that_there_is_not_gives_no_number() -> None:
    race = {"race": curve({(1e-4, "none"): [3.0, 3.0]}, base=3.0, forgotten=2.0)}
    assert math.isnan(steps_to(race, 0.5).value)
    assert math.isnan(samples_to(race, 0.5).value)
    assert math.isnan(worst_rate(race, 0.5).value)
    assert math.isnan(share_of_steps(race, race, 0.5).value)
    assert math.isnan(won_back({"losses": race["race"]}).value)


def test_a_state_is_compared_with_never_knew_at_the_same_rate() -> None:
    never_knew = {"race": curve({(1e-4, "none"): [12.0] * 11, (1e-3, "none"): [12.0, 6.0]})}
    state = {"race": curve({(1e-4, "kept"): [12.0, 10.0, 6.0], (1e-3, "kept"): [12.0, 6.0]})}
    assert steps_to(never_knew, 0.5).value == steps_to(state, 0.5).value == pytest.approx(10 / 3)
    assert share_of_steps(never_knew, state, 0.5).value == pytest.approx(7 / 41)
    assert share_of_steps(never_knew, never_knew, 0.5).value == 1.0


def test_rates_at_which_steps_are_too_coarse_are_left_out_where_there_are_others() -> None:
    fast = {(1e-3, "none"): [12.0, 6.0]}
    slow = {(1e-4, "none"): [12.0, 11.0, 10.0, 6.0]}
    state = curve({(1e-3, "none"): [6.0], (1e-4, "none"): [12.0, 11.0, 10.0, 6.0]})
    assert share_of_steps({"race": curve(fast | slow)}, {"race": state}, 0.5).value == 1.0
    assert share_of_steps({"race": curve(fast)}, {"race": state}, 0.5).value == 0.0


def test_an_attack_wins_what_lies_beyond_what_it_teaches_a_model_that_never_knew() -> None:
    never_knew = {"losses": curve({(1e-4, "none"): [12.0, 11.0, 9.0]})}
    state = {"losses": curve({(1e-4, "released"): [12.0, 8.0, 7.0]})}
    assert won_back(state).value == pytest.approx(0.5)
    assert won_back(state, never_knew).value == pytest.approx(0.3)
    assert won_back(never_knew, never_knew).value == 0.0


def test_what_was_never_gone_counts_before_any_attack() -> None:
    never_knew = {"losses": curve({(1e-4, "none"): [12.0, 4.0]})}
    base_like = {"losses": curve({(1e-4, "none"): [2.0, 2.0]})}
    assert won_back(base_like, never_knew).value == 1.0


def test_without_such_a_model_what_an_attack_makes_of_the_words_everywhere_does_not_count() -> None:
    table = curve({(1e-4, "none"): [12.0, 8.0, 7.0]})
    assert won_back({"losses": table.assign(unrelated_nats=[12.0, 8.5, 9.0])}).value == pytest.approx(0.2)
    assert won_back({"losses": table.assign(unrelated_nats=[20.0, 20.0, 20.0])}).value == pytest.approx(0.5)
    assert won_back({"losses": table.assign(unrelated_nats=[11.0, 7.0, 6.0])}).value == 0.0


def weights(rows: dict[str, float]) -> dict[str, pd.DataFrame]:
    table = pd.DataFrame({"weights": list(rows), "concept_nats": list(rows.values())})
    return {"losses": table.assign(base_nats=2.0, forgotten_nats=12.0, unrelated_nats=math.nan)}


def test_what_cannot_be_done_to_the_never_knew_model_is_held_against_it_as_it_is() -> None:
    state = weights({"as they are": 11.0, "cut neurons": 9.0, "MLPs": 8.0})
    never_knew = weights({"as they are": 12.0, "MLPs": 8.5})
    assert won_back(state, never_knew).value == pytest.approx(0.3)
    assert won_back(state).value == pytest.approx(0.4)
    assert math.isnan(won_back(weights({})).value)


def answers(*right: tuple[str, bool]) -> dict[str, pd.DataFrame]:
    return {"answers": pd.DataFrame(right, columns=["question", "right"])}


def test_answers_count_beyond_those_that_need_no_knowledge() -> None:
    base = answers(("a", True), ("a", False), ("b", True), ("c", True), ("d", True))
    state = answers(("a", False), ("a", True), ("b", True), ("c", False), ("d", False))
    never_knew = answers(("a", True), ("b", False), ("c", False), ("d", False))
    assert answers_won(base, state).value == 0.5
    assert answers_won(base, state, never_knew).value == pytest.approx(1 / 3)
    assert answers_won(base, never_knew, never_knew).value == 0.0
    assert answers_won(base, base, never_knew).value == 1.0
    assert math.isnan(answers_won(never_knew, state, never_knew).value)


def test_without_a_never_knew_model_what_the_base_guesses_is_no_knowledge() -> None:
    base = answers(("a", True), ("b", True), ("c", True), ("d", False))
    state = answers(("a", True), ("b", True), ("c", False), ("d", False))
    guessed = answers(("a", True), ("b", False))["answers"]
    # Of three quarters the base answers one without the words, and of the other two the state still has one.
    assert answers_won({**base, "guessed": guessed}, state).value == pytest.approx((2 / 4 - 1 / 4) / (3 / 4 - 1 / 4))
    assert answers_won({**base, "guessed": guessed.head(0)}, state).value == pytest.approx(2 / 3)


def test_the_registry_computes_them_with_and_without_a_never_knew_model() -> None:
    race = {"race": curve({(1e-4, "none"): [12.0, 10.0, 6.0]})}
    twin = {"race": curve({(1e-4, "none"): [12.0, 11.0, 10.0]})}
    attack = {"losses": curve({(1e-4, "none"): [12.0, 8.0]})}
    twin_attack = {"losses": curve({(1e-4, "none"): [12.0, 11.0]})}
    inputs = {"base": {}, "pruned": {"relearn": race, "attack_facts": attack}}
    alone = metrics_table(inputs)["pruned"]
    assert alone["relearn_steps_50"] == 7.0
    assert alone["relearn_steps_90"] == 9.0
    half = {"race": race["race"].assign(until=0.5)}
    ended = metrics_table({"base": {}, "pruned": {"relearn": half}})["pruned"]
    assert ended["relearn_steps_50"] == 7.0
    assert ended["relearn_steps_90"] is None  # the race ended before
    assert "relearn_share_50" not in alone
    assert alone["attack_facts"] == pytest.approx(0.4)
    both = metrics_table({**inputs, "never_knew": {"relearn": twin, "attack_facts": twin_attack}})
    assert both["pruned"]["relearn_share_50"] == pytest.approx(7 / 9)
    assert both["pruned"]["attack_facts"] == pytest.approx(0.3)
    assert both["never_knew"]["relearn_share_50"] == 1.0
    assert both["never_knew"]["attack_facts"] == 0.0


def test_without_a_model_that_never_knew_the_race_is_told_at_the_low_rate_that_it_is_judged_by() -> None:
    slow, fast = [12.0, 11.0, 10.0, 9.0], [12.0, 4.0, 3.0, 2.0]
    frames = {"race": curve({(1e-4, "none"): slow, (1e-3, "none"): fast})}
    asked = SimpleNamespace(relearning_steps=8, relearning=0.75)
    config = SimpleNamespace(proof=SimpleNamespace(thresholds=asked), never_knew=SimpleNamespace(model=None))
    run: Any = SimpleNamespace(config=config, proof_frames=lambda part, state: frames if state == "retrained" else None)
    found = race_outcome(run, "retrained")
    assert found is not None
    # Held, for at the low rate half is not back: that is what stands beside the word, not the fast rate's 2.5 steps.
    assert (found.held, found.rate, found.steps, found.asked) == (True, 1e-4, math.inf, 8.0)
    assert found.fastest == (1e-3, pytest.approx(2.5))
    asked.relearning_steps = 16
    again = race_outcome(run, "retrained")
    assert again is not None
    assert not again.held
