"""`unlearn MODEL CONCEPT`: a recipe is searched, taken, made and judged; a stop loses nothing."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.cli.app import main
from unlearning_core.cli.auto_concept import Stopwatch, asked_words
from unlearning_core.config.reading import load_config
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.files import ROOT
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.naming import given_name
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning.measuring import CutMeter, Outcome
from unlearning_core.runs.tuning.search import ALWAYS_CUTS, Limits, RecipeSearch
from unlearning_core.runs.tuning.space import Choice
from unlearning_core.runs.tuning.trials import Trials
from unlearning_core.runs.tuning.tuned_runs import TRIAL_NOTE, find_or_create_tuned

LIMITS = Limits(cuts=8, retrained=1)

QUICK = (
    "neural_probing.ranker=mean_difference", "neural_probing.ranker_parameters={}", "evaluation.max_sentences=12",
    "retraining.dataset=null", "retraining.max_steps=1", "retraining.concept_texts=0", "retraining.depth_weight=0",
    "retraining.measure_while_learning=false", "generation.max_new_tokens=4", "generation.samples=1",
    "proof.control=false", "proof.other_texts=few.jsonl", "proof.max_texts=8", "proof.max_statements=8",
    "proof.max_questions=8", "proof.question_samples=0", "proof.answer_tokens=4", "proof.new_tokens=4",
    "proof.relearning_steps=1", "proof.learning_rates=[1e-4]", "proof.attack_samples=1",
)  # fmt: skip

SMALL = {
    "neural_probing": {"ranker": "mean_difference", "token_rows": {"strength": 1.0, "broad_text": False}},
    "retraining": {"objective": "distill", "max_steps": 2, "measure_while_learning": False},
    "evaluation": {"max_sentences": 20},
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ExperimentConfig:
    return load_config(write_experiment(tmp_path_factory.mktemp("case"), **SMALL))


@pytest.fixture(scope="module")
def cuts_alone(config: ExperimentConfig) -> ExperimentConfig:
    return config.model_copy(update={"retraining": config.retraining.model_copy(update={"enabled": False})})


def recipes(run: Run, seed: int = 0) -> dict[str, list[tuple[Choice, Outcome | None]]]:
    trials = Trials(run.tuning_folder, seed)
    return {kind: [(trial.choice, trial.outcome) for trial in trials.tried(kind)] for kind in ("cuts", "retrained")}


def searched(config: ExperimentConfig, root: Path) -> Run:
    run, _ = find_or_create_tuned(config, root)
    RecipeSearch(run, config, LIMITS).compute()
    return run


@pytest.fixture(scope="module")
def unbroken(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return searched(config, tmp_path_factory.mktemp("unbroken"))


def test_a_search_that_was_stopped_among_the_cuts_goes_on_and_measures_nothing_twice(
    cuts_alone: ExperimentConfig, unbroken: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = list[Choice]()
    really = CutMeter.measure

    def counting(self: CutMeter, choice: Choice) -> tuple[Outcome, int]:
        if len(measured) == 5 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt  # in the middle of the sixth
        measured.append(choice)
        return really(self, choice)

    stopped = list[bool]()
    monkeypatch.setattr(CutMeter, "measure", counting)
    run, _ = find_or_create_tuned(cuts_alone, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        RecipeSearch(run, cuts_alone, LIMITS).compute()
    again, known = find_or_create_tuned(cuts_alone, tmp_path)
    assert (again, known) == (run, True)
    RecipeSearch(again, cuts_alone, LIMITS).compute()
    assert len(measured) == len(set(measured)) == LIMITS.cuts
    # What is tried does not depend on retraining, nor on where it was stopped.
    assert recipes(run)["cuts"] == recipes(unbroken)["cuts"]


def test_a_search_that_was_stopped_in_a_retraining_goes_on_with_it(
    config: ExperimentConfig, unbroken: Run, tmp_path: Path
) -> None:
    def stop(update: Progress) -> None:
        if update.task == "recipe 1: retraining":
            raise Stopped("enough")

    run, _ = find_or_create_tuned(config, tmp_path)
    with pytest.raises(Stopped):
        RecipeSearch(run, config, LIMITS).compute(stop)
    stopped = [one.id for one in list_runs(tmp_path) if one.note(TRIAL_NOTE)]
    RecipeSearch(run, config, LIMITS).compute()
    assert [one.id for one in list_runs(tmp_path) if one.note(TRIAL_NOTE)] == stopped
    assert recipes(run) == recipes(unbroken)


def test_the_settings_own_recipe_is_tried_first_of_the_cuts_and_of_the_retrained(
    config: ExperimentConfig, unbroken: Run
) -> None:
    own = Choice.of(config)
    assert [tried[0][0] for tried in recipes(unbroken).values()] == [own, own]


def test_a_retrained_recipe_is_a_run_that_can_be_opened_and_comes_to_what_its_model_comes_to(unbroken: Run) -> None:
    (trial,) = Trials(unbroken.tuning_folder, 0).tried("retrained")
    run = Run(unbroken.folder.parent / trial.run)
    assert Choice.of(run.config) == trial.choice
    assert run.note(TRIAL_NOTE)["of"] == unbroken.id
    assert given_name(run) == f"{trial.name} of {unbroken.id[:15]}"
    items = unbroken.sentences("held_out").items
    base, after = (
        measure(RunContext(one).model(state), items).sentences
        for one, state in ((unbroken, "base"), (run, "retrained"))
    )
    change = (after["concept_nats"].sum() - base["concept_nats"].sum()) / base["concept_tokens"].sum()
    free = base["concept_tokens"] == 0
    cost = (after["retain_nats"] - base["retain_nats"])[free].sum() / base["retain_tokens"][free].sum()
    assert trial.outcome is not None
    assert (trial.outcome.concept, trial.outcome.cost) == pytest.approx((change, cost), abs=1e-6)


def test_more_trials_are_added_to_those_that_were_made(cuts_alone: ExperimentConfig, tmp_path: Path) -> None:
    run, _ = find_or_create_tuned(cuts_alone, tmp_path)
    found = [RecipeSearch(run, cuts_alone, Limits(cuts=count)).compute() for count in (3, 5)]
    assert [len(one.cuts) for one in found] == [3, 5]
    assert found[1].cuts[:3] == found[0].cuts


def test_when_the_time_is_over_only_the_least_is_tried_and_what_comes_on_top_was_said(
    cuts_alone: ExperimentConfig, tmp_path: Path
) -> None:
    run, _ = find_or_create_tuned(cuts_alone, tmp_path)
    said = list[str]()
    found = RecipeSearch(run, cuts_alone, Limits(seconds=0.001)).compute(say=said.append)
    assert len(found.cuts) == ALWAYS_CUTS
    (sentence,) = said
    assert "come on top" in sentence


def test_where_nobody_can_be_asked_the_proposed_words_are_told_and_how_to_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["smallworld", "bed"]) == 2  # standard input of a test is no terminal
    *_, said = capsys.readouterr().err.splitlines()
    assert "bed, " in said
    assert "--yes" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("answer", "expected"), [("", ("bed", "cot")), ("bed, hammock", ("bed", "hammock")), ("-", ()), (" cot ", ("cot",))]
)
def test_a_person_takes_the_proposed_words_or_types_others(
    answer: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    assert asked_words("Words", ("bed", "cot"), Stopwatch()) == expected


@pytest.mark.timeout(1800)
def test_one_command_ends_with_a_front_a_verdict_and_a_model_that_stock_transformers_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM

    monkeypatch.chdir(tmp_path)
    lines = (ROOT / "data" / "smallworld" / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text("\n".join(lines[:200]), encoding="utf-8")
    words = ["smallworld", "chair, sofa, bench, stool, couch, armchair, seat, pew, throne", "--sentences", "few.jsonl"]
    words += ["--trials", "6", "--retrained", "1", "--yes"]
    words += [part for one in QUICK for part in ("--set", one)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    run = Run(Path(printed.splitlines()[-1]))
    told = json.loads((run.tuning_folder / "pareto.json").read_text(encoding="utf-8"))
    verdict = run.verdict()
    assert verdict is not None
    assert verdict["sentence"] in printed
    assert verdict["state"] == "retrained"
    measured = run.status()["stages"]
    assert "relearn retrained" in measured
    assert "relearn pruned" not in measured, "the model that it ends with is judged, not the one before"
    assert f"The knee is {told['taken']}." in printed
    opened = next(line.removeprefix("Try it:").strip() for line in printed.splitlines() if line.startswith("Try it:"))
    program = shlex.split(opened.removesuffix(", then").replace("python", sys.executable, 1))
    assert program.pop(0) == f"UNLEARNING_RUNS={run.folder.parent.resolve()}"
    subprocess.run([*program, "--help"], cwd=ROOT, check=True, timeout=800)
    assert "<html" in (run.tuning_folder / "pareto.html").read_text(encoding="utf-8")

    chosen = next(trial["choice"] for trial in told["trials"] if trial["name"] == told["taken"])
    assert Choice.of(run.config).to_dict() == chosen
    model = AutoModelForCausalLM.from_pretrained(run.model("retrained"))
    assert model.config.model_type == "gpt2"

    # What repeats it is a config: run elsewhere, where nothing of it is known, it comes to the same numbers.
    elsewhere = ["--set", f"output_dir={tmp_path / 'elsewhere'}"]
    assert main(["run", str(run.reproduce_file), *elsewhere]) == 0
    repeated = Run(Path(capsys.readouterr().out.splitlines()[-1]))
    assert repeated.folder.parent == tmp_path / "elsewhere"
    assert repeated.metrics() == run.metrics()
    # The same command finds everything done.
    there = len(list_runs(tmp_path / "runs"))
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(run.folder)
    assert len(list_runs(tmp_path / "runs")) == there
