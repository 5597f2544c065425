"""Only a checkpoint with its marker, of the same training, is gone on from."""

from pathlib import Path

from unlearning_core.training.checkpoints import discard_others, last_complete, mark


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
