"""`unlearn run`: the whole path."""

import logging
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unlearning_core import distributed
from unlearning_core.cli.options import Bar, OutputFolder, Starter
from unlearning_core.config.reading import build_config, override, read_config_values, starter_file
from unlearning_core.config.schema import DEFAULT_STARTER
from unlearning_core.errors import InputError

log = logging.getLogger(__name__)


def run_command(
    config: Path | None = None,
    /,
    *,
    starter: Starter | None = None,
    assignments: Annotated[tuple[str, ...], Parameter("--set", metavar="KEY=VALUE ...", consume_multiple=1)] = (),
    output_dir: OutputFolder | None = None,
    fresh: bool = False,
    no_wait: bool = False,
    dry_run: bool = False,
    progress: Bar,
) -> None:
    """The whole path: label, rank, prune, retrain, measure.

    Prints the folder of the run as its last line.

    Args:
        config: a config.json; without it the starter's own experiment.
        assignments: settings in place of the config's, for example neural_probing.prune_ratio=0.05 seed=3.
        output_dir: where the run folder is made (default: the config's output_dir, "runs").
        fresh: make a new run folder even where an equal run could go on.
        no_wait: leave at once where another process works on that run.
        dry_run: check everything, print what would be done with times and sizes, and write nothing.
    """
    from unlearning_core.reports.terminal import print_outcome
    from unlearning_core.runs.pipeline import check_new_run, create_run, execute, find_or_create_run, find_run
    from unlearning_core.runs.run import Run

    if config is not None and starter is not None:
        raise InputError(f"Give either a config ({config}) or --starter {starter}, not both.")
    path = config or starter_file(starter or DEFAULT_STARTER)
    values = override(read_config_values(path), assignments)
    settings = build_config(values, origin=str(path), folder=path.resolve().parent)
    root = output_dir or Path(settings.output_dir)
    if dry_run:
        from unlearning_core.cli.dry_run import print_plan
        from unlearning_core.runs.plan import plan

        planned = plan(settings, root, progress)
        progress.close()
        print_plan(planned, settings, root)
        return
    distributed.connect()
    folder: Path | None = None
    base = None
    if distributed.is_main():
        try:
            if fresh or find_run(settings, root) is None:
                base = check_new_run(settings, root, progress)
            run, known = (create_run(settings, root), False) if fresh else find_or_create_run(settings, root)
        except BaseException:
            distributed.share(None)  # the others have nothing to do, and nothing to add to what is said
            raise
        folder = run.folder.resolve()
        log.info("run folder %s%s", folder, " (going on)" if known else "")
    folder = distributed.share(folder)
    if folder is None:
        return
    run = Run(folder)
    if not distributed.is_main():
        execute(run)
        return
    print(f"Run folder: {run.folder}", file=sys.stderr, flush=True)
    execute(run, progress, base=base, waiting=None if no_wait else say_once)
    progress.close()
    print_outcome(run)
    print(run.folder)


_said: set[str] = set()


def say_once(sentence: str) -> None:
    """Tell who else works on the run, once."""
    if sentence not in _said:
        _said.add(sentence)
        sentence = sentence.replace("Wait for it, or stop it there.", "Waiting for it; Ctrl-C leaves it alone.")
        print(sentence, file=sys.stderr, flush=True)
