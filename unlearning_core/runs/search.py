"""The smallest cut of a run's ranking that works: what was measured is kept with it, for any other target too."""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.errors import InputError
from unlearning_core.evaluation.search import MOST, Search, Target, in_a_sentence, search
from unlearning_core.files import write_json
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import cut_settings
from unlearning_core.runs.run import Run, open_run
from unlearning_core.runs.store import Artifact, digest
from unlearning_core.runs.sweep import POINTS, SENTENCES, PointRecord, RunSweep, read_points

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)

KIND = "search-points"


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
            meter = Meter(context.model("base"), held_out.items)
            known = [*lies_on.known(), *read_points(build.folder / POINTS)]
            record = PointRecord(build.folder / POINTS, known) if build.artifact is None else lambda point: None
            found = search(
                meter, context.ranking, target, self.cut, most=most, known=known, on_point=record, progress=progress
            )
            build.summary = {"sentence": in_a_sentence(found)}
        log.info("%s", in_a_sentence(found))
        return found


def add_search(commands: Any) -> None:
    """The command `search`."""
    command = commands.add_parser("search", help="the fewest neurons that forget enough at a bearable price")
    command.add_argument("run", type=Path, metavar="RUN_FOLDER", help="its neurons must be ranked")
    command.add_argument(
        "--forget", type=float, required=True, metavar="X", help="nats a concept token to forget at least"
    )
    command.add_argument(
        "--retain",
        type=float,
        required=True,
        metavar="Y",
        help="nats any other token, neighbours' too, may lose at most",
    )
    command.add_argument("--most", type=int, default=MOST, metavar="N", help=f"cuts measured at most (default: {MOST})")
    command.add_argument(
        "--sentences", type=int, default=SENTENCES, metavar="N", help=f"of each kind at most (default: {SENTENCES})"
    )
    command.add_argument("--json", type=Path, metavar="OUT", help="write what was found, every cut measured included")
    command.set_defaults(command=search_command)


def search_command(arguments: argparse.Namespace, progress: Any) -> None:
    """Print every cut that is known and what was found."""
    target = Target(arguments.forget, arguments.retain)
    if arguments.sentences < 2:
        raise InputError(f"--sentences is {arguments.sentences}; at least 2 of each kind are needed.")
    folder = arguments.run.resolve()
    run = open_run(folder.name, folder.parent)
    found = RunSearch(run, cut_settings(run.config), arguments.sentences).compute(target, progress, most=arguments.most)
    progress.close()
    print(table(found))
    print(in_a_sentence(found))
    if arguments.json is not None:
        write_json(arguments.json, found.to_dict())


def table(found: Search) -> str:
    """Every cut as a line, forget and retain delta in nats a token with standard errors; * where the target is met."""
    lines = [f"{'neurons':>9}{'cut':>9}{'forget':>18}{'elsewhere':>18}"]
    for point in found.points:
        pairs = ((point.forget, point.forget_stderr), (point.retain, point.retain_stderr))
        cells = "".join(f"{f'{value:.3f} ± {error:.3f}':>18}" for value, error in pairs)
        mark = " *" if found.target.reached_by(point) else ""
        lines.append(f"{point.neurons:>9,}{100 * point.neurons / found.neurons:>8.3g}%{cells}{mark}")
    return "\n".join(lines)
