"""`unlearn resume`: the rest of a run."""

from unlearning_core import distributed
from unlearning_core.cli.options import Bar, RunFolder, open_folder
from unlearning_core.progress import silent


def resume_command(run: RunFolder, /, *, until: str | None = None, progress: Bar) -> None:
    """Go on with a run folder, after a stop or a change of its config.json.

    Args:
        until: stop after this stage (label, rank, prune, ...).
    """
    from unlearning_core.runs.pipeline import execute

    opened = open_folder(run)
    distributed.connect()
    execute(opened, progress if distributed.is_main() else silent, until=until)
    if distributed.is_main():
        print(opened.folder)
