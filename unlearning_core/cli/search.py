"""`unlearn search`: the smallest cut of a run's ranking that does what is asked for."""

from typing import TYPE_CHECKING

from unlearning_core.cli.options import Bar, OutputFile, RunFolder, SentenceCount, open_folder
from unlearning_core.files import write_json

if TYPE_CHECKING:
    from unlearning_core.evaluation.search import Search


def search_command(
    run: RunFolder,
    /,
    *,
    forget: float,
    retain: float,
    most: int = 40,
    sentences: SentenceCount = 100,
    json: OutputFile | None = None,
    progress: Bar,
) -> None:
    """Find the fewest neurons that forget enough at a bearable price.

    The run's neurons must be ranked.

    Args:
        forget: nats a concept token to forget at least.
        retain: nats a token that other text, neighbours too, may lose at most.
        most: cuts measured at most.
        sentences: held-out sentences of each kind at most.
        json: write what was found there, every cut measured included.
    """
    from unlearning_core.evaluation.search import Target
    from unlearning_core.runs.cuts import cut_settings
    from unlearning_core.runs.search import RunSearch

    target, opened = Target(forget, retain), open_folder(run)
    found = RunSearch(opened, cut_settings(opened.config), sentences).compute(target, progress, most=most)
    progress.close()
    print(cuts_table(found))
    print(found.sentence)
    if json is not None:
        write_json(json, found.to_dict())


def cuts_table(found: "Search") -> str:
    """A line a cut: forget and retain delta, nats a token (± half a 95 % interval); * where the target is met."""
    from unlearning_core.evaluation.ratio import format_value

    lines = [f"{'neurons':>9}{'cut':>9}{'forget':>18}{'other text':>18}"]
    for point in found.points:
        pairs = ((point.forget, point.forget_stderr), (point.retain, point.retain_stderr))
        cells = "".join(f"{format_value(value, error):>18}" for value, error in pairs)
        mark = " *" if found.target.reached_by(point) else ""
        lines.append(f"{point.neurons:>9,}{100 * point.neurons / found.neurons:>8.3g}%{cells}{mark}")
    return "\n".join(lines)
