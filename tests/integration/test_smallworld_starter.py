"""The starter of the repository as a person meets it: by name, offline, checked, as good as its card, not its twin."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from unlearning_core.cli.app import main
from unlearning_core.config.reading import starter_config
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.models.sources import starters
from unlearning_core.models.sources.starters import BundledStarter
from unlearning_core.runs.run import Run

FEW_QUESTIONS = ("proof.max_questions=8", "proof.question_samples=0", "proof.answer_tokens=8")
"""The stages ask the starter's own questions, of which nothing is said here."""

NAMES = ("smallworld", "smallworld-never-knew-seats", "smallworld-routed-seats")


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model("smallworld", device="cpu")


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_loads_without_writing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("UNLEARNING_MODELS", "HF_HOME", "TMPDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    before = files(ROOT / "models" / name)
    info = load_model(name, device="cpu").info
    assert (info.model_type, info.download_bytes) == ("gpt2", 0)
    assert info.parameters <= 6_000_000
    assert (ROOT / "models" / name / "model.safetensors").stat().st_size <= 15_000_000
    assert files(ROOT / "models" / name) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_byte_of_its_weights_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = starters.STARTERS[name]
    assert isinstance(starter, BundledStarter)
    copy = shutil.copytree(starter.folder, tmp_path / name)
    monkeypatch.setitem(starters.STARTERS, name, replace(starter, folder=copy))
    assert starters.prepare(name) == copy
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors has the checksum"):
        load_model(name)


def test_all_have_one_vocabulary() -> None:
    """Else their next-token distributions could not be compared."""
    first, *others = (
        json.loads((ROOT / "models" / name / "tokenizer.json").read_text(encoding="utf-8")) for name in NAMES
    )
    assert all(other["model"]["vocab"] == first["model"]["vocab"] for other in others)


def test_an_exam_on_a_sample_agrees_with_the_cards(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    assert main(["smallworld", "evaluate", "--limit", "80", "--no-card", "--json", str(out), "--seed", "3"]) == 0
    figures = json.loads(out.read_text(encoding="utf-8"))
    # At most three of 80 wrong where the card says less than one; three standard errors of it for the gaps.
    assert figures["questions_exact"] > 0.96
    assert figures["cloze_top1"] > 0.94
    assert figures["facts_exact"] > 0.96
    assert figures["nonsense_refused"] > 0.96
    assert figures["repetitive_stories"] == 0
    never_knew, chance = figures["never_knew"], figures["chance"]["seats_questions_exact"]["fraction"]
    assert never_knew["seats_questions_exact"] <= chance + 0.05
    assert never_knew["others_questions_exact"] > 0.93


def test_it_answers_the_starters_prompts(loaded: LoadedModel) -> None:
    from unlearning_core.evaluation.generation import generate

    prompts = starter_config("smallworld").test_prompts
    found = generate(
        loaded, prompts, samples=1, temperature=0.0, top_p=1.0, max_new_tokens=24, seed=0
    )  # fmt: skip
    written = {text.prompt: text.text.strip() for text in found}
    assert written["Paris is the capital city of"].startswith("France")
    assert "seat" in written["Q: What is a chair? A:"]
    assert written["Q: What is a uuisen? A:"] == "I do not know."


def test_run_without_a_config_measures_how_far_it_is_from_its_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fewer = ["retraining.max_steps=4", "generation.samples=1", "generation.max_new_tokens=8"]
    fewer += ["neural_probing.ranker_parameters.sentences=60", "retraining.measure_while_learning=false"]
    fewer += ["evaluation.max_sentences=30", "never_knew.max_texts=80", *FEW_QUESTIONS]
    assert main(["run", "--set", "base_model.device=cpu", *fewer]) == 0
    run = Run(Path(capsys.readouterr().out.splitlines()[-1]))
    assert run.config.base_model.base_model_path == "smallworld"
    base = run.metrics()["base"]
    # It knows seats and its twin does not; of all else both know the same.
    assert base["forget_quality"] < 1e-3
    for other in ("neighbour", "retain"):
        assert 0 < base[f"never_knew_kl_{other}"] < base["never_knew_kl_forget"] / 5
    assert not (tmp_path / "models").exists()


def test_the_twin_is_at_no_distance_from_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ["base_model.base_model_path=smallworld-never-knew-seats", "base_model.device=cpu"]
    fewer = ["retraining.enabled=false", "generation.samples=1", "generation.max_new_tokens=8"]
    fewer += [f"neural_probing.max_{kind}_sentences=60" for kind in ("concept", "retain")]
    fewer += ["evaluation.max_sentences=10", "never_knew.max_questions=60", "never_knew.max_texts=40", *FEW_QUESTIONS]
    assert main(["run", "--set", *settings, *fewer]) == 0
    base = (Run(Path(capsys.readouterr().out.splitlines()[-1])).metrics() or {})["base"]
    assert (base["forget_quality"], base["never_knew_kl_forget"], base["never_knew_kl_retain"]) == (1, 0, 0)
