"""Results that are written once: what a step makes, kept by kind and fingerprint beside the runs, never changed again.

`<runs>/.artifacts/<kind>/<fingerprint>/` holds one result, an *artifact*: its files, and `artifact.json`, which says
what they are. It is built in `.artifacts/.building/`, brought to the disk, renamed into place and read-only from then
on. A run points at it (runs/manifest.py); that another run points at it too costs nothing. What no run points at any
more is removed by `collect_garbage`.

Three locks of the operating system, each free again when its holder is killed, however it is killed:

- one a build, so that two processes do not compute the same result twice at once;
- the store's, held for moments, so that no result is removed while a run begins to point at it;
- one a run (runs/manifest.py).
"""

import hashlib
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from filelock import FileLock, Timeout

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import disk_errors, read_object, sync, sync_tree, write_json
from unlearning_core.reading import check_form
from unlearning_core.runs.forms import Record

log = logging.getLogger(__name__)

FOLDER = ".artifacts"
RECORD = "artifact.json"
"""Written last into an artifact: kind, fingerprint, summary, details, seconds, created, files."""

_BUILDING, _GARBAGE = ".building", ".garbage"
_HASHED = 64 * 2**20
"""Bytes up to which a file's content is hashed; a larger one (a model's weights) is known by its size."""

_POLL = 0.2

Key = tuple[str, str]
"""(kind, fingerprint) of an artifact."""


@dataclass(frozen=True)
class Artifact:
    """One finished result.

    Attributes:
        kind: which step made it ("rank", "measure", "sweep", ...).
        fingerprint: digest of everything that it depends on.
        folder: where its files are; nothing there is ever written again.
    """

    kind: str
    fingerprint: str
    folder: Path

    @property
    def record(self) -> dict[str, Any]:
        """{"summary", "details", "seconds", "created", "files": {name: {"size", "hash"}}}; {} where it is damaged."""
        found = read_object(self.folder / RECORD)
        try:
            check_form(found, Record)
        except ValueError:
            return {}
        return found if all(map(is_safe, found["files"])) else {}

    def path(self, name: str) -> Path:
        """One of its files or folders."""
        return self.folder / name


@dataclass
class Build:
    """A result being made.

    Attributes:
        folder: to be filled; holds what an earlier, unfinished attempt left, where that was asked for.
        summary: a few figures of the result, JSON-able; to be set by whoever builds.
        details: whatever else is to be known of it, JSON-able.
        artifact: the finished result, when it was there already or has been published.
    """

    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    artifact: Artifact | None = None


class Store:
    """The artifacts of the runs under one folder."""

    def __init__(self, runs: Path) -> None:
        self.root = runs / FOLDER

    def folder(self, kind: str, fingerprint: str) -> Path:
        """Where that artifact is, or would be."""
        return self.root / kind / fingerprint

    def get(self, kind: str, fingerprint: str | None) -> Artifact | None:
        """The finished artifact, or None."""
        if not fingerprint:
            return None
        artifact = Artifact(kind, fingerprint, self.folder(kind, fingerprint))
        files = artifact.record.get("files")
        # A file that somebody removed or cut short makes it one that has to be made again.
        return artifact if files and has_sizes(artifact.folder, files) else None

    def artifacts(self) -> list[Key]:
        """All artifacts that there are."""
        kinds = [path.name for path in _folders(self.root) if not path.name.startswith(".")]
        return [(kind, path.name) for kind in kinds for path in _folders(self.root / kind)]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """While it is held no artifact is removed, so that a run can begin to point at one.

        Raises:
            InputError: the folder of the runs may not be written, or a file stands where the store is to be.
        """
        with disk_errors(self.root):
            if self.root.is_file():
                raise InputError(f"{self.root} is a file. Results are kept there: remove or rename it.")
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / "lock"):
                yield

    def unfinished(self, kind: str, fingerprint: str) -> Path:
        """Where that artifact is being built, and what a build that was stopped has left."""
        return self.root / _BUILDING / f"{kind}-{fingerprint}"

    @contextmanager
    def build(
        self,
        kind: str,
        fingerprint: str,
        *,
        go_on: bool = False,
        then: Callable[[Artifact], object] = lambda artifact: None,
        waiting: Callable[[], object] = lambda: None,
    ) -> Iterator[Build]:
        """Make an artifact inside the `with`; it is published at its end, and vanishes on an exception.

        Where it is there already, `Build.artifact` says so at once and nothing is to be done.

        Args:
            go_on: keep what was built when it is stopped, for the next attempt.
            then: is given the artifact while nothing can be removed: the moment to point at it.
            waiting: called again and again while another process builds the same; may raise Stopped.

        Raises:
            InputError, WorkFailed: the disk is full, or may not be written.
        """
        place = self.unfinished(kind, fingerprint)
        with disk_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.with_name(f"{place.name}.lock"), timeout=0)
        while True:
            try:
                lock.acquire()
                break
            except Timeout:
                waiting()
                time.sleep(_POLL)
        try:
            with self.lock():
                there = self.get(kind, fingerprint)
                if there is not None:
                    then(there)
            build = Build(place, artifact=there)
            if there is not None:
                yield build
                return
            with disk_errors(place):
                if not go_on:
                    _remove(place)
                place.mkdir(exist_ok=True)
                begun = time.monotonic()
                try:
                    yield build
                    seconds = round(time.monotonic() - begun, 2)
                    build.artifact = self._publish(kind, fingerprint, build, seconds, then)
                finally:
                    if not go_on:
                        _remove(place)
        finally:
            lock.release()

    def adopt(
        self, kind: str, fingerprint: str, files: Mapping[str, Path], summary: Mapping[str, Any], seconds: float
    ) -> Artifact:
        """Make an artifact of files that are there already, by links: those of a run that came from elsewhere.

        Args:
            files: by their name in the artifact.
        """
        with self.build(kind, fingerprint) as build:
            if build.artifact is None:
                build.summary = dict(summary)
                for name, path in files.items():
                    link(path, build.folder / name)
        assert build.artifact is not None
        return build.artifact

    def collect_garbage(self, referenced: Collection[Key]) -> int:
        """Remove every artifact but these; returns how many went. The caller holds `lock()` since it read them."""
        wanted, away = set(referenced), self.root / _GARBAGE
        going = [key for key in self.artifacts() if key not in wanted]
        away.mkdir(parents=True, exist_ok=True)
        for kind, fingerprint in going:
            # A rename cannot be interrupted half-way; what lies in the garbage is no artifact any more.
            os.replace(self.folder(kind, fingerprint), away / f"{kind}-{fingerprint}-{time.time_ns()}")
        _remove(away)
        self._clear_abandoned_builds()
        return len(going)

    def _clear_abandoned_builds(self) -> None:
        """Builds of processes that were killed: their locks are free. Those that can go on are kept for a week."""
        for place in _folders(self.root / _BUILDING):
            lock = FileLock(place.with_name(f"{place.name}.lock"), timeout=0)
            try:
                with lock:
                    if time.time() - place.stat().st_mtime > 7 * 86_400:
                        _remove(place)
            except (Timeout, OSError):
                continue

    def _publish(
        self, kind: str, fingerprint: str, build: Build, seconds: float, then: Callable[[Artifact], object]
    ) -> Artifact:
        target = self.folder(kind, fingerprint)
        files = file_list(build.folder)
        if not files:
            raise WorkFailed(f"The step {kind} has left no file. Run it again; if that does not help, report it.")
        for name in files:
            path = build.folder / name
            os.chmod(path, stat.S_IMODE(path.stat().st_mode) & ~0o222)
        record = {
            "kind": kind, "fingerprint": fingerprint, "summary": build.summary, "details": build.details,
            "seconds": seconds, "created": now(), "files": files,
        }  # fmt: skip
        write_json(build.folder / RECORD, record)
        os.chmod(build.folder / RECORD, 0o444)
        sync_tree(build.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # without its record: what is left of a folder that somebody emptied by hand
            _remove(target)
        artifact = Artifact(kind, fingerprint, target)
        with self.lock():
            os.replace(build.folder, target)
            sync(target.parent)
            then(artifact)
        return artifact


def file_list(folder: Path) -> dict[str, dict[str, Any]]:
    """{name: {"size", "hash"}} of the files of an artifact, without its record; a large file has no hash."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != RECORD:
            size = path.stat().st_size
            found[path.relative_to(folder).as_posix()] = {
                "size": size,
                "hash": _hash(path) if size <= _HASHED else None,
            }
    return found


def has_sizes(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether `folder` holds these files, of these sizes."""
    there = [path.stat().st_size if (path := folder / name).is_file() else None for name in files]
    return there == [known.get("size") for known in files.values()]


def is_safe(name: object) -> TypeGuard[str]:
    """Whether it is the name of a file that stays inside the folder that it is looked up in."""
    return isinstance(name, str) and "\\" not in name and not {"", ".", ".."} & set(name.split("/"))


def is_whole(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether `folder` holds these files, of these sizes and, where it is known, this content."""
    hashed = {name: known["hash"] for name, known in files.items() if known["hash"] is not None}
    return has_sizes(folder, files) and all(_hash(folder / name) == wanted for name, wanted in hashed.items())


def link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no hard links; `target` must not be there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copy2(source, target)


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def now() -> str:
    """The time, ISO 8601 with the zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
