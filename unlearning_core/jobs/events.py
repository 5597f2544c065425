"""What a job tells those who watch it: `events.jsonl`, a line at a time, and `status.json`, the latest state."""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unlearning_core.files import disk_errors, read_object, write_json
from unlearning_core.reading import parse_lines

EVENTS_FILE = "events.jsonl"
STATUS_FILE = "status.json"
LIVE = ("queued", "starting", "running")
_STATUS_SECONDS = 0.5


class EventLog:
    """Appends events and keeps the status; readable at any moment, also while a line is half-written.

    A silent log (the processes beside the first in a distributed training) writes nothing.

    Attributes:
        status: what `status.json` says, or will say with the next write.
    """

    def __init__(self, folder: Path, *, silent: bool = False) -> None:
        self.folder = folder
        self.status: dict[str, Any] = {}
        self._silent = silent
        self._written = 0.0
        if not silent:
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            self.status = read_object(folder / STATUS_FILE)
            events = folder / EVENTS_FILE
            if events.is_file() and not events.read_bytes().endswith(b"\n") and events.stat().st_size:
                self._append("\n")  # a line cut short by a kill would swallow the next one

    def event(self, kind: str, **values: Any) -> None:
        """Append one line: `time` (ISO 8601, UTC), `kind` (train, eval, measure, sample, quiz, status) and `values`."""
        if not self._silent:
            self._append(json.dumps({"time": now(), "kind": kind} | values, ensure_ascii=False) + "\n")

    def step(self, **values: Any) -> None:
        """Bring the status up to date, at most twice a second."""
        self.status |= values
        if time.monotonic() - self._written >= _STATUS_SECONDS:
            self._write()

    def state(self, state: str, message: str = "", **values: Any) -> None:
        """Enter a state: "queued", "starting", "running", "finished", "stopped" or "failed". Written at once."""
        self.event("status", state=state, message=message, **{k: v for k, v in values.items() if k != "result"})
        self.status |= {"state": state, "message": message} | values
        self._write()

    def _write(self) -> None:
        if not self._silent:
            write_json(self.folder / STATUS_FILE, self.status | {"updated": now()})
        self._written = time.monotonic()

    def _append(self, text: str) -> None:
        path = self.folder / EVENTS_FILE
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(text)


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All whole events so far, as written; a half-written line is left for the next call, one that is none left out."""
    path = folder / EVENTS_FILE
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    return [event for event in parse_lines(lines) if isinstance(event, dict) and isinstance(event.get("kind"), str)]


def loss_curve(told: Path | Iterable[dict[str, Any]], kind: str = "train") -> list[dict[str, Any]]:
    """The events of `kind` by ascending step, each step once; `told` is a job's folder, or the events that it holds.

    What was told of steps after the checkpoint that a training went on from is dropped: those steps were done again.
    """
    points: dict[int, dict[str, Any]] = {}
    for event in read_events(told) if isinstance(told, Path) else told:
        if type(event.get("step")) is not int:
            continue
        if event["kind"] == "status" and event.get("state") == "running":
            points = {step: point for step, point in points.items() if step <= event["step"]}
        elif event["kind"] == kind:
            points[event["step"]] = event
    return [points[step] for step in sorted(points)]


def now() -> str:
    """ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
