"""The steps of a notebook on a tiny model: what they make is a run as any other, once, and goes on."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import unlearning_core as uw
from tests.tiny_experiment import SEATS, sentences
from tests.tiny_models import save_tiny
from unlearning_core.config.reading import build_config
from unlearning_core.errors import InputError, Stopped
from unlearning_core.notebook import Concept, Edited, Model, Retrained
from unlearning_core.notebook.bar import NotebookBar
from unlearning_core.progress import Progress, silent
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import create_run, execute

SMALL = {
    "evaluation.max_sentences": 12, "generation.samples": 1, "generation.max_new_tokens": 4, "retraining.max_steps": 3,
    "retraining.batch_size": 4, "retraining.objective": "text", "proof.max_questions": 8,
    "retraining.measure_while_learning": False, "neural_probing.prune_ratio": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("notebook") / "tiny-llama")


@pytest.fixture(scope="module")
def made(folder: Path) -> tuple[Concept, Edited, Retrained]:
    """The path once, in a folder of its own."""
    concept = labelled(uw.load(folder, device="cpu", runs=folder.parent / "runs", progress=silent))
    edited = concept.rank("activation_ratio").edit(token_rows=0)
    return concept, edited, edited.heal()


def labelled(model: Model) -> Concept:
    return model.label([*SEATS, "sit"], sentences=sentences(80), name="seats <b>", settings=SMALL)


def folders(step: Concept | Edited | Retrained) -> list[str]:
    return [run.id for run in list_runs(step.run.folder.parent)]


def test_one_path_is_one_run_and_the_numbers_are_its_own(made: tuple[Concept, Edited, Retrained]) -> None:
    concept, edited, retrained = made
    assert concept.run == edited.run == retrained.run
    assert folders(concept)[-1] == retrained.run.id
    assert retrained.run.status()["state"] == "finished"
    written = json.loads((retrained.run.folder / "metrics.json").read_text())
    frame = retrained.to_frame()
    assert list(frame)[:3] == ["base", "pruned", "retrained"]
    for state in ("base", "pruned", "retrained"):
        assert frame.loc["concept_nll", state] == written[state]["concept_nll"]
        assert frame.loc["concept_nll", f"{state}_stderr"] == written[state]["concept_nll_stderr"]
    sentence_rows = concept.to_frame()
    stored = [json.loads(line) for line in (concept.run.sentences_file("held_out")).read_text().splitlines()]
    assert (sentence_rows["part"] == "held_out").sum() == len(stored)
    assert set(sentence_rows["words"].explode().dropna()) <= {*SEATS, "sit"}


def test_the_run_is_what_its_settings_make_without_a_notebook(
    made: tuple[Concept, Edited, Retrained], tmp_path: Path
) -> None:
    settings = made[2].run.config
    run = create_run(build_config(settings.model_dump() | {"output_dir": str(tmp_path)}), tmp_path)
    execute(run, until="prune")
    assert run.recipe().mask == made[1].run.recipe().mask
    pd.testing.assert_frame_equal(run.ranking(), made[1].run.ranking())


def test_the_same_cells_make_nothing_twice(made: tuple[Concept, Edited, Retrained], folder: Path) -> None:
    before, told = folders(made[0]), list[Progress]()
    model = uw.load(folder, device="cpu", runs=folder.parent / "runs", progress=told.append)
    told.clear()
    again = labelled(model)
    edited = again.rank("activation_ratio").edit(token_rows=0)
    retrained = edited.heal()
    assert told == []
    assert (again.run, edited.run, retrained.run) == (made[0].run, made[1].run, made[2].run)
    assert folders(made[0]) == before


def test_another_ratio_is_another_run_and_what_was_made_stays(made: tuple[Concept, Edited, Retrained]) -> None:
    concept, edited, _ = made
    kept = edited.to_frame()
    other = concept.rank("activation_ratio").edit(ratio=0.25, token_rows=0)
    assert other.run != edited.run
    pd.testing.assert_frame_equal(edited.to_frame(), kept)
    neurons = len(concept.rank("activation_ratio").to_frame())
    assert other.run.recipe().mask.cut == round(0.25 * neurons)
    assert other.run.status()["stages"]["rank"]["taken_from"] == edited.run.id


def test_an_interrupted_cell_goes_on(folder: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def interrupt(update: Progress) -> None:
        told.append(update.task)
        if update.task == "measuring the pruned model":
            raise KeyboardInterrupt

    ranking = labelled(uw.load(folder, device="cpu", runs=tmp_path, progress=interrupt)).rank("activation_ratio")
    with pytest.raises(Stopped, match="What was finished is kept"):
        ranking.edit(token_rows=0)
    assert ranking.run.status()["state"] == "stopped"
    told.clear()
    again = labelled(uw.load(folder, device="cpu", runs=tmp_path, progress=lambda one: told.append(one.task)))
    edited = again.rank("activation_ratio").edit(token_rows=0)
    assert edited.run == ranking.run
    assert "measuring the pruned model" in told
    assert not {"labelling sentences", "ranking neurons", "measuring the base model"} & set(told)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda concept, edited: concept.rank("activation_ratoi"), "activation_ratio"),
        (lambda concept, edited: concept.rank("activation_ratio", depth=3), "depth"),
        (lambda concept, edited: concept.rank(site="neck"), r"rank: neural_probing\.site is \"neck\""),
        (lambda concept, edited: concept.rank(settings={"seeed": 1}), "did you mean seed"),
        (lambda concept, edited: concept.rank(settings={"probing.ranker": 1}), r"probing\.ranker is not a known key"),
        (lambda concept, edited: concept.rank("activation_ratio").edit(ratio=3), r"edit: .*prune_ratio is 3"),
        (lambda concept, edited: edited.heal(steps=0), r"heal: retraining\.max_steps is 0"),
        (lambda concept, edited: edited.evaluate(parts=["lossses"]), "losses"),
        (lambda concept, edited: edited.generate(""), "prompt"),
        (lambda concept, edited: edited.generate("A chair", temperature=-1), "temperature is -1"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_and_makes_no_run(
    made: tuple[Concept, Edited, Retrained], step: Callable[[Concept, Edited], object], said: str
) -> None:
    before = folders(made[0])
    with pytest.raises(InputError, match=said):
        step(made[0], made[1])
    assert folders(made[0]) == before


def test_words_and_sentences_that_cannot_be_used_are_named(folder: Path, tmp_path: Path) -> None:
    model = uw.load(folder, device="cpu", runs=tmp_path, progress=silent)
    with pytest.raises(InputError, match="concept is empty"):
        model.label([])
    with pytest.raises(InputError, match="sentences holds a int"):
        model.label("chair", sentences=["A chair.", 3])  # type: ignore[list-item]
    with pytest.raises(InputError, match="0 sentences with umbrella"):
        model.label("umbrella", sentences=sentences(20))
    assert list_runs(tmp_path) == []


def test_a_step_whose_run_was_changed_says_so(folder: Path, tmp_path: Path) -> None:
    ranking = labelled(uw.load(folder, device="cpu", runs=tmp_path, progress=silent)).rank("activation_ratio")
    ranking.run.drop("rank")
    with pytest.raises(InputError, match="Run the cell that made it again"):
        ranking.to_frame()


def test_each_object_draws_itself_and_escapes_what_a_person_typed(made: tuple[Concept, Edited, Retrained]) -> None:
    concept, edited, retrained = made
    ranking = concept.rank("activation_ratio")
    texts = retrained.generate(["Anna <i> looked", "Ben sat on"], max_new_tokens=4)
    for drawn in (concept, ranking, edited, retrained, texts):
        html = drawn._repr_html_()
        assert html.count("<table>") == html.count("</table>") >= 1
        assert not re.search(r"<b>|<i>", html)
    assert "seats &lt;b&gt;" in concept._repr_html_()
    assert retrained.run.id in retrained._repr_html_()
    frame = texts.to_frame()
    assert list(frame["state"]) == ["base", "base", "pruned", "pruned", "retrained", "retrained"]
    assert list(frame["prompt"].unique()) == ["Anna <i> looked", "Ben sat on"]


def test_the_picture_of_a_cut_crosses_out_the_neurons_of_its_recipe(made: tuple[Concept, Edited, Retrained]) -> None:
    figure = made[1].figure()
    crossed = next(trace for trace in figure.data if trace.name == "cut")
    kept = made[1].run.recipe().mask.kept["mlp"]
    wanted = {(int(layer), int(index)) for layer, index in np.argwhere(~kept)}
    assert {(int(y), int(x)) for y, x in zip(crossed.y, crossed.x, strict=True)} == wanted


def test_what_base_and_pruned_write_is_what_the_saved_models_write(made: tuple[Concept, Edited, Retrained]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompt, edited = "Anna looked at", made[1]
    text = edited.generate(prompt, max_new_tokens=5).to_frame().set_index("state")["text"]["pruned"]
    model = AutoModelForCausalLM.from_pretrained(edited.model_folder())
    tokenizer = AutoTokenizer.from_pretrained(edited.model_folder())
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    whole = tokenizer.decode(model.generate(ids, max_new_tokens=5, do_sample=False)[0], skip_special_tokens=True)
    assert whole == prompt + text


def test_a_verdict_is_the_runs_and_a_row_a_measurement(made: tuple[Concept, Edited, Retrained]) -> None:
    proof = made[1].evaluate(quick=True, parts=["losses"])
    stored = json.loads((proof.run.folder / "verdict.json").read_text())
    assert proof.verdict == stored["verdict"]
    assert proof.run != made[2].run, "an evaluation without retraining is of another experiment"
    frame = proof.to_frame()
    checks = stored["states"]["pruned"]["checks"]
    assert list(frame[frame["state"] == "pruned"]["metric"]) == [check["metric"] for check in checks]
    assert stored["verdict"].capitalize() in proof._repr_html_()


def test_a_mistake_in_a_cell_is_a_sentence_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell()
    shell.run_cell("from unlearning_core.errors import InputError\nraise InputError('edit: prune_ratio is 3; ...')")
    said = capsys.readouterr().out
    assert "InputError: edit: prune_ratio is 3; ..." in said
    assert "Traceback" not in said


def test_the_bar_below_a_cell_says_how_far_it_is_and_leaves_nothing() -> None:
    InteractiveShell.instance()
    try:
        with capture_output() as shown:
            bar = NotebookBar()
            bar(Progress("ranking <neurons>", 30, 120, "sentences"))
            bar.close()
    finally:
        InteractiveShell.clear_instance()
    first, last = (output.data["text/html"] for output in shown.outputs)
    assert '<progress value="30" max="120">' in first
    assert "ranking &lt;neurons&gt;: 30 of 120 sentences" in first
    assert last == ""
