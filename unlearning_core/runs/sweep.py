"""The ablation sweep of a run's ranking: an artifact, computed here or in a process of its own."""

import json
import logging
import math
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.errors import InputError
from unlearning_core.evaluation.curves import BUDGET, area_between, curve, selectivity, suggested_ratio
from unlearning_core.evaluation.sweep import MEASURED, Order, Point, SweepSettings, sweep
from unlearning_core.files import write_file
from unlearning_core.jobs.limits import Limits
from unlearning_core.jobs.liveness import is_working_in
from unlearning_core.jobs.process import launch, request_stop
from unlearning_core.jobs.status import tail
from unlearning_core.jobs.worker import JobContext
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.reading import read_table
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import by_hand
from unlearning_core.runs.forms import RANKING
from unlearning_core.runs.points import POINTS, SEARCH, PointRecord, kept_with, read_points
from unlearning_core.runs.points import SWEEP as KIND
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import Artifact, digest
from unlearning_core.runs.token_rows import row_inputs, run_token_rows

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)

TABLE = "points.parquet"
ONE_BY_ONE = Limits(queue="curves")
SENTENCES = 100
"""Held-out sentences with, and as many without the concept, that a sweep measures on unless told otherwise."""


@dataclass(frozen=True)
class RunSweep:
    """One sweep of a run's ranking: an artifact, and how far it is while it is being measured.

    Attributes:
        run: the run; its ranking and its held-out sentences are there.
        settings: what is cut.
        sentences: held-out sentences of each kind that are measured on, at most.
        ranking: file of another ranking of the same neurons, which is cut from its top alone; None: the run's own.
        token_rows: which token rows are moved in every cut.
    """

    run: Run
    settings: SweepSettings = field(default_factory=SweepSettings)
    sentences: int = SENTENCES
    ranking: Path | None = None
    token_rows: RowSettings = field(default_factory=RowSettings)

    @classmethod
    def of(cls, run: Run, cut: CutSettings, ranking: Path | None = None, sentences: int = SENTENCES) -> "RunSweep":
        """The sweep that a cut with these settings lies on, whatever its ratio."""
        settings = SweepSettings(
            per_layer=cut.per_layer,
            protected_layers=cut.protected_layers,
            excluded_neurons=cut.excluded_neurons,
            picked_neurons=cut.picked_neurons,
            layer_ratios=cut.layer_ratios,
        )
        return cls(run, settings, sentences, ranking, cut.token_rows)

    @property
    def orders(self) -> tuple[Order, ...]:
        """What is measured: of another ranking only what it is compared by."""
        return MEASURED if self.ranking is None else ("top",)

    @property
    def cuts(self) -> int:
        """How many points it has if no order ends early."""
        return self.settings.cuts(self.orders)

    @cached_property
    def measured_on(self) -> str:
        """Digest of everything that a single point depends on: points of the same digest can be shared.

        Raises:
            InputError: there is no such ranking, or the run's model is gone.
        """
        from unlearning_core.models.checksums import sha256_of

        settings, context = self.settings, RunContext(self.run)
        rows = row_inputs(context, self.token_rows)
        return digest(
            {
                "ranking": sha256_of(self._ranking_file),
                "held_out": sha256_of(self.run.sentences_file("held_out")),
                "model": context.base_fingerprint,
                "dtype": self.run.config.base_model.dtype,
                "settings": [
                    settings.per_layer, settings.protected_layers, settings.excluded_neurons, settings.seed,
                ],
                "sentences": self.sentences,
                "orders": self.orders,
                **({"token_rows": rows} if rows else {}),
                **by_hand(settings.cut),
            }
        )  # fmt: skip

    @cached_property
    def fingerprint(self) -> str:
        """Of the whole sweep; raises InputError likewise."""
        return digest([self.measured_on, self.settings.ratios, self.settings.draws])

    @property
    def artifact(self) -> Artifact | None:
        """The finished sweep, or None."""
        return self.run.store.get(KIND, self.fingerprint)

    def points(self) -> list[Point]:
        """What was measured so far of these settings."""
        asked = self.settings
        return [point for point in self.known() if point.ratio in asked.ratios and point.draw < asked.draws]

    def known(self) -> list[Point]:
        """Every point of the same measurement, of any ratios and draws, also those of searches."""
        here = self.run.store.unfinished(KIND, self.fingerprint)
        folders = [here, *(kept.folder for kept in kept_with(self.run, (KIND, SEARCH), self.measured_on))]
        found: dict[tuple[Any, ...], Point] = {}
        for folder in folders:
            for point in read_points(folder / POINTS):
                found.setdefault((point.order, point.draw, point.ratio), point)
        return list(found.values())

    def summary(self) -> dict[str, Any] | None:
        """What the finished sweep says, or None while it is not finished with these settings."""
        artifact = self.artifact
        return artifact.record["summary"] if artifact is not None else None

    @property
    def begun(self) -> bool:
        """Whether it was ever started."""
        return (
            self.artifact is not None
            or self.run.store.unfinished(KIND, self.fingerprint).is_dir()
            or self._job.is_dir()
        )

    @property
    def _job(self) -> Path:
        return self.run.job_folder(f"{KIND}-{self.fingerprint[:16]}")

    def is_running(self) -> bool:
        """Whether a process that `start` started works on it."""
        return is_working_in(self._job)

    def start(self, limits: Limits = ONE_BY_ONE) -> None:
        """Compute it in a process of its own, with patience: whatever else the machine does goes first.

        Of several runs' sweeps on this machine one is computed at a time.

        Raises:
            InputError: another sweep of this run is being computed.
        """
        if other_is_running(self.run):
            raise InputError(f"Curves of the run {self.run.id} are being computed already. Wait for them or stop them.")
        values = {
            "run": str(self.run.folder.resolve()),
            "settings": _jsonable(self.settings),
            "sentences": self.sentences,
            "ranking": None if self.ranking is None else str(self.ranking.resolve()),
            "token_rows": asdict(self.token_rows),
        }
        launch(self._job, f"{__name__}:compute_job", values, title="sweep", gently=True, limits=limits.to_dict())

    def stop(self) -> None:
        """Ask that process to stop; the points measured so far are kept."""
        request_stop(self._job)

    def last_words(self) -> str:
        """The last line that the process printed."""
        return "".join(tail(self._job, 1))

    def compute(self, progress: ProgressCallback = silent, *, base: "LoadedModel | None" = None) -> dict[str, Any]:
        """Measure what is missing, and return the summary.

        Args:
            progress: told before every point; may raise Stopped: the points measured so far are kept.
            base: the run's base model, if it is in memory.
        """
        from unlearning_core.evaluation.likelihood import Meter

        def keep(artifact: Artifact) -> None:
            self.run.manifest.keep(artifact, measured_on=self.measured_on)

        def waiting() -> None:
            progress(Progress("waiting for another process that computes the same curves", 0))

        with self.run.store.build(KIND, self.fingerprint, go_on=True, then=keep, waiting=waiting) as build:
            if build.artifact is None:
                begun, context = time.monotonic(), RunContext(self.run, progress, base=base)
                ranking = context.ranking if self.ranking is None else self._read(self.ranking)
                held_out = context.sentences("held_out").take(self.sentences, self.sentences, self.settings.seed)
                meter, known = Meter(context.ranked_base(), held_out.items), self.known()
                rows = run_token_rows(context, meter.loaded, self.token_rows)
                record = PointRecord(build.folder / POINTS, known)
                table = sweep(
                    meter, ranking, self.settings, orders=self.orders, rows=rows, known=tuple(known), on_point=record,
                    progress=progress,
                )  # fmt: skip
                write_file(build.folder / TABLE, lambda path: table.to_parquet(path, index=False))
                build.summary = summarise(table) | {
                    "settings": _jsonable(self.settings),
                    "sentences": len(held_out.items),
                    "neurons": len(ranking),
                    "seconds": round(time.monotonic() - begun, 1),
                }
        assert build.artifact is not None
        return build.artifact.record["summary"]

    @property
    def _ranking_file(self) -> Path:
        if self.ranking is None:
            return self.run.ranking_file()
        if not self.ranking.is_file():
            raise InputError(f"There is no ranking {self.ranking}. Give a ranking.parquet of this run's neurons.")
        return self.ranking

    def _read(self, path: Path) -> "pd.DataFrame":
        """Another ranking of the run's neurons; raises InputError where the file is none, or of other neurons."""
        own, keys = self.run.ranking(), ["site", "layer", "index"]
        advice = "Give the ranking.parquet of a ranking of this run's neurons."
        found = read_table(path, {name: RANKING[name] for name in (*keys, "rank")}, mend=advice)
        both = found[keys].drop_duplicates().merge(own[keys], on=keys)
        if not len(found) == len(both) == len(own):
            raise InputError(
                f"{path} ranks {len(both):,} of this run's {len(own):,} neurons, in {len(found):,} lines. {advice}"
            )
        return found


def compute_job(values: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """What the process that `RunSweep.start` starts runs."""
    from pydantic import TypeAdapter

    settings = TypeAdapter(SweepSettings).validate_python(values["settings"])  # JSON's lists become tuples again
    ranking = None if values["ranking"] is None else Path(values["ranking"])
    run = Run(Path(values["run"]))
    rows = TypeAdapter(RowSettings).validate_python(values["token_rows"])
    return RunSweep(run, settings, values["sentences"], ranking, rows).compute(context.progress)


def _jsonable(settings: SweepSettings) -> dict[str, Any]:
    return json.loads(json.dumps(vars(settings)))


def other_is_running(run: Run) -> bool:
    """Whether any sweep of this run is being computed in a process of its own."""
    return any(is_working_in(folder) for folder in run.job_folder("").glob(f"{KIND}-*"))


def summarise(points: "pd.DataFrame") -> dict[str, Any]:
    """Selectivity, area and suggested ratio of a sweep, JSON-able: what is not a number becomes None."""
    top = curve(points, "top")
    found = selectivity(top)
    values = {
        "budget": BUDGET,
        "selectivity": found.value,
        "selectivity_stderr": found.stderr,
        "selectivity_ratio": found.ratio,
        "budget_reached": found.reached,
        "area_between": area_between(top),
        "suggested_ratio": suggested_ratio(top),
    }
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in values.items()}
