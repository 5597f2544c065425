"""The Proof page: what it says is what the verdict holds, and a check is started, watched and found again."""

import json
import shutil
from pathlib import Path

import numpy as np
import psutil
import pytest
from streamlit.testing.v1 import AppTest

from tests.tiny_experiment import write_experiment
from tests.ui.pieces import NewRun, button, fine, labelled
from unlearning_core.config.reading import load_config
from unlearning_core.evaluation.answers import GREEDY
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.verdict import SUBJECTS
from unlearning_core.methods.registry import states_of
from unlearning_core.runs import proof
from unlearning_core.runs.benchmarks import benchmark
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.proof_evidence import (
    answered_states,
    answers,
    attacks,
    back_by_weights,
    of_questions,
    outcomes,
    races,
    won_answers,
)
from unlearning_core.runs.proof_standing import is_current, measured, standing
from unlearning_core.runs.run import Run

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "max_statements": 8, "max_texts": 8, "max_questions": 8, "question_samples": 0, "prompt_samples": 1,
    "new_tokens": 4, "depth_texts": 4, "learning_rates": [1e-3], "relearning_steps": 2, "relearning_batch": 4,
    "attack_samples": 2, "control": False,
}  # fmt: skip
THIN = ("losses", "questions", "writing")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a cut that is at its end and was never checked."""
    folder = tmp_path_factory.mktemp("finished")
    ranked = {"ranker": "activation_ratio"}
    config = write_experiment(folder, neural_probing=ranked, retraining={"enabled": False}, proof=SMALL)
    run = create_run(load_config(config), folder / "runs")
    execute(run)
    return run


def copied(run: Run, folder: Path) -> Run:
    """The same run, in a place of its own."""
    shutil.copytree(run.folder.parent, folder / "runs")
    return Run(folder / "runs" / run.id)


@pytest.fixture(scope="module")
def checked(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """That run, evaluated in its losses, questions and texts."""
    run = copied(finished, tmp_path_factory.mktemp("checked"))
    proof.prove(run, parts=THIN)
    return run


def open_on(page: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("UNLEARNING_RUNS", str(run.folder.parent))
    monkeypatch.chdir(ROOT)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
    app.query_params["run"] = run.id
    app.run()
    return fine(app.switch_page(f"pages/{page}.py").run())


def text_of(app: AppTest) -> str:
    """Everything that is read on the page, as it is read."""
    parts = [*app.markdown, *app.header, *app.subheader, *app.caption]
    return "\n".join(part.value for part in parts).replace("\\", "").replace("\N{NO-BREAK SPACE}", " ")


def test_it_says_what_the_verdict_says_of_every_state(checked: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = checked.verdict() or {}
    app = open_on("proof", checked, monkeypatch)
    (big,) = app.header
    assert verdict["verdict"].capitalize() in big.value
    text = text_of(app)
    assert verdict["sentence"] in text
    for title in SUBJECTS.values():
        assert title in text
    for state, judged in verdict["states"].items():
        assert f"[**{state.capitalize()}**]" in text
        for check in judged["checks"]:  # also those in an expander
            assert check["sentence"] in text
            if check["passed"] is False and check["example"]:
                assert check["example"].split("\n")[0][:20] in text


def test_the_answers_are_counted_as_in_the_frames_and_filtered(checked: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = {state: (checked.proof_frames("questions", state) or {})["answers"] for state in answered_states(checked)}
    greedy = {state: rows[rows["sample"] == GREEDY].set_index("prompt") for state, rows in frames.items()}
    known = [prompt for prompt, row in greedy["base"].iterrows() if row["exact"] and row["about"] == "concept"]
    still = sum(bool(greedy["pruned"].loc[prompt, "exact"]) for prompt in known)
    table = answers(checked, list(frames))
    assert of_questions(table, "pruned") == (still, len(known))
    app = open_on("proof", checked, monkeypatch)
    counts = {metric.label: metric.value for metric in app.metric}
    assert counts["Pruned"] == f"{still} of {len(known)}"
    labelled(app.selectbox, "Show").set_value("all").run()
    shown = fine(app).dataframe[-1].value
    about = table[table["about"] == "concept"]
    assert list(shown["Question"]) == list(about["prompt"])
    assert [text.startswith("✓") for text in shown["Base"]] == list(about["base right"])


def test_a_verdict_from_before_a_change_is_said_to_be_old(
    checked: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(checked, tmp_path)
    assert is_current(run)
    run.save_config(run.config.model_copy(update={"seed": 5}))
    assert not is_current(run)
    execute(run)
    app = open_on("proof", run, monkeypatch)
    assert any("changed since" in warning.value for warning in app.warning)
    app = open_on("compare", run, monkeypatch)
    assert any("not a verdict" in link.proto.label for link in app.get("page_link"))


def test_each_attack_is_a_card_that_says_what_came_of_it(checked: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_on("proof", checked, monkeypatch)
    for attack in attacks():
        assert f"**{attack.title}**" in text_of(app)
        assert attack.sentence in text_of(app)
        assert not outcomes(checked.verdict(), attack)
    assert text_of(app).count("Not tried yet") == len(attacks())


def test_the_time_is_that_of_earlier_checks_of_the_model(checked: Run, tmp_path: Path) -> None:
    stages = checked.status()["stages"]
    other = create_run(checked.config.model_copy(update={"seed": 3}), checked.folder.parent)
    time = standing(other).time(THIN)
    assert time is not None
    states = len(states_of(checked.config))
    assert (time.stages, time.source) == (3 * states, "earlier")
    of_parts = [step["seconds"] for name, step in stages.items() if name.partition(" ")[0] in THIN]
    assert time.seconds == pytest.approx(sum(of_parts))
    done = standing(checked).time(THIN)
    assert done is not None
    assert done.stages == 0
    alone = create_run(checked.config, tmp_path)
    assert standing(alone).time(THIN) is None  # nothing of that model is known, nor how fast it is here


def test_a_quick_look_runs_in_a_process_of_its_own_and_its_verdict_is_shown(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(finished, tmp_path)
    app = open_on("proof", run, monkeypatch)
    assert any("rough guess" in caption.value for caption in app.caption)
    fine(button(app, "Quick look").click().run())
    assert proof.is_running(run)
    assert any(one.label == "Stop" for one in app.button)
    process = json.loads((run.job_folder(proof.JOB) / "process.json").read_text())
    psutil.Process(process["pid"]).wait(800)
    app = open_on("proof", run, monkeypatch)
    verdict = run.verdict()
    assert verdict is not None
    assert verdict["quick"]
    assert verdict["sentence"] in text_of(app)
    assert {part for part in PARTS if any(name.startswith(f"{part} ") for name in measured(run))} >= set(THIN)
    edited = {attack.name: outcomes(verdict, attack) for attack in attacks()}
    for held, word in ((True, "It held]"), (False, "It broke in]")):
        assert text_of(app).count(word) == sum(
            bool(found) and found[-1].held == held and (held or found[-1].judges) for found in edited.values()
        )
    rows = (run.proof_frames("attack_int8", "pruned") or {})["losses"]
    gap = rows["forgotten_nats"] - rows["base_nats"]
    by_hand = ((rows["forgotten_nats"] - rows["concept_nats"]) / gap.where(gap > 0)).clip(0, 1)
    table = back_by_weights(run, PARTS["attack_int8"])
    assert table is not None
    np.testing.assert_allclose(table["pruned"], by_hand)
    assert list(races(run, PARTS["relearn"])) == ["base", "pruned"]
    asked = (run.proof_frames("attack_sampling", "pruned") or {})["answers"]
    won = won_answers(run, PARTS["attack_sampling"], "pruned", most=1000)
    assert len(won or []) == asked[asked["right"].astype(bool)]["question"].nunique()


def test_benchmarks_that_were_measured_are_a_table(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(finished, tmp_path)
    assert "Well-known benchmarks" not in [tab.label for tab in open_on("proof", run, monkeypatch).tabs]
    rows = [{"text": "Anna sat on the chair.", "label": number % 2} for number in range(5)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "places", "dataset_path": "json", "dataset_kwargs": {"data_files": str(tmp_path / "rows.jsonl")},
        "test_split": "train", "output_type": "multiple_choice", "doc_to_text": "{{text}}",
        "doc_to_choice": ["yes", "no"], "doc_to_target": "label", "metric_list": [{"metric": "acc"}],
    }  # fmt: skip
    (tmp_path / "places.yaml").write_text(json.dumps(task))  # JSON is YAML
    found = benchmark(run, ["places"], folder=tmp_path)
    app = open_on("proof", run, monkeypatch)
    assert "Well-known benchmarks" in [tab.label for tab in app.tabs]
    (shown,) = app.dataframe[-1].value.to_dict("records")
    by_state = found.set_index("state")["value"]
    assert (shown["Task"], shown["Examples"]) == ("places", "5")
    for state in ("base", "pruned"):
        assert shown[state.capitalize()].startswith(f"{by_state[state]:.3f} ± ")


def test_a_check_that_failed_says_why(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copied(finished, tmp_path)
    gone = run.config.proof.model_copy(update={"questions": str(tmp_path / "gone.jsonl")})
    run.save_config(run.config.model_copy(update={"proof": gone}))
    proof.start(run, ["losses"])
    psutil.Process(json.loads((run.job_folder(proof.JOB) / "process.json").read_text())["pid"]).wait(800)
    monkeypatch.setenv("UNLEARNING_RUNS", str(run.folder.parent))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
    app.query_params["run"] = run.id
    app.run()
    app.switch_page("pages/proof.py").run()
    assert any("gone" in error.value for error in app.error)


def test_without_a_cut_it_says_what_is_needed(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_on("proof", new_run(), monkeypatch)
    assert any("Choose and keep a cut first" in info.value for info in app.info)
