"""`unlearn evaluate`, `relearn`, `attack`: is the concept gone, what did it cost, does it come back?"""

from collections.abc import Collection
from typing import Any

from unlearning_core.cli.options import Bar, OutputFile, RunFolder, open_folder
from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.files import write_json


def evaluate_command(run: RunFolder, /, *, quick: bool = False, json: OutputFile | None = None, progress: Bar) -> None:
    """Measure what was forgotten, what it cost and whether it comes back, and say which.

    Goes on where it was stopped. The last line that it prints is the verdict.

    Args:
        quick: with about a quarter of the work, for a first look.
        json: write figures and verdict there.
    """
    _prove(run, None, quick, json, progress)


def relearn_command(run: RunFolder, /, *, quick: bool = False, json: OutputFile | None = None, progress: Bar) -> None:
    """Race every state of the run's model to learn the concept again, at several learning rates.

    Args:
        quick: no longer than the verdict asks, until half of the concept is back, the cut let go.
        json: write figures and verdict there.
    """
    _prove(run, ("losses", "relearn"), quick, json, progress)


def attack_command(run: RunFolder, /, *, quick: bool = False, json: OutputFile | None = None, progress: Bar) -> None:
    """Try to bring the concept back: by training on other facts, rounding, prefixes, many samples and more.

    Args:
        quick: with fewer steps and samples.
        json: write figures and verdict there.
    """
    from unlearning_core.evaluation.parts import PARTS

    attacks = [part.name for part in PARTS.values() if part.attack]
    _prove(run, ("losses", "questions", *attacks), quick, json, progress)


def _prove(
    folder: RunFolder, parts: Collection[str] | None, quick: bool, json: OutputFile | None, progress: TerminalProgress
) -> None:
    from unlearning_core.runs.proof import prove

    opened = open_folder(folder)
    verdict = prove(opened, progress, parts=parts, quick=quick)
    progress.close()
    print_verdict(verdict)
    if json:
        write_json(json, flat(verdict))


def print_verdict(verdict: dict[str, Any]) -> None:
    """Every state's measurements by the question that they answer, and the verdict on it; the last state's last."""
    from unlearning_core.evaluation.verdict import SUBJECTS

    order = sorted(verdict["states"], key=lambda state: state == verdict["state"])
    for state in order:
        found = verdict["states"][state]
        print(f"\n{state.replace('_', ' ')}")
        for subject, title in SUBJECTS.items():
            checks = [check for check in found["checks"] if check["subject"] == subject]
            if checks:
                print(f"  {title}")
            for check in checks:
                mark = {True: "passed", False: "FAILED", None: "-"}[check["passed"] if check["judges"] else None]
                print(f"    {mark:7} {check['sentence']}")
        print(f"  {found['sentence']}")
    print(f"\nVerdict: {verdict['verdict']}{' (quick look)' if verdict['quick'] else ''}")


def flat(verdict: dict[str, Any]) -> dict[str, Any]:
    """What `--json` writes: the last state's figures under fixed names, and everything by state."""
    last = verdict["states"].get(verdict["state"], {})
    return {**last.get("summary", {}), **verdict}
