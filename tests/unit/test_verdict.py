"""The verdict: forgotten only where everything passes, and named for what fails."""

import json

import numpy as np
import pytest

from unlearning_core.config.schema import ThresholdSection
from unlearning_core.evaluation.verdict import Attack, Judgement, judge

TWIN = {
    "gap_closed": 1.0, "questions_answered": 0.0, "invited_words_per_100": 1.0, "uds": 1.0, "statement_nll": 14.0,
    "retain_text_delta": 0.01, "neighbour_text_delta": 0.03, "other_questions_answered": 1.0, "repetition": 0.0,
    "relearn_steps_50": 20.0, "relearn_share_50": 1.0, "attack_facts": 0.02, "other_text_delta": 0.0,
}  # fmt: skip
BASE = {"statement_nll": 2.0, "invited_words_per_100": 10.0, "repetition": 0.0}
GOOD = TWIN | {"uds": 0.9, "relearn_steps_50": 18.0, "relearn_share_50": 0.9, "gap_closed": 0.95, "statement_nll": 13.4}
ATTACKS = [Attack("attack_facts", "Train on some facts, test on others")]


def judged(values: dict[str, float | None], *, twin: bool = True, trained: bool = False) -> Judgement:
    metrics = {"base": BASE, "pruned": values} | ({"never_knew": TWIN} if twin else {})
    return judge(metrics, "pruned", ThresholdSection(), attacks=ATTACKS, budget=80, trained=trained)


def test_forgotten_is_where_every_part_passes() -> None:
    found = judged(GOOD)
    assert (found.verdict, found.failed) == ("forgotten", [])
    assert {check.subject for check in found.checks} == {"gone", "cost", "neighbours", "back"}


def test_the_model_that_never_knew_has_forgotten_and_the_base_has_not() -> None:
    metrics = {"base": BASE, "never_knew": TWIN}
    assert judge(metrics, "never_knew", ThresholdSection(), attacks=ATTACKS, budget=80).verdict == "forgotten"
    untouched = GOOD | {"gap_closed": 0.0, "questions_answered": 1.0, "statement_nll": 2.0, "relearn_share_50": 0.0,
                        "invited_words_per_100": 10.0, "retain_text_delta": 0.0, "uds": 0.0}  # fmt: skip
    assert judged(untouched).verdict == "not forgotten"


@pytest.mark.parametrize(
    ("changed", "verdict", "named"),
    [
        ({"relearn_share_50": 0.2}, "suppressed", "steps until half is back, beside never-knew's (20 %)"),
        ({"uds": 0.1}, "suppressed", "depth of the forgetting (10 %)"),
        ({"uds": 0.9, "uds_beyond_control": 0.1}, "suppressed", "depth of the forgetting (10 %)"),
        ({"uds": 0.2, "uds_beyond_control": 0.39}, "forgotten", "no attack brought it back"),
        ({"retain_text_delta": 0.06, "retain_text_delta_stderr": 0.08}, "unproven", "nats lost on other text (0.06)"),
        ({"retain_text_delta": 0.26, "retain_text_delta_stderr": 0.08}, "costly", "nats lost on other text (0.26)"),
        ({"attack_facts": 0.5}, "suppressed", "train on some facts"),
        ({"retain_text_delta": 0.2}, "costly", "nats lost on other text (0.2)"),
        ({"neighbour_text_delta": 0.2}, "costly", "nats lost on text about neighbours"),
        ({"other_questions_answered": 0.5}, "costly", "other questions still answered"),
        ({"other_questions_answered": 0.06}, "harmful", "other questions still answered"),
        ({"gap_closed": 0.5}, "dimmed", "gap to never-knew closed (50 %)"),
        ({"gap_closed": 0.1, "questions_answered": 0.4}, "dimmed", "questions still answered (40 %)"),
        ({"gap_closed": 0.1, "questions_answered": 0.6}, "not forgotten", "gap to never-knew closed (10 %)"),
        ({"gap_closed": 0.95, "questions_answered": 0.6}, "dimmed", "questions still answered"),
        ({"statement_nll": 2.08, "retain_text_delta": 0.3, "gap_closed": 0.01}, "harmful", "other text has suffered"),
        ({"uds": None}, "unproven", "depth of the forgetting"),
        ({"attack_facts": None}, "unproven", "train on some facts"),
        ({"other_questions_answered": None}, "unproven", "other questions still answered"),
        ({"questions_answered": 0.08, "questions_answered_stderr": 0.1}, "unproven", "questions still answered"),
        ({"gap_closed": 0.1, "questions_answered": 0.5, "questions_answered_stderr": 0.5}, "not forgotten", "gap"),
        ({"retain_text_delta": 1.5, "statement_nll": 14.0}, "harmful", "nats lost on other text"),
    ],
)
def test_what_fails_decides_and_is_named(changed: dict[str, float | None], verdict: str, named: str) -> None:
    found = judged(GOOD | changed)
    assert found.verdict == verdict
    assert named in found.sentence.lower()


def test_a_little_less_likely_is_not_called_dimmed() -> None:
    found = judged(GOOD | {"gap_closed": 0.006, "statement_nll": 2.08, "questions_answered": 0.98})
    assert found.verdict == "not forgotten"


def test_steps_are_held_against_the_model_that_never_knew_or_a_number() -> None:
    thresholds = ThresholdSection(relearning=0.75, relearning_steps=32)
    assert judged(GOOD | {"relearn_share_50": 0.75}).verdict == "forgotten"
    assert judged(GOOD | {"relearn_share_50": 0.74}).verdict == "suppressed"
    alone = {name: value for name, value in GOOD.items() if name != "uds"} | {"lens_told": 0.1}
    for steps, verdict in ((31.0, "suppressed"), (32.0, "forgotten")):
        pruned = alone | {"relearn_gentle_steps_50": steps, "invited_words_per_100": 0.4}
        metrics = {"base": BASE | {"lens_told": 0.5}, "pruned": pruned}
        assert judge(metrics, "pruned", thresholds, attacks=ATTACKS, budget=80).verdict == verdict


def test_where_the_model_was_trained_it_is_compared_with_the_control() -> None:
    values = GOOD | {"retain_text_delta": -0.3, "control_retain_delta": 0.2, "control_neighbour_delta": 0.0}
    assert judged(values, trained=False).verdict == "forgotten"
    found = judged(values, trained=True)
    assert found.verdict == "costly"
    assert "beside a base retrained likewise" in found.sentence


def test_the_interval_says_how_certain_a_check_is() -> None:
    unsure, sure = (judged(GOOD | {"questions_answered": 0.08, "questions_answered_stderr": e}) for e in (0.05, 0.005))
    for found, certain in ((unsure, False), (sure, True)):
        check = next(check for check in found.checks if check.metric == "questions_answered")
        assert (check.passed, check.certain) == (True, certain)
        assert check.low == pytest.approx(0.08 - 1.96 * (0.005 if certain else 0.05))
        assert ("too close to be sure" in check.sentence()) != certain


def test_nothing_measured_is_no_verdict_of_forgetting() -> None:
    assert judged({}, twin=False).verdict == "not forgotten"
    assert judged({"invited_words_per_100": 0.0}, twin=False).verdict == "not forgotten"


def test_a_verdict_from_numbers_of_numpy_can_be_written_and_shares_are_read_in_percent() -> None:
    found = judged(GOOD | {"gap_closed": np.float64(0.069), "gap_closed_stderr": np.float64(0.005)})
    check = next(check for check in found.checks if check.metric == "gap_closed")
    assert json.loads(json.dumps(found.to_dict()))["failed"] == ["gap_closed"]
    assert check.sentence() == "Gap to never-knew closed: 6.9 % (95 % interval 5.9 % to 7.9 %); at least 90 % asked."


def test_what_can_be_counted_is_said_in_numbers() -> None:
    metrics = {"base": BASE, "pruned": GOOD | {"questions_answered": 0.5}, "never_knew": TWIN}
    found = judge(metrics, "pruned", ThresholdSection(), counts={"questions_answered": (6, 12)})
    check = next(check for check in found.checks if check.metric == "questions_answered")
    assert check.sentence() == "Questions still answered: 6 of 12, 50 %; at most 10 % asked."


def test_an_attack_that_is_not_counted_decides_nothing_and_is_still_told() -> None:
    metrics = {"base": BASE, "pruned": GOOD | {"attack_pasted": 1.0}, "never_knew": TWIN}
    pasted = Attack("attack_pasted", "Weights pasted back", judges=False)
    found = judge(metrics, "pruned", ThresholdSection(), attacks=[*ATTACKS, pasted], budget=80)
    assert (found.verdict, found.failed) == ("forgotten", [])
    assert found.checks[-1].sentence().endswith("Not counted in the verdict.")


def test_what_can_be_told_inside_is_asked_where_there_is_no_model_that_never_knew() -> None:
    own = {name: value for name, value in GOOD.items() if name != "uds"}
    own |= {"relearn_gentle_steps_50": 40.0, "invited_words_per_100": 0.4}
    for told, verdict in ((0.5, "suppressed"), (0.2, "forgotten"), (None, "unproven")):
        metrics = {"base": BASE | {"lens_told": 0.5}, "pruned": own | {"lens_told": told}}
        assert judge(metrics, "pruned", ThresholdSection(), attacks=ATTACKS, budget=80).verdict == verdict


def test_a_race_too_short_to_tell_is_not_passed() -> None:
    own = {name: value for name, value in GOOD.items() if name != "uds"} | {"lens_told": 0.1}
    pruned = own | {"relearn_gentle_steps_50": 3.0, "invited_words_per_100": 0.4}
    metrics = {"base": BASE | {"lens_told": 0.5}, "pruned": pruned}
    assert judge(metrics, "pruned", ThresholdSection(), attacks=ATTACKS, budget=2).verdict == "unproven"


def test_a_few_questions_are_not_certain() -> None:
    metrics = {"base": BASE, "pruned": GOOD, "never_knew": TWIN}
    few = judge(metrics, "pruned", ThresholdSection(), attacks=ATTACKS, counts={"questions_answered": (0, 3)})
    assert few.verdict == "unproven"
