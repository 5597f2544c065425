"""`unlearn export`: a run for another place or machine."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unlearning_core.cli.options import Bar, OutputFile, RunFolder, open_folder


def export_command(
    run: RunFolder, /, *, output: Annotated[OutputFile | None, Parameter(alias="-o")] = None, progress: Bar
) -> None:
    """Write a run as one zip, with its results and the texts that it was made from.

    Args:
        output: the zip to write (default: the run's name with .zip, here).
    """
    from unlearning_core.runs.transfer import export_run

    opened = open_folder(run)
    target = export_run(opened, output or Path(f"{opened.id}.zip"), progress)
    progress.close()
    print(target)
