"""Several runs over one store: what one does, another does not feel; two at once; a run that moves; one of before."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration.test_path import environment, stage_states
from tests.tiny_experiment import write_experiment
from unlearning_core.cli.app import main
from unlearning_core.config.reading import build_config
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import survivors
from unlearning_core.reports.terminal import print_outcome
from unlearning_core.runs.listing import delete_run, list_runs
from unlearning_core.runs.manifest import Busy
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run
from unlearning_core.runs.transfer import export_run, import_run


def checksums(run: Run) -> dict[str, str]:
    """Of what a run shows and of what it points at."""
    folders = [run.folder, *(run.store.folder(*key) for key in sorted(run.manifest.references()))]
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def change(run: Run, **sections: dict[str, object]) -> None:
    values = run.config.model_dump()
    for name, section in sections.items():
        values[name] |= section
    run.save_config(build_config(values))


def new_run(config: Path, root: Path, **sections: dict[str, object]) -> Run:
    run = create_run(build_config(json.loads(config.read_text(encoding="utf-8")), folder=config.parent), root)
    change(run, **sections)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("experiment")
    config = write_experiment(folder, retraining={"max_steps": 2}, neural_probing={"ranker": "activation_ratio"})
    run = new_run(config, folder / "runs")
    execute(run)
    return config, run


def test_a_training_that_is_taken_over_says_that_no_tracker_hears_of_it(
    finished: tuple[Path, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    config, first = finished
    run = new_run(config, first.folder.parent, retraining={"report_to": ["tensorboard"]})
    execute(run)
    print_outcome(run)
    said = "Nothing was sent to tensorboard: the training is the one of the run "
    assert said + str(run.status()["stages"]["retrain"]["taken_from"]) in capsys.readouterr().out
    delete_run(run)  # the other tests take results over from the first


def test_what_a_run_takes_over_and_makes_anew_changes_nothing_in_the_others(finished: tuple[Path, Run]) -> None:
    config, first = finished
    root = first.folder.parent
    third = new_run(config, root, neural_probing={"prune_ratio": 0.3})
    execute(third)
    second = new_run(config, root)
    execute(second)
    assert second.status()["stages"]["retrain"]["taken_from"] == first.id
    before = checksums(first), checksums(third)
    change(second, neural_probing={"prune_ratio": 0.3})
    execute(second)
    assert second.status()["stages"]["prune"]["taken_from"] == third.id
    assert (checksums(first), checksums(third)) == before
    assert second.recipe().mask == third.recipe().mask != first.recipe().mask
    change(second, neural_probing={"prune_ratio": 0.2})
    execute(second, until="measure pruned")
    assert (checksums(first), checksums(third)) == before
    for run, share in ((first, 0.1), (second, 0.2), (third, 0.3)):
        mask = Recipe.load(run.folder / "recipe").mask
        assert mask.cut == run.status()["stages"]["prune"]["summary"]["cut"] == round(share * len(run.ranking()))
        assert survivors(run.folder / "models" / "pruned", mask) == []
    delete_run(second)
    assert (checksums(first), checksums(third)) == before


def test_what_is_removed_by_hand_is_shown_again_without_work(finished: tuple[Path, Run]) -> None:
    run = finished[1]
    weights = (run.folder / "models" / "pruned" / "model.safetensors").read_bytes()
    shutil.rmtree(run.folder / "models")
    (run.folder / "metrics.json").unlink()
    execute(run)
    assert (run.folder / "models" / "pruned" / "model.safetensors").read_bytes() == weights
    assert (run.folder / "metrics.json").is_file()
    assert stage_states(run)["prune"][-1] == stage_states(run)["report"][-1] == "unchanged"


def test_the_same_command_twice_at_once_works_in_one_run_and_both_end_well(tmp_path: Path) -> None:
    write_experiment(tmp_path, retraining={"max_steps": 4}, neural_probing={"ranker": "activation_ratio"})
    words = [sys.executable, "-m", "unlearning_core", "run", "config.json"]
    both = [
        subprocess.Popen(
            words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=800) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    (folder,) = {Path(out.splitlines()[-1]) for out, _ in told}
    run = Run(folder)
    assert run.status()["state"] == "finished"
    assert run.status()["message"] == ""
    assert run.status()["stages"]["retrain"]["summary"]["steps"] == 4
    assert sum("is being worked on" in err for _, err in told) == 1
    assert all(states.count("finished") == 1 for states in stage_states(run).values())


def test_who_does_not_wait_is_told_who_works(finished: tuple[Path, Run], capsys: pytest.CaptureFixture[str]) -> None:
    run = finished[1]
    with run.manifest.working("a long test"):
        with pytest.raises(Busy, match=r"a long test, process \d+"):
            execute(run)
        assert main(["resume", str(run.folder), "--no-wait"]) == 2
        assert "a long test" in capsys.readouterr().err
        # Looking at it is no work, and is not in the way.
        assert run.manifest.worker() is not None
        assert run.metrics() is not None
    execute(run)


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_a_broken_manifest_stops_no_other_run_and_mends_itself(
    finished: tuple[Path, Run], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config, first = finished
    broken = new_run(config, first.folder.parent)
    execute(broken)
    (broken.folder / "status.json").write_text(damage, encoding="utf-8")
    assert broken.status()["state"] == "damaged"
    assert main(["run", str(config), "--output-dir", str(first.folder.parent)]) == 0
    assert main(["report", str(broken.folder)]) == 2
    assert "nothing to report" in capsys.readouterr().err
    assert main(["resume", str(broken.folder)]) == 0
    assert broken.metrics() == first.metrics()
    assert "finished" not in stage_states(broken)["rank"][1:], "it was taken over, not made again"
    delete_run(broken)


@pytest.mark.parametrize("of_before", [False, True])
def test_a_copied_folder_is_reported_and_resumed_where_nothing_of_its_sources_is_left(
    finished: tuple[Path, Run], tmp_path: Path, of_before: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """`of_before`: as the version before the store left it, without a list of files."""
    config, run = finished
    moved, away = tmp_path / "elsewhere" / "renamed run", config.parent / "gone"
    shutil.copytree(run.folder, moved)
    if of_before:
        status = json.loads((moved / "status.json").read_text(encoding="utf-8"))
        for stage in status["stages"].values():
            stage.pop("files", None)
        (moved / "status.json").write_text(json.dumps(status), encoding="utf-8")
    away.mkdir()
    for name in ("words.txt", "sentences.json", "model"):
        (config.parent / name).rename(away / name)
    try:
        assert [one.id for one in list_runs(moved.parent)] == ["renamed run"]
        assert main(["report", str(moved), "--output", str(tmp_path / "report.html")]) == 0
        assert main(["resume", str(moved)]) == 0
        copied = Run(moved)
        assert {states[-1] for states in stage_states(copied).values()} == {"unchanged"}
        assert copied.metrics() == run.metrics()
        assert copied.store.get("retrain", copied.fingerprint("retrain")) is not None
    finally:
        for path in list(away.iterdir()):
            path.rename(config.parent / path.name)
        away.rmdir()
    capsys.readouterr()


def test_a_run_moves_as_one_zip(finished: tuple[Path, Run], tmp_path: Path) -> None:
    run = finished[1]
    packed = export_run(run, tmp_path / "run.zip")
    moved = import_run(packed, tmp_path / "elsewhere")
    assert moved.id == run.id
    shown = {
        path.relative_to(run.folder)
        for path in run.folder.rglob("*")
        if path.name in ("metrics.json", "model.safetensors")
    }
    for name in shown:
        assert (moved.folder / name).read_bytes() == (run.folder / name).read_bytes(), name
    execute(moved)
    assert {states[-1] for states in stage_states(moved).values()} == {"unchanged"}
    assert {source.name.partition("-")[0] for source in moved.kept_inputs_folder.iterdir()} >= {"words", "sentences"}
    assert main(["import", str(packed), "--output-dir", str(tmp_path / "elsewhere")]) == 2
    content = packed.read_bytes()
    (tmp_path / "half.zip").write_bytes(content[: len(content) // 2])
    assert main(["import", str(tmp_path / "half.zip"), "--output-dir", str(tmp_path / "third")]) == 2
    assert list_runs(tmp_path / "third") == []


def test_a_run_whose_models_an_earlier_version_mixed_up_says_so_and_is_made_again(
    finished: tuple[Path, Run], tmp_path: Path
) -> None:
    config, run = finished
    other = new_run(config, run.folder.parent, neural_probing={"prune_ratio": 0.3})
    execute(other)
    mixed = tmp_path / "runs" / run.id
    shutil.copytree(run.folder, mixed)
    for name in ("recipe", "models"):  # what was written through the links
        shutil.rmtree(mixed / name)
        shutil.copytree(other.folder / name, mixed / name)
    status = json.loads((mixed / "status.json").read_text(encoding="utf-8"))
    for stage in status["stages"].values():
        stage.pop("files", None)
    (mixed / "status.json").write_text(json.dumps(status), encoding="utf-8")
    damaged = Run(mixed)
    export_run(damaged, tmp_path / "damaged.zip")  # which must not take what is not its own into the store
    assert "cut 14 neurons, but its recipe names 43" in str(damaged.damage())
    execute(damaged)
    assert damaged.damage() is None
    assert damaged.recipe().mask == run.recipe().mask
    assert stage_states(damaged)["prune"][-1] == stage_states(damaged)["retrain"][-1] == "finished"
    assert stage_states(damaged)["rank"][-1] == "unchanged"


def test_results_that_no_run_needs_go_with_the_last_one(finished: tuple[Path, Run], tmp_path: Path) -> None:
    config, _ = finished
    one, other = new_run(config, tmp_path), new_run(config, tmp_path)
    for run in (one, other):
        execute(run, until="rank")
    kept = set(one.store.artifacts())
    delete_run(one)
    assert set(other.store.artifacts()) == kept
    delete_run(other)
    assert other.store.artifacts() == []


@pytest.mark.parametrize("how", ["short", "gone", "folder"])
def test_a_result_that_was_cut_short_or_removed_is_made_again(
    finished: tuple[Path, Run], tmp_path: Path, how: str
) -> None:
    run = new_run(finished[0], tmp_path)
    execute(run, until="measure pruned")
    weights = run.model("pruned") / "model.safetensors"
    whole = weights.read_bytes()
    weights.chmod(0o644)
    if how == "short":
        weights.write_bytes(whole[:100])
    elif how == "gone":
        weights.unlink()
    else:
        shutil.rmtree(weights.parents[2])
    execute(run, until="measure pruned")
    assert (run.model("pruned") / "model.safetensors").read_bytes() == whole
    assert (run.folder / "models" / "pruned" / "model.safetensors").read_bytes() == whole
    assert run.manifest.read()["stages"]["rank"]["state"] == "finished"


def test_settings_changed_by_hand_make_it_another_experiment(
    finished: tuple[Path, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(finished[0]), "--set", "retraining.enabled=false", "--output-dir", str(tmp_path)]
    assert main(words) == 0
    run = Run(Path(capsys.readouterr().out.splitlines()[-1]))
    values = json.loads((run.folder / "config.json").read_text())
    values["neural_probing"]["prune_ratio"] = 0.3
    (run.folder / "config.json").write_text(json.dumps(values))
    assert main(["resume", str(run.folder)]) == 0
    assert main(words) == 0
    other = Run(Path(capsys.readouterr().out.splitlines()[-1]))
    assert other.id != run.id
    assert (run.recipe().mask.cut, other.recipe().mask.cut) == (43, 14)


def rewritten(packed: Path, target: Path, change: "dict[str, bytes | None]") -> Path:
    """A copy of the zip with members replaced, added or left out."""
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(target, "w") as new:
        members = {name: old.read(name) for name in old.namelist()}
        for name, content in (members | change).items():
            if content is not None:
                new.writestr(name, content)
    return target


def test_a_zip_that_is_no_run_or_means_harm_is_refused_and_leaves_nothing(
    finished: tuple[Path, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = export_run(finished[1], tmp_path / "run.zip")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "x").write_text("precious")
    status = json.loads((finished[1].folder / "status.json").read_text())
    outside = json.loads(json.dumps(status))
    outside["stages"]["prune"]["files"] = {"models/../../../victim/x": {"size": 1, "hash": None}}
    kind = json.loads(json.dumps(status)) | {"kept": [{"kind": "../..", "fingerprint": "victim"}]}
    artifact = next(name for name in zipfile.ZipFile(packed).namelist() if name.endswith("metrics.json"))
    changes: list[dict[str, bytes | None]] = [
        {"run/status.json": json.dumps(outside).encode()},
        {"run/status.json": json.dumps(kind).encode()},
        {"run/status.json": b'{"stages": {"label": 5}}'},
        {"run/config.json": b"no json"},
        {"run/../../victim/x": b"other"},
        {"run/inputs/a": b"1", "run/inputs/a/b": b"2"},
        {"run.json": b'{"format": 1, "id": null}'},
        {"run.json": json.dumps({"format": 1, "id": "x" * 300}).encode()},
        {"run.json": None},
        {artifact: b"{}"},
    ]
    for number, change in enumerate(changes):
        root = tmp_path / f"runs-{number}"
        source = rewritten(packed, tmp_path / f"{number}.zip", change)
        assert main(["import", str(source), "--output-dir", str(root)]) == 2, change
        assert "unexpected error" not in capsys.readouterr().err
        assert list_runs(root) == []
        assert Run(root / "none").store.artifacts() == []
    assert (victim / "x").read_text() == "precious"


def test_a_manifest_that_names_files_outside_the_run_is_damaged(finished: tuple[Path, Run], tmp_path: Path) -> None:
    run = new_run(finished[0], tmp_path / "runs")
    (tmp_path / "victim.txt").write_text("precious")
    stages = {"label": {"state": "finished", "fingerprint": "00", "files": {"../../victim.txt": {"size": 8}}}}
    (run.folder / "status.json").write_text(json.dumps({"state": "finished", "stages": stages}))
    assert run.status()["state"] == "damaged"
    execute(run, until="label")
    assert (tmp_path / "victim.txt").read_text() == "precious"
