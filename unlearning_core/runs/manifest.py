"""What a run points at, how far it is, and who works on it: `status.json`, changed only under the run's lock.

`status.json` is `{"state", "stage", "message", "created", "updated", "stages", "kept", "sources"}`:

- `stages`: by name `{"state", "fingerprint", "seconds", "summary", "files", "taken_from"}`. A finished stage's
  fingerprint names its artifact in the store; `files` is the artifact's list of files, by which those of a copied run
  are known to be whole.
- `kept`: further artifacts of this run (other rankings, curves, searches, filtered text):
  `[{"kind", "fingerprint", ...}]`, the latest last.
- `sources`: by path or name, what a file, dataset or model that the settings name held when it was last seen.
"""

import marshal
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors, read_object, write_json
from unlearning_core.jobs.liveness import is_alive, process_identity
from unlearning_core.reading import check_form, parse_json
from unlearning_core.runs.forms import ManifestForm
from unlearning_core.runs.store import Artifact, Key, is_safe, now

FILE = "status.json"
_LOCK, _WORK_LOCK, _WORKER = ".lock", ".work.lock", "worker.json"
_PATIENCE = 5.0
"""Seconds that a process which looks at the work lock without waiting gives another one to let go of it."""

_STEP_KEYS = ("state", "fingerprint", "seconds", "summary", "files", "taken_from")

DAMAGED = "damaged"

_PART = re.compile(r"[\w-]+")
"""What a kind and a fingerprint are made of: each is the name of a folder."""


class Busy(InputError):
    """Somebody else works on the run."""


@dataclass(frozen=True)
class Worker:
    """Who works on a run.

    Attributes:
        pid: its process.
        doing: what, in words a person reads.
        since: when it began, ISO 8601.
        host: the machine it is on.
    """

    pid: int
    doing: str
    since: str
    host: str = ""


class Manifest:
    """The manifest of one run folder; any number of processes may read and change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[str, Any]:
        """The manifest as it is; state "new" while there is none, "damaged" where it cannot be read."""
        path = self.folder / FILE
        empty: dict[str, Any] = {"state": "new", "stage": None, "message": "", "stages": {}}
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return empty
        except OSError:
            content = b""
        if (packed := _checked(content)) is None:
            message = f"{path} is damaged. Resume the run: what was finished is found again."
            return empty | {"state": DAMAGED, "message": message}
        found: dict[str, Any] = marshal.loads(packed)
        return empty | found

    def content(self) -> bytes:
        """`status.json` as it is, empty while there is none: what tells a run from itself with other results."""
        path = self.folder / FILE
        return path.read_bytes() if path.is_file() else b""

    def change(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Let `change` alter the manifest; what two processes change at the same time is all in it afterwards."""
        with disk_errors(self.folder), self.there(), FileLock(self.folder / _LOCK):
            found = self.read()
            if found["state"] == DAMAGED:
                found = found | {"state": "stopped", "message": ""}
            change(found)
            write_json(self.folder / FILE, found | {"updated": now()})

    def update(self, **values: Any) -> None:
        """Change the run's own state (new, running, waiting, stopped, failed, finished), stage or message."""
        self.change(lambda found: found.update(values))

    def set_stage(self, name: str, **values: Any) -> None:
        """Change what is known of one stage."""

        def change(found: dict[str, Any]) -> None:
            found["stages"][name] = found["stages"].get(name, {}) | values

        self.change(change)

    def finish(self, name: str, artifact: Artifact, *, taken_from: str | None = None) -> None:
        """Point the stage at its result."""
        record = artifact.record
        values = ("finished", artifact.fingerprint, record["seconds"], record["summary"], record["files"], taken_from)
        step = {key: value for key, value in zip(_STEP_KEYS, values, strict=True) if value is not None}

        def change(found: dict[str, Any]) -> None:
            # As the last one: the order in which stages were finished tells how far a run is.
            found["stages"].pop(name, None)
            found["stages"][name] = step

        self.change(change)

    def drop(self, name: str) -> None:
        """The stage is being made anew: nothing is pointed at meanwhile."""
        self.set_stage(name, state="running", fingerprint=None, files={})

    def keep(self, artifact: Artifact, **details: Any) -> None:
        """Keep a further artifact as long as the run is there."""

        def change(found: dict[str, Any]) -> None:
            others = [one for one in found.get("kept", []) if _key(one) != (artifact.kind, artifact.fingerprint)]
            found["kept"] = [*others, {"kind": artifact.kind, "fingerprint": artifact.fingerprint} | details]

        self.change(change)

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """The further artifacts of a kind, the latest first."""
        return [one for one in reversed(self.read().get("kept", [])) if one["kind"] == kind]

    def references(self) -> set[Key]:
        """Every artifact that the run needs."""
        found = self.read()
        steps = {
            (kind_of(name), step["fingerprint"]) for name, step in found["stages"].items() if step.get("fingerprint")
        }
        return steps | {_key(one) for one in found.get("kept", [])}

    def worker(self) -> Worker | None:
        """Who works on the run, also in another process; looking disturbs nobody."""
        process = read_object(self.folder / _WORKER)
        if not process or process.get("host") != platform.node() or not is_alive(process):
            return None
        doing, since = (process.get(name) if isinstance(process.get(name), str) else "" for name in ("doing", "since"))
        return Worker(process["pid"], doing or "work", since or "", process["host"])

    @contextmanager
    def working(self, doing: str, waiting: Callable[[str], object] | None = None) -> Iterator[None]:
        """Inside the `with` nobody else works on the run, in this or any other process.

        Args:
            doing: what is done, for whoever comes meanwhile.
            waiting: told who works on the run, again and again, until it is free; may raise Stopped. None: do not wait.

        Raises:
            Busy: somebody else works on it; says who.
            InputError: the run's folder may not be written.
        """
        with disk_errors(self.folder), self.there():
            lock = FileLock(self.folder / _WORK_LOCK, timeout=_PATIENCE if self.worker() is None else 0)
            while True:
                try:
                    lock.acquire()
                    break
                except Timeout:
                    sentence = self.busy_sentence()
                    if waiting is None:
                        raise Busy(sentence) from None
                    waiting(sentence)
                    lock.timeout = 0.3
        try:
            if not self.folder.is_dir():  # deleted by the one who was waited for
                raise self._gone()
            worker = Worker(os.getpid(), doing, now(), platform.node())
            write_json(self.folder / _WORKER, asdict(worker) | process_identity(os.getpid()))
            yield
        finally:
            (self.folder / _WORKER).unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def there(self) -> Iterator[None]:
        """Whatever is missing inside the `with` because the run was deleted meanwhile is an InputError that says so."""
        try:
            yield
        except FileNotFoundError as error:
            if self.folder.is_dir():
                raise
            raise self._gone() from error

    def _gone(self) -> InputError:
        return InputError(f"There is no run {self.folder.name} any more: it was deleted. Open another one.")

    def busy_sentence(self) -> str:
        """Who works on the run and what to do."""
        worker = self.worker()
        if worker is None:
            return f"The run {self.folder.name} is being worked on by another process. Wait for it, or stop it there."
        own = " (this one)" if worker.pid == os.getpid() else ""
        return (
            f"The run {self.folder.name} is being worked on: {worker.doing}, process {worker.pid}{own}, since "
            f"{worker.since[11:16]}. Wait for it, or stop it there."
        )


@lru_cache(maxsize=32)
def _checked(content: bytes) -> bytes | None:
    """The manifest that a file of this content is, packed by marshal; None where it is none.

    A page asks for it hundreds of times, and checking it takes ten times as long as reading it.
    """
    try:
        found = parse_json(content.decode("utf-8"))
    except ValueError:
        return None
    return marshal.dumps(found) if isinstance(found, dict) and _is_manifest(found) else None


def _is_manifest(found: dict[str, Any]) -> bool:
    """Whether everything that is built on has the form it must have; it may have come from anybody, in a zip."""
    try:
        check_form(found, ManifestForm)
    except ValueError:
        return False
    stages, kept = found["stages"], found.get("kept") or []
    names = [name for step in stages.values() for name in step.get("files") or {}]
    parts = [kind_of(name) if name.strip() else "" for name in stages] + [one.get("kind") for one in kept]
    parts += [one.get("fingerprint") for one in (*stages.values(), *kept) if one.get("fingerprint") is not None]
    return all(map(is_safe, names)) and all(isinstance(part, str) and _PART.fullmatch(part) for part in parts)


def kind_of(step: str) -> str:
    """The kind of artifact that a stage makes: measure, of "measure base"."""
    return step.split()[0]


def _key(one: Mapping[str, Any]) -> Key:
    return one["kind"], one["fingerprint"]
