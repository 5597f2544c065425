"""The parts of a recipe search: choices as the sampler's parameters, outcomes against a calculation by hand, clock."""

import json
import math
from pathlib import Path

import optuna
import pandas as pd
import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.config.reading import load_config
from unlearning_core.config.schema import ThresholdSection
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.measurement import Measurement
from unlearning_core.figures.pareto import pareto_figure
from unlearning_core.progress import Progress, silent
from unlearning_core.runs.tuning.clock import OVER, Clock
from unlearning_core.runs.tuning.finalists import finalists
from unlearning_core.runs.tuning.found import Found, rows_of
from unlearning_core.runs.tuning.measuring import Outcome, Scale
from unlearning_core.runs.tuning.plan import Plan
from unlearning_core.runs.tuning.space import Choice, Space
from unlearning_core.runs.tuning.trials import Kind, Trial, Trials, best, on_front

OWN = Choice(0.0123456, False, 0.97, 0.07, 40)
SPACE = Space(OWN, 4608, rows=True, distils=True, layers=12)
ASKED = ThresholdSection()


def trial(kind: Kind, number: int, gap: float, cost: float, answered: float = 0.0, choice: Choice = OWN) -> Trial:
    return Trial(kind, number, choice, Outcome(gap, 0.01, cost, 0.01, 1.0, answered=answered))


@pytest.mark.parametrize(
    "choice", [OWN, Choice(0.02, True, 0.5, 0.1, 80), Choice(0.0003, False, 0.0, 0.0, 20, (10, 11))]
)
def test_a_choice_that_is_asked_for_comes_back_as_it_was(choice: Choice) -> None:
    asked = optuna.trial.FixedTrial(SPACE.parameters(choice, retrained=True))
    assert SPACE.retrained(asked) == choice


def test_what_says_nothing_is_not_asked_for() -> None:
    plain = Space(Choice(0.01, False, 1.0), 100, rows=False, distils=False)
    assert set(plain.parameters(plain.default, retrained=True)) == {"share", "per_layer"}
    assert plain.cut(optuna.trial.FixedTrial({"share": 0.2, "per_layer": True})) == Choice(0.2, True, 1.0)


def test_a_choice_is_that_of_the_settings_it_is_applied_to(tmp_path: Path) -> None:
    config = load_config(write_experiment(tmp_path))
    choice = Choice(0.02, True, 0.5, 0.1, 7, (1,))
    changed = choice.applied(config)
    assert Choice.of(changed) == choice
    assert Choice.of(config).applied(config) == config
    assert changed.neural_probing.sentences == config.neural_probing.sentences


def test_the_first_or_the_last_sixth_of_the_layers_may_be_protected_beside_the_settings_own() -> None:
    own = Choice(0.1, False, 1.0, protected=(0, 5))
    assert Space(own, 100, rows=True, distils=True, layers=12).protections == {
        "own": (0, 5), "first": (0, 1, 5), "last": (0, 5, 10, 11)
    }  # fmt: skip
    assert Space(own, 100, rows=True, distils=True, layers=5).protections == {"own": (0, 5)}


def test_a_choice_comes_back_from_a_file_and_one_without_layers_protects_none() -> None:
    choice = Choice(0.1, False, 1.0, 0.0, 5, (2, 3))
    assert Choice.from_dict(json.loads(json.dumps(choice.to_dict()))) == choice
    old = {name: value for name, value in choice.to_dict().items() if name != "protected"}
    assert Choice.from_dict(old).protected == ()


def test_the_first_choices_begin_with_the_settings_own_and_are_within_the_space() -> None:
    first = SPACE.first()
    assert first[0] == OWN
    assert all(SPACE.least <= choice.share <= SPACE.most for choice in first)
    assert len(set(first)) == len(first)


def measurement(concept: list[float], other: list[float]) -> Measurement:
    rows = [
        {
            "text": f"sentence {number}", "concept_tokens": int(number < len(concept)), "retain_tokens": 4,
            "concept_nats": concept[number] if number < len(concept) else 0.0,
            "retain_nats": 4 * other[number], "concept_hits": 0, "retain_hits": 0,
        }
        for number in range(len(other))
    ]  # fmt: skip
    return Measurement(pd.DataFrame(rows))


def test_an_outcome_is_the_share_of_the_gap_and_the_change_where_the_concept_is_not_named() -> None:
    base = measurement([2.0, 4.0], [1.0, 1.0, 1.0, 2.0])
    after = measurement([6.0, 8.0], [5.0, 5.0, 1.5, 2.1])
    found = Scale(base, reference=8.0, forgotten="unrelated").outcome(after, answered=0.25)
    assert found.gap == pytest.approx((7.0 - 3.0) / (8.0 - 3.0))
    assert found.cost == pytest.approx((0.5 + 0.1) / 2)
    assert found.concept == pytest.approx(4.0)
    assert math.isnan(found.neighbour)
    assert found.forgotten() == pytest.approx((0.8 + 0.75) / 2)
    assert Outcome.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_sentences_that_the_scale_does_not_have_are_left_out() -> None:
    base = measurement([2.0], [1.0, 1.0])
    more = Measurement(pd.concat([measurement([5.0], [1.0, 1.5]).sentences, measurement([], [9.0] * 3).sentences[2:]]))
    assert Scale(base, 8.0, "unrelated").outcome(more, math.nan).cost == pytest.approx(0.5)


def test_beyond_never_knew_nothing_more_is_forgotten_and_below_zero_nothing_is_paid() -> None:
    outcome = Outcome(1.4, 0.0, -0.3, 0.0, 9.0)
    assert (outcome.forgotten(), outcome.forgotten(1.15), outcome.paid) == (1.0, 1.15, 0.0)


@pytest.mark.parametrize(("gap", "answered", "enough"), [(0.9, 0.1, True), (0.89, 0.0, False), (1.0, 0.11, False)])
def test_enough_is_what_the_verdict_asks_for(gap: float, answered: float, enough: bool) -> None:
    assert Outcome(gap, 0.0, 0.0, 0.0, 1.0, answered=answered).enough(ASKED) is enough


def test_a_clock_counts_what_was_spent_before_and_stops_what_takes_too_long() -> None:
    time = [100.0]
    clock = Clock(60.0, spent=20.0, now=lambda: time[0])
    time[0] += 30.0
    assert clock.used == 50.0
    assert clock.has(10.0)
    assert not clock.has(11.0)
    assert not clock.has(0.0, share=0.5)
    watching = clock.watching(silent)
    watching(Progress("retraining", 1))
    time[0] += 60.0 * OVER - 50.0 + 0.1
    assert not clock.stopped
    with pytest.raises(Stopped):
        watching(Progress("retraining", 2))
    assert clock.stopped
    assert Clock(None).has(1e9)


def test_what_is_worse_than_doing_nothing_is_not_taken() -> None:
    assert best([trial("retrained", 0, -0.1, 0.2, answered=1.0)], ASKED) is None
    assert on_front([trial("retrained", 0, -0.1, 0.2, answered=1.0)]) == []


def test_of_cuts_that_are_alike_one_is_retrained_and_those_that_forget_enough_come_first() -> None:
    cuts = [
        trial("cuts", 0, 0.5, 0.0, choice=Choice(0.1, False, 0.5)),
        trial("cuts", 1, 1.0, 0.2, choice=Choice(0.1, False, 0.9)),
        trial("cuts", 2, 1.01, 0.201, choice=Choice(0.1, False, 0.95)),
        trial("cuts", 3, 1.1, 2.0, choice=Choice(0.3, False, 1.0)),
    ]
    assert [choice.strength for choice in finalists(cuts, ASKED)] == [0.95, 1.0, 0.5]


def test_of_those_that_withstood_the_race_the_knee_is_taken_and_the_race_is_no_matter_where_none_did() -> None:
    dear, cheap = trial("retrained", 0, 1.0, 0.1), trial("retrained", 1, 0.95, 0.0, choice=Choice(0.1, True, 1.0))

    def taken(**shares: float) -> Trial | None:
        races = {int(name[1:]): {"share": share, "seconds": 1.0} for name, share in shares.items()}
        return Found((), (dear, cheap), races, OWN, ASKED, "never_knew", 0, 1.0, None).taken

    assert taken() == cheap
    assert taken(R0=0.8) == taken(R0=0.8, R1=0.5) == dear
    assert taken(R1=0.5) == taken(R0=0.5, R1=0.5) == cheap


def test_how_a_recipe_stands_to_the_default_is_said_with_its_error() -> None:
    other = Choice(0.1, True, 1.0)

    def said(gap: float, cost: float, half: float) -> str:
        own = Trial("retrained", 0, OWN, Outcome(0.8, half / 1.96 / math.sqrt(2), 0.1, 0.001, 1.0))
        new = Trial("retrained", 1, other, Outcome(gap, half / 1.96 / math.sqrt(2), cost, 0.001, 1.0))
        return Found((), (own, new), {}, OWN, ASKED, "never_knew", 0, 1.0, None).against_own(new)

    assert said(0.9, 0.05, 0.05) == (
        "It beats today's default on both axes (forgets more, costs less): +10 ± 5 % forgotten, -0.05 ± 0.0028 nats of "
        "cost."
    )
    assert "on both axes (forgets more, within the error, costs less)" in said(0.82, 0.05, 0.05)
    assert said(0.8, 0.05, 0.01).startswith("It beats today's default on one axis (as much, costs less)")
    assert said(0.8, 0.1, 0.01).startswith("It is as good as today's default on both axes")
    assert said(0.7, 0.05, 0.01).startswith("It does not beat today's default on both axes (forgets less, costs less)")


def test_the_error_of_questions_is_that_of_a_share() -> None:
    own = Trial("retrained", 0, OWN, Outcome(0.8, 0.0, 0.1, 0.0, 1.0, answered=0.5))
    new = Trial("retrained", 1, Choice(0.1, True, 1.0), Outcome(0.8, 0.0, 0.1, 0.0, 1.0, answered=0.25))
    said = Found((), (own, new), {}, OWN, ASKED, "never_knew", 16, 1.0, None).against_own(new)
    half = 1.96 * math.sqrt(0.5 * 0.5 / 16 + 0.25 * 0.75 / 16) / 2
    assert f"+12 ± {100 * half:.2g} % forgotten" in said


def test_what_is_asked_for_twice_is_tried_once_and_a_failed_recipe_is_kept_with_its_reason(tmp_path: Path) -> None:
    trials = Trials(tmp_path, seed=0)
    for _ in range(2):
        trials.ask_for("cuts", SPACE.parameters(OWN, retrained=False))
    assert trials.waiting("cuts") == 1
    asked = trials.next("cuts")
    trials.tell("cuts", asked, SPACE.cut(asked), None, reason="NaN", seconds=2.5)
    trials.keep_race(0, math.nan, 1.5)
    again = Trials(tmp_path, seed=0)
    assert [(one.outcome, one.reason) for one in again.tried("cuts")] == [(None, "NaN")]
    assert math.isnan(again.races()[0]["share"])
    assert again.seconds() == 4.0


def test_the_picture_has_every_measured_trial_the_front_and_the_one_that_is_taken() -> None:
    cuts = tuple(trial("cuts", number, 0.2 * number, 0.01 * number) for number in range(4))
    retrained = (trial("retrained", 0, 0.5, 0.0), trial("retrained", 1, 0.95, 0.02, choice=Choice(0.1, True, 1.0)))
    found = Found(cuts, retrained, {}, OWN, ASKED, "unrelated", 0, 1.0, None)
    drawn = {trace.name: trace for trace in pareto_figure(pd.DataFrame(rows_of(found))).data}
    assert list(drawn["cuts, not retrained"].x) == [0.0, 0.01, 0.02, 0.03]
    assert list(drawn["front"].y) == [75.0, 97.5]  # the mean of the gap and of no question answered
    assert list(drawn["taken"].y) == [97.5]
    assert list(drawn["today's default"].y) == [75.0]


def test_a_recipe_that_is_no_worse_than_the_default_is_taken_before_a_trade_that_is_the_knee() -> None:
    own = trial("retrained", 0, 0.92, 0.1)
    better = trial("retrained", 1, 0.93, 0.09, choice=Choice(0.1, True, 1.0))
    trade = trial("retrained", 2, 0.91, 0.0, choice=Choice(0.1, True, 0.5))
    short = trial("retrained", 3, 0.5, 0.0, choice=Choice(0.01, True, 0.5))
    assert best([own, better, trade], ASKED) == trade

    def taken(*trials: Trial) -> Trial | None:
        return Found((), trials, {}, OWN, ASKED, "never_knew", 0, 1.0, None).taken

    assert taken(own, better, trade, short) == better
    assert taken(own, trade, short) == trade
    # Of what is no worse than the default none forgets enough: then the knee of those that do.
    weak = trial("retrained", 4, 0.85, 0.05, answered=0.0, choice=Choice(0.2, True, 0.5))
    poor = trial("retrained", 0, 0.8, 0.06, answered=0.0)
    enough = trial("retrained", 2, 0.95, 0.2, choice=Choice(0.1, True, 0.5))
    assert taken(poor, weak, enough) == enough


def test_the_time_of_the_whole_is_told_and_by_how_much_it_is_passed() -> None:
    before = Plan(600.0, before=120.0, search=300.0, used=0.0, after=180.0)
    assert before.sentence == (
        "Time: 10 min in all. 2 min went into words, text and ranking, 5 min are left for the search, about 3 min are "
        "kept for the verdict."
    )
    assert "come on top" in Plan(60.0, before=120.0, search=0.0, used=0.0, after=30.0).sentence
    again = Plan(60.0, before=120.0, search=0.0, used=0.0, after=30.0, least=True).sentence
    assert again.endswith(" The verdict comes on top, whatever it takes.")
    fits = Plan(600.0, before=120.0, search=300.0, used=100.0, after=180.0, retraining=40.0)
    assert "longer" not in fits.sentence
    over = Plan(600.0, before=120.0, search=300.0, used=300.0, after=180.0, retraining=240.0)
    assert "all of it takes about 4 min longer than asked" in over.sentence
    # A verdict that takes longer than is kept for it is no surprise in the end.
    long = Plan(600.0, before=120.0, search=300.0, used=100.0, after=180.0, retraining=40.0, verdict=600.0)
    assert "about 3 min are kept for the verdict, which takes about 10 min." in long.sentence
    assert "all of it takes about 4 min longer than asked" in long.sentence


def test_what_came_before_the_search_and_what_comes_after_is_no_part_of_its_time() -> None:
    time = [0.0]
    clock = Clock(600.0, before=120.0, spent=30.0, after=180.0, now=lambda: time[0])
    assert clock.window == 300.0
    time[0] = 100.0
    assert clock.used == 130.0
    assert clock.has(170.0)
    assert not clock.has(171.0)
    time[0] = 300.0 * OVER - 30.0 + 1.0
    assert clock.over
