"""Other rankings of a run's neurons, to compare with its own.

Such a ranking is the artifact that the rank stage would make with another method, other parameters or another
alignment: named by that stage's fingerprint, so that one of other sentences, another model or other settings is never
shown, and it can become the run's own without being computed again.
"""

import logging
import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.config.reading import build_config
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import write_file, write_json
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.rankers.registry import get_ranker
from unlearning_core.reading import read_table
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.forms import RANKING
from unlearning_core.runs.pipeline import fingerprint
from unlearning_core.runs.run import MEND, Run
from unlearning_core.runs.stages.rank import HISTORY, OUTPUTS, rank_into, summarise
from unlearning_core.runs.stages.registry import stage_called
from unlearning_core.runs.stages.stage import Stage
from unlearning_core.runs.store import Artifact, link

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.activations.alignment import Alignment
    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)

KIND = "rank"

MODEL_RUNS = (3.0, 40.0)
"""A method that runs the model takes between so many times a pass over the sentences: docs/rankers.md, "x forward"."""

ROWS = 1.5
"""A method that needs activation rows takes so many times a pass that keeps statistics alone, about; likewise."""

_TRIED = 24
"""Sentences of each kind that a pass is timed on."""


@dataclass(frozen=True)
class OtherRanking:
    """A ranking of the run's kind of neuron by some method; everything else is as in the run's settings.

    Attributes:
        run: its sentences are labelled.
        ranker: the method's name.
        alignment: where the activation is read.
        parameters: all of the method's, defaults too.
    """

    run: Run
    ranker: str
    alignment: "Alignment"
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill in the defaults; raises InputError for an unknown method or parameter."""
        checked = get_ranker(self.ranker).check(self.parameters)
        object.__setattr__(self, "parameters", checked.model_dump(mode="json"))

    @classmethod
    def own(cls, run: Run) -> "OtherRanking":
        """What the run's settings name."""
        probing = run.config.neural_probing
        return cls(run, probing.ranker, probing.alignment, probing.ranker_parameters)

    @cached_property
    def config(self) -> ExperimentConfig:
        """The run's settings with this method in them."""
        values = self.run.config.model_dump()
        values["neural_probing"] |= {
            "ranker": self.ranker, "ranker_parameters": self.parameters, "alignment": self.alignment,
        }  # fmt: skip
        return build_config(values, origin="These settings")

    @cached_property
    def fingerprint(self) -> str:
        """Of the ranking, as the rank stage would have it; raises InputError when the model is gone."""
        return fingerprint(self._stage, self._context(silent))

    @property
    def artifact(self) -> Artifact | None:
        """The finished ranking, or None."""
        return self.run.store.get(KIND, self.fingerprint)

    def summary(self) -> dict[str, Any] | None:
        """Its figures and the seconds it took, or None while it is not finished."""
        artifact = self.artifact
        return None if artifact is None else {
            "ranker": self.ranker, "alignment": self.alignment, "parameters": self.parameters,
            "seconds": artifact.record["seconds"], "figures": artifact.record["summary"],
        }  # fmt: skip

    @property
    def path(self) -> Path:
        """The file of the ranking, once it is finished."""
        return self.run.store.folder(KIND, self.fingerprint) / "ranking.parquet"

    def read(self) -> "pd.DataFrame":
        """The finished ranking (columns site, layer, index, score, rank, protected)."""
        return read_table(self.path, RANKING, mend=MEND)

    @property
    def from_statistics(self) -> bool:
        """Whether what an earlier pass kept is enough for it."""
        ranker = get_ranker(self.ranker)
        return not ranker.needs_rows and not ranker.needs_model and self._earlier_pass() is not None

    def _earlier_pass(self) -> Artifact | None:
        """A finished ranking whose pass read the same activations; None: there is none."""
        # Another window may have changed the settings, or be ranking anew: then what lies there is of before.
        own = OtherRanking.own(self.run)
        for other in (own, *kept_rankings(self.run)):
            if other.alignment == self.alignment and (artifact := other.artifact) is not None:
                return artifact
        return None

    def compute(self, progress: ProgressCallback = silent, *, base: "LoadedModel | None" = None) -> dict[str, Any]:
        """Rank, keep, and return the figures; the run's own ranking stays as it is.

        Args:
            progress: may raise Stopped: a method that keeps how far it is goes on from there the next time.
            base: the run's base model, if it is in memory.

        Raises:
            InputError: the method is not available, or not for this model and alignment.
            WorkFailed: the model's output is not a number.
        """

        def waiting() -> None:
            progress(Progress("waiting for another process that ranks by the same method", 0))

        with self.run.store.build(KIND, self.fingerprint, then=self._keep, waiting=waiting) as build:
            if build.artifact is None:
                if self.from_statistics:
                    build.summary = self._rank_statistics(build.folder, base)
                else:
                    work = self.run.work_folder(f"ranking-{self.fingerprint[:16]}")
                    build.summary = rank_into(self._context(progress, base), build.folder, work)
                    shutil.rmtree(work, ignore_errors=True)
        log.info("%s: also ranked by %s, %s", self.run.id, self.ranker, self.alignment)
        summary = self.summary()
        assert summary is not None
        return summary

    def expected_seconds(self, loaded: "LoadedModel") -> tuple[float, float]:
        """About how long `compute` takes, at least and at most: the method itself tells it closely once it has begun.

        A pass is timed on a few sentences. Parameters that are far from their defaults can take any time.
        """
        ranker = get_ranker(self.ranker)
        if self.from_statistics:
            return 0.0, 0.0
        seconds = self._seconds_of_pass(loaded)
        least, most = MODEL_RUNS if ranker.needs_model else (ROWS, ROWS) if ranker.needs_rows else (1.0, 1.0)
        return least * seconds, most * seconds

    def adopt(self) -> None:
        """Make it the run's own ranking; the one that was is kept among the others.

        Raises:
            Busy: somebody works on the run.
            InputError: it is not finished.
        """
        run, artifact = self.run, self.artifact
        if artifact is None:
            raise InputError(f"The ranking by {self.ranker} ({self.alignment}) is not finished. Compute it first.")
        with run.manifest.working("taking over another ranking"):
            own = OtherRanking.own(run)
            before = own.artifact
            with run.store.lock():
                if before is not None:
                    own._keep(before)
                run.save_config(self.config)
                run.point(KIND, artifact)
            run.show(artifact)

    def _keep(self, artifact: Artifact) -> None:
        self.run.manifest.keep(artifact, ranker=self.ranker, alignment=self.alignment, parameters=self.parameters)

    def _rank_statistics(self, folder: Path, base: "LoadedModel | None") -> dict[str, Any]:
        from unlearning_core.activations.collect import Activations
        from unlearning_core.rankers.ranking import rank
        from unlearning_core.rankers.ranking_input import RankingInput

        earlier = self._earlier_pass()
        assert earlier is not None
        probing, loaded = self.config.neural_probing, self._context(silent, base).ranked_base()
        norm = loaded.map.outgoing_norm(probing.site)
        given = RankingInput(Activations.load(earlier.folder, probing), norm, self.config.seed, model=loaded)
        ranking = rank(given, self.ranker, self.parameters, protect=probing.protect_massive)
        write_file(folder / "ranking.parquet", lambda path: ranking.to_parquet(path, index=False))
        for name in OUTPUTS:
            if name not in ("ranking.parquet", HISTORY):
                link(earlier.path(name), folder / name)
        write_json(folder / HISTORY, [])
        return summarise(ranking, earlier.record["summary"]["tokens"])

    @property
    def _stage(self) -> Stage:
        return stage_called(KIND, self.config)

    def _context(self, progress: ProgressCallback, base: "LoadedModel | None" = None) -> RunContext:
        return RunContext(self.run, progress, base=base, config=self.config)

    def _seconds_of_pass(self, loaded: "LoadedModel") -> float:
        """What one pass over the training sentences takes, going by a few of them."""
        from unlearning_core.activations.collect import collect

        sentences, config = RunContext(self.run).sentences("train"), self.run.config
        few = sentences.take(_TRIED, _TRIED, config.seed).items
        begun = 0.0
        for items in (sentences.take(2, 2, config.seed).items, few):
            begun = time.monotonic()  # the first pass only pays for allocations
            collect(loaded, items, site=config.neural_probing.site, alignment=self.alignment)
        seconds = time.monotonic() - begun
        lengths = [sum(len(item.text) for item in items) for items in (sentences.items, few)]
        return seconds * lengths[0] / lengths[1]


def kept_rankings(run: Run) -> list[OtherRanking]:
    """The finished other rankings that belong to the run as it is now, the latest first; never its own."""
    own, found = OtherRanking.own(run).fingerprint, []
    for kept in run.manifest.kept(KIND):
        try:
            other = OtherRanking(run, kept["ranker"], kept["alignment"], kept["parameters"])
        except InputError:  # a method of another version of this program
            continue
        if other.fingerprint == kept["fingerprint"] != own and other.artifact is not None:
            found.append(other)
    return found
