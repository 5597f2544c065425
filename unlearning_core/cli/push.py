"""`unlearn push`: a run's model, all of them or the recipe alone, to the Hub."""

from typing import Literal

from unlearning_core.cli.options import Bar, RunFolder, open_folder


def push_command(
    run: RunFolder,
    name: str,
    /,
    *,
    what: Literal["model", "models", "recipe"] = "model",
    state: str | None = None,
    public: bool = False,
    dry_run: bool = False,
    progress: Bar,
) -> None:
    """Send a run's model to the Hub with its card, recipe and settings, or the recipe alone (kilobytes).

    The card says what was forgotten, what it cost and whether it comes back, as far as it was measured (`evaluate`).

    Args:
        name: owner/name of the repository; it is made where it is not there, private.
        what: one model, all models of the run (each in a folder), or the recipe without a model.
        state: which model: pruned, retrained, ... (default: the last one).
        public: let everyone see a repository that is made.
        dry_run: list what would be sent, and print the card, instead of sending.
    """
    from unlearning_core.runs.checks import check_repository
    from unlearning_core.runs.context import RunContext
    from unlearning_core.runs.publishing import send, to_send

    check_repository(name, sending=not dry_run, called="The name")
    files = to_send(RunContext(open_folder(run), progress), what, state)
    progress.close()
    if not dry_run:
        print(send(name, files, private=not public, called="The repository"))
        return
    for one in files:
        print(f"{one.size:>14,}  {one.path}")
    print(f"{sum(one.size for one in files):>14,}  bytes in {len(files)} files would be sent to {name}.\n")
    print(next(one.content.decode() for one in files if isinstance(one.content, bytes) and one.path == "README.md"))
