"""Other rankings of a run's neurons, to compare with its own: kept in its folder by content, never in its own's place.

Such a ranking is what the rank stage would give with another method, other parameters or another alignment. It is named
by that stage's fingerprint, so that one of other sentences, another model or other settings is never shown, and it can
become the run's own without being computed again.
"""

import logging
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.jobs import background
from unlearning_core.config import ExperimentConfig, build_config
from unlearning_core.errors import InputError
from unlearning_core.files import write_file, write_json
from unlearning_core.runs.pipeline import fingerprint, is_finished
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.rankers.registry import get_ranker
from unlearning_core.runs.run import Run, reuse
from unlearning_core.runs.stages import STAGES
from unlearning_core.runs.stages.rank import HISTORY, OUTPUTS, rank_into, summarise
from unlearning_core.runs.context import RunContext

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.activations.alignment import Alignment
    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)

FOLDER = "rankings"
SUMMARY = "summary.json"
"""Written last: a ranking with it is whole."""

MODEL_RUNS = (3.0, 40.0)
"""A method that runs the model takes between so many times a pass over the sentences: docs/rankers.md, "x forward"."""

ROWS = 1.5
"""A method that needs activation rows takes so many times a pass that keeps statistics alone, about; likewise."""

_TRIED = 24
"""Sentences of each kind that a pass is timed on."""

_RANK = next(stage for stage in STAGES if stage.name == "rank")


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
    def folder(self) -> Path:
        """Where it is kept; raises InputError when the model is gone."""
        return self.run.folder / FOLDER / fingerprint(_RANK, self._work(silent))[:16]

    def summary(self) -> dict[str, Any] | None:
        """Its figures, or None while it is not finished."""
        return self.run.read_json(str((self.folder / SUMMARY).relative_to(self.run.folder)))

    @property
    def path(self) -> Path:
        """The file of the finished ranking."""
        return self.folder / "ranking.parquet"

    def read(self) -> "pd.DataFrame":
        """The finished ranking (columns site, layer, index, score, rank, protected)."""
        import pandas as pd

        return pd.read_parquet(self.path)

    @property
    def from_statistics(self) -> bool:
        """Whether what an earlier pass kept is enough for it."""
        ranker = get_ranker(self.ranker)
        return not ranker.needs_rows and not ranker.needs_model and self._earlier_pass() is not None

    def _earlier_pass(self) -> tuple[Path, int] | None:
        """Where statistics of this alignment are kept, and how many tokens they are of; None: nowhere."""
        # Another window may have changed the settings, or be ranking anew: then what lies there is of before.
        of_now = is_finished(self.run, _RANK, fingerprint(_RANK, RunContext(self.run)))
        if of_now and self.alignment == self.run.config.neural_probing.alignment:
            return self.run.folder, self.run.status()["stages"][_RANK.name]["summary"]["tokens"]
        for other in kept_rankings(self.run):
            summary = other.summary()
            if other.alignment == self.alignment and summary is not None:
                return other.folder, summary["figures"]["tokens"]
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
        known = self.summary()
        if known is not None:
            return known
        begun = time.monotonic()
        figures = self._rank_statistics(base) if self.from_statistics else self._rank_sentences(progress, base)
        summary = self._finish(figures, round(time.monotonic() - begun, 2))
        log.info("%s: also ranked by %s, %s", self.run.id, self.ranker, self.alignment)
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
            InputError: it is not finished, or the run is being worked on in the background.
        """
        summary, run = self.summary(), self.run
        if summary is None:
            raise InputError(f"The ranking by {self.ranker} ({self.alignment}) is not finished. Compute it first.")
        if background.is_running(run):
            raise InputError("This run is being retrained at the moment. Wait for it, or stop it on the Retrain page.")
        OtherRanking.own(run)._keep_own()
        run.save_config(self.config)
        run.set_stage(_RANK.name, state="running", fingerprint=None)
        for name in OUTPUTS:
            reuse(self.folder / name, run.folder / name)
        run.set_stage(
            _RANK.name,
            state="finished",
            fingerprint=fingerprint(_RANK, RunContext(run)),
            seconds=summary["seconds"],
            summary=summary["figures"],
        )

    def _keep_own(self) -> None:
        """Put the run's own ranking, which this is, among the others, if it is one of these settings."""
        if not is_finished(self.run, _RANK, fingerprint(_RANK, RunContext(self.run))):
            return
        for name in OUTPUTS:
            reuse(self.run.folder / name, self.folder / name)
        stage = self.run.status()["stages"][_RANK.name]
        self._finish(stage["summary"], stage["seconds"])

    def _finish(self, figures: dict[str, Any], seconds: float) -> dict[str, Any]:
        summary = {
            "ranker": self.ranker, "alignment": self.alignment, "parameters": self.parameters, "seconds": seconds,
            "figures": figures,
        }  # fmt: skip
        write_json(self.folder / SUMMARY, summary)
        return summary

    def _rank_statistics(self, base: "LoadedModel | None") -> dict[str, Any]:
        from unlearning_core.neurons.other_ranks import kept_pass
        from unlearning_core.rankers.ranking import rank

        earlier = self._earlier_pass()
        assert earlier is not None
        folder, tokens = earlier
        probing, loaded = self.config.neural_probing, self._work(silent, base).model("base")
        ranking = rank(
            kept_pass(folder, self.config),
            self.ranker,
            self.parameters,
            shapes=loaded.map.shapes,
            outgoing_norm=loaded.map.outgoing_norm(probing.site),
            protect=probing.protect_massive,
            seed=self.config.seed,
        )
        write_file(self.path, lambda path: ranking.to_parquet(path, index=False))
        for name in OUTPUTS:
            if name not in (self.path.name, HISTORY):
                reuse(folder / name, self.folder / name)
        write_json(self.folder / HISTORY, [])
        return summarise(ranking, tokens)

    def _rank_sentences(self, progress: ProgressCallback, base: "LoadedModel | None") -> dict[str, Any]:
        return rank_into(self.folder, self._work(progress, base))

    def _work(self, progress: ProgressCallback, base: "LoadedModel | None" = None) -> RunContext:
        context = RunContext(self.run, progress, base=base)
        context.config = self.config
        return context

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
    own, found = OtherRanking.own(run).folder, []
    for path in sorted((run.folder / FOLDER).glob(f"*/{SUMMARY}"), key=_written, reverse=True):
        summary = run.read_json(str(path.relative_to(run.folder)))
        try:
            other = OtherRanking(run, summary["ranker"], summary["alignment"], summary["parameters"])
        except InputError:  # a method of another version of this program
            continue
        if other.folder == path.parent != own:
            found.append(other)
    return found


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
