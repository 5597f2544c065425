"""`unlearn report`: a run for a person who runs no programs."""

from unlearning_core.cli.options import OutputFile, RunFolder, open_folder, print_or_write


def report_command(run: RunFolder, /, *, output: OutputFile | None = None) -> None:
    """Print a finished run as one HTML file that anyone can read.

    Args:
        output: write there instead of printing.
    """
    from unlearning_core.reports.run_report import run_report

    print_or_write(run_report(open_folder(run)), output)
