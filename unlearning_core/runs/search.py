"""The smallest cut of a run's ranking that works: what was measured is kept with it, for any other target too."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.evaluation.search import MOST, Search, Target, search
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.points import POINTS, PointRecord, read_points
from unlearning_core.runs.points import SEARCH as KIND
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import Artifact, digest
from unlearning_core.runs.sweep import SENTENCES, RunSweep
from unlearning_core.runs.token_rows import run_token_rows

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSearch:
    """Searches for the smallest cut of a run's ranking.

    Attributes:
        run: its neurons must be ranked.
        cut: how the ranking is cut; the ratio says nothing here.
        sentences: held-out sentences of each kind that are measured on, at most.
    """

    run: Run
    cut: CutSettings
    sentences: int = SENTENCES

    def compute(
        self,
        target: Target,
        progress: ProgressCallback = silent,
        *,
        most: int = MOST,
        base: "LoadedModel | None" = None,
    ) -> Search:
        """Search; cuts that a sweep or an earlier search measured on the same sentences are not measured again.

        Args:
            target: what is to be reached.
            progress: told before every cut; may raise Stopped: the cuts measured so far are kept.
            most: cuts measured at most.
            base: the run's base model, if it is in memory.

        Raises:
            InputError: the neurons of the run are not ranked yet.
        """
        from unlearning_core.evaluation.likelihood import Meter

        lies_on = RunSweep.of(self.run, self.cut, sentences=self.sentences)
        fingerprint = digest([lies_on.measured_on, target.forget, target.retain, most])

        def keep(artifact: Artifact) -> None:
            self.run.manifest.keep(artifact, measured_on=lies_on.measured_on)

        def waiting() -> None:
            progress(Progress("waiting for another process that searches the same", 0))

        with self.run.store.build(KIND, fingerprint, go_on=True, then=keep, waiting=waiting) as build:
            context = RunContext(self.run, progress, base=base)
            seed = lies_on.settings.seed
            held_out = context.sentences("held_out").take(self.sentences, self.sentences, seed)
            meter = Meter(context.ranked_base(), held_out.items)
            rows = run_token_rows(context, meter.loaded, self.cut.token_rows)
            known = [*lies_on.known(), *read_points(build.folder / POINTS)]
            record = PointRecord(build.folder / POINTS, known) if build.artifact is None else lambda point: None
            found = search(
                meter,
                context.ranking,
                target,
                self.cut,
                most=most,
                rows=rows,
                known=known,
                on_point=record,
                progress=progress,
            )
            build.summary = {"sentence": found.sentence}
        log.info("%s", found.sentence)
        return found
