"""Files and folders are written whole or not at all, and a full disk is a sentence."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unlearning_core.errors import WorkFailed
from unlearning_core.files import ROOT, child_python_path, new_folder, read_object, write_file, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "status.json"
    write_json(target, {"a": 1})

    def torn(path: Path) -> None:
        path.write_text("{")
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        write_file(target, torn)
    assert target.read_text() == '{\n  "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file data/3"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 238400 vs 238292"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_a_sentence_whichever_library_meets_it(tmp_path: Path, error: Exception) -> None:
    def full(path: Path) -> None:
        raise error

    with pytest.raises(WorkFailed, match=r"disk is full.*metrics\.json"):
        write_file(tmp_path / "metrics.json", full)
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "model"

    def fill(content: str, fail: bool) -> None:
        with new_folder(target) as folder:
            write_text(folder / "weights", content)
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill("half", fail=True)
    assert not list(tmp_path.iterdir())
    fill("first", fail=False)
    with pytest.raises(KeyboardInterrupt):
        fill("half", fail=True)
    assert (target / "weights").read_text() == "first"
    fill("second", fail=False)
    assert (target / "weights").read_text() == "second"
    assert list(tmp_path.iterdir()) == [target]


def test_a_child_process_in_any_folder_imports_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "own"))
    path = child_python_path()
    assert path.split(os.pathsep) == [str(ROOT), str(tmp_path / "own")]
    code = "import unlearning_core; print(unlearning_core.__file__)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == ROOT / "unlearning_core" / "__init__.py"


def test_an_object_that_is_not_there_or_damaged_reads_as_empty(tmp_path: Path) -> None:
    assert read_object(tmp_path / "none.json") == {}
    (tmp_path / "broken.json").write_text('{"a": ')
    assert read_object(tmp_path / "broken.json") == {}
