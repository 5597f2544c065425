"""`unlearn resume`: a run that goes on."""

from unlearning_core import distributed
from unlearning_core.cli.options import Bar, RunFolder, open_folder
from unlearning_core.cli.run import say_once
from unlearning_core.progress import silent


def resume_command(run: RunFolder, /, *, until: str | None = None, no_wait: bool = False, progress: Bar) -> None:
    """Go on with a run folder, after a stop or a change of its config.json.

    Args:
        until: stop after this stage (label, rank, prune, ...).
        no_wait: leave at once where another process works on the run.
    """
    from unlearning_core.runs.pipeline import execute

    opened = open_folder(run)
    distributed.connect()
    waiting = None if no_wait else say_once
    execute(opened, progress if distributed.is_main() else silent, until=until, waiting=waiting)
    if distributed.is_main():
        print(opened.folder)
