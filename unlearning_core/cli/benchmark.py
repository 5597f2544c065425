"""`unlearn benchmark`: what a run's models score in well-known benchmarks."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from unlearning_core.cli.options import Bar, OutputFile, RunFolder, open_folder, print_table
from unlearning_core.files import write_json

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def benchmark_command(
    run: RunFolder,
    /,
    *,
    tasks: str,
    task_folder: Path | None = None,
    limit: Count | None = None,
    shots: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    state: tuple[str, ...] = (),
    json: OutputFile | None = None,
    progress: Bar,
) -> None:
    """Measure the run's models in tasks of EleutherAI's lm-evaluation-harness, each beside the base.

    Needs the extra `benchmarks`. Goes on where it was stopped.

    Args:
        tasks: names of tasks, groups or tags, with commas between them, such as arc_easy,hellaswag.
        task_folder: of your own tasks, each a YAML file; Python files that they name are run.
        limit: the first so many examples of each task, for a first look.
        shots: solved examples before each question (default: as the task has it).
        state: of the model (pruned, retrained, never_knew, ...), once or more (default: all); the base always is.
        json: write the figures there.
    """
    from unlearning_core.reports.benchmarks import NOTE, benchmark_rows
    from unlearning_core.runs.benchmarks import benchmark

    names = [name.strip() for name in tasks.split(",") if name.strip()]
    found = benchmark(open_folder(run), names, progress, folder=task_folder, limit=limit, shots=shots, states=state)
    progress.close()
    print_table(benchmark_rows(found))
    print(NOTE)
    if json:
        rows = found.astype(object).where(found.notna(), None).to_dict("records")
        write_json(json, {"tasks": names, "limit": limit, "shots": shots, "rows": rows})
