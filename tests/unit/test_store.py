"""The store of results: built aside, published whole, read-only, shared by pointers, removed when nobody needs them."""

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from unlearning_core.errors import WorkFailed
from unlearning_core.files import read_object
from unlearning_core.runs.store import Store, file_list, is_whole


def make(store: Store, fingerprint: str, text: str = "a", kind: str = "rank") -> Path:
    with store.build(kind, fingerprint) as build:
        if build.artifact is None:
            (build.folder / "table.txt").write_text(text)
            build.summary = {"n": len(text)}
    assert build.artifact is not None
    return build.artifact.folder


def test_a_result_is_whole_read_only_and_says_what_it_is(tmp_path: Path) -> None:
    folder = make(Store(tmp_path), "f1", "abc")
    assert folder == tmp_path / ".artifacts" / "rank" / "f1"
    record = read_object(folder / "artifact.json")
    assert (record["kind"], record["fingerprint"], record["summary"]) == ("rank", "f1", {"n": 3})
    assert record["files"]["table.txt"]["size"] == 3
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o222 for path in folder.iterdir()}
    assert modes == {0}
    assert is_whole(folder, record["files"])


def test_a_result_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = make(store, "f1", "first")
    assert make(store, "f1", "second") == folder
    assert (folder / "table.txt").read_text() == "first"


def test_what_fails_leaves_nothing_and_what_can_go_on_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def stopped(go_on: bool) -> None:
        with store.build("sweep", "f", go_on=go_on) as build:
            (build.folder / "points").write_text("one")
            raise RuntimeError("stopped")

    for go_on in (False, True):
        with pytest.raises(RuntimeError, match="stopped"):
            stopped(go_on)
        assert store.get("sweep", "f") is None
        assert store.unfinished("sweep", "f").is_dir() == go_on
    with store.build("sweep", "f", go_on=True) as build:
        assert (build.folder / "points").read_text() == "one"
    assert store.get("sweep", "f") is not None


def test_a_result_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="left no file"), Store(tmp_path).build("rank", "f"):
        pass


def test_two_that_build_the_same_at_once_make_it_once(tmp_path: Path) -> None:
    store, begun, go_on, waited, made = Store(tmp_path), threading.Event(), threading.Event(), threading.Event(), []

    def first() -> None:
        with store.build("rank", "f") as build:
            begun.set()
            assert go_on.wait(300)
            (build.folder / "table.txt").write_text("first")
            made.append("first")

    def second() -> None:
        assert begun.wait(300)
        with store.build("rank", "f", waiting=waited.set) as build:
            if build.artifact is None:
                made.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    assert waited.wait(300)
    go_on.set()
    for thread in threads:
        thread.join(300)
    assert made == ["first"]


def test_only_what_is_referenced_outlives_the_garbage_collection(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for fingerprint in ("a", "b", "c"):
        make(store, fingerprint)
    with store.lock():
        assert store.collect_garbage({("rank", "b")}) == 2
    assert store.artifacts() == [("rank", "b")]


def test_files_that_came_from_elsewhere_are_taken_in_by_links(tmp_path: Path) -> None:
    store, source = Store(tmp_path), tmp_path / "model.bin"
    source.write_bytes(b"weights")
    artifact = store.adopt("prune", "f", {"models/pruned/model.bin": source}, {"cut": 3}, 1.5)
    assert artifact.path("models/pruned/model.bin").read_bytes() == b"weights"
    assert os.stat(source).st_ino == os.stat(artifact.path("models/pruned/model.bin")).st_ino
    assert artifact.record["summary"] == {"cut": 3}


def test_a_changed_or_missing_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    (tmp_path / "b").write_text("abc")
    known = file_list(tmp_path)
    assert is_whole(tmp_path, known)
    (tmp_path / "a").write_text("abd")  # of the same size
    assert not is_whole(tmp_path, known)
    (tmp_path / "a").unlink()
    assert not is_whole(tmp_path, known)


def test_results_are_listed_by_their_folders_alone(tmp_path: Path) -> None:
    # Two thousand of them are common, and a page lists them at each look: no file of any is opened.
    store = Store(tmp_path)
    for number in range(200):
        folder = store.folder(f"kind{number % 10}", f"{number:064d}")
        folder.mkdir(parents=True)
        (folder / "artifact.json").write_text("{}")
    seen: list[str] = []
    watching = True

    def watch(event: str, _: object) -> None:  # an audit hook cannot be taken away
        if watching and event in {"open", "os.listdir", "os.scandir"}:
            seen.append(event)

    sys.addaudithook(watch)
    keys = store.artifacts()
    watching = False
    assert len(keys) == 200
    assert "open" not in seen
    assert 11 <= len(seen) < 40  # ten kinds and the store itself
