"""Only a checkpoint with its marker, of the same training, is gone on from; a full disk is told in a sentence."""

import errno
from pathlib import Path

import pytest

from unlearning_core.errors import WorkFailed
from unlearning_core.training.checkpoints import discard_others, full_disk, last_complete, mark


def checkpoint(folder: Path, step: int, identity: str | None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "model.safetensors").write_bytes(b"weights")
    if identity is not None:
        mark(path, identity, step)
    return path


def test_furthest_complete_checkpoint_of_this_training_is_taken(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9, "mine")
    furthest = checkpoint(tmp_path, 10, "mine")
    checkpoint(tmp_path, 11, None)
    checkpoint(tmp_path, 12, "other")
    assert last_complete(tmp_path, "mine") == (furthest, 10)
    assert last_complete(tmp_path, "nobody") is None
    assert last_complete(tmp_path / "absent", "mine") is None


def test_torn_and_foreign_checkpoints_are_discarded(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1, None)
    checkpoint(tmp_path, 2, "other")
    kept = checkpoint(tmp_path, 3, "mine")
    assert discard_others(tmp_path, "mine") == 1
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file data/3"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 238400 vs 238292"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_full_disk_is_a_sentence_whichever_library_meets_it(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(WorkFailed, match="The disk is full"), full_disk(tmp_path):
        raise error


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="something else"), full_disk(tmp_path):
        raise RuntimeError("something else")
