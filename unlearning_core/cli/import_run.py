"""`unlearn import`: a run from another place or machine."""

from pathlib import Path

from unlearning_core.cli.options import Bar, OutputFolder


def import_run_command(source: Path, /, *, output_dir: OutputFolder = Path("runs"), progress: Bar) -> None:
    """Unpack a run that `export` wrote; report, resume and the pages work with it.

    Args:
        source: the zip.
        output_dir: where the run folder is made.
    """
    from unlearning_core.runs.transfer import import_run

    run = import_run(source, output_dir, progress)
    progress.close()
    print(run.folder.resolve())
