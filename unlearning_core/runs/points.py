"""The measured points of sweeps and searches: on the disk as they come, and shared by all that measure the same."""

import json
from collections.abc import Sequence
from pathlib import Path

from unlearning_core.evaluation.sweep import Point
from unlearning_core.files import write_text
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import Artifact

SWEEP, SEARCH = "sweep", "search-points"
"""Kinds of artifacts that hold points."""

POINTS = "points.jsonl"


class PointRecord:
    """The measured points of a build, on the disk as they come, so that a stopped one goes on."""

    def __init__(self, path: Path, known: Sequence[Point] = ()) -> None:
        self._path, self._points = path, list(known)
        self._write()

    def __call__(self, point: Point) -> None:
        """One more."""
        self._points.append(point)
        self._write()

    def _write(self) -> None:
        write_text(self._path, "".join(json.dumps(point.to_dict()) + "\n" for point in self._points))


def read_points(path: Path) -> list[Point]:
    """The points that a `PointRecord` wrote; none while there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [Point.from_dict(json.loads(line)) for line in lines]


def kept_with(run: Run, kinds: Sequence[str], measured_on: str) -> list[Artifact]:
    """Finished sweeps and searches of the run whose points depend on the same things."""
    kept = [one for kind in kinds for one in run.manifest.kept(kind) if one.get("measured_on") == measured_on]
    found = (run.store.get(one["kind"], one["fingerprint"]) for one in kept)
    return [artifact for artifact in found if artifact is not None]
