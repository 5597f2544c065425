"""`unlearn report`: a run for a person who runs no programs, or for those who use its model."""

from unlearning_core.cli.options import OutputFile, RunFolder, open_folder, print_or_write


def report_command(run: RunFolder, /, *, model_card: str | None = None, output: OutputFile | None = None) -> None:
    """Print a finished run as one HTML file that anyone can read, or the model card of one of its models.

    Args:
        model_card: a state of the model (pruned, retrained, ...): print its card in Markdown instead.
        output: write there instead of printing.
    """
    from unlearning_core.reports.run_report import run_report
    from unlearning_core.runs.context import RunContext
    from unlearning_core.runs.proof_results import card_of

    opened = open_folder(run)
    card = None if model_card is None else card_of(RunContext(opened), model_card)
    print_or_write(run_report(opened) if card is None else card, output)
