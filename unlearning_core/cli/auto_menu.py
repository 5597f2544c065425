"""What a person does with the model that `unlearn auto` made: chat, save, report, upload, the dashboard."""

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.errors import InputError, WorkbenchError
from unlearning_core.files import DASHBOARD, disk_errors

if TYPE_CHECKING:
    from unlearning_core.runs.run import Run

_ASKED = "chat, save, report, upload, dashboard, or Enter to end: "

_TOKENS = 60
"""That each model answers with at most."""


def offer(run: "Run", progress: TerminalProgress) -> None:
    """Ask what comes next, until the person has enough; what goes wrong is said and asked again."""
    doing = {"chat": _chat, "save": _save, "report": _report, "upload": _upload, "dashboard": _dashboard}
    while answer := input(_ASKED).strip().casefold():
        named = [name for name in doing if name.startswith(answer)]
        if len(named) != 1:
            print(f"Expected one of {', '.join(doing)}, or its first letter.")
            continue
        try:
            doing[named[0]](run, progress)
        except WorkbenchError as error:
            progress.close()
            print(error)


def _chat(run: "Run", progress: TerminalProgress) -> None:
    """Both models answer what is typed, side by side with what the model was before."""
    from unlearning_core.evaluation.chat import chat_prompt
    from unlearning_core.evaluation.generation import generate
    from unlearning_core.runs.context import RunContext

    base, last = "base", run.states()[-1]
    context = RunContext(run, progress)
    models = {state: context.model(state, beside=(base,)) for state in (base, last)}
    progress.close()
    while message := input("You (Enter ends the chat): ").strip():
        for state, loaded in models.items():
            prompt = chat_prompt(loaded, [], message, new_tokens=_TOKENS)
            (written,) = generate(loaded, [prompt], temperature=0.0, max_new_tokens=_TOKENS)
            print(f"{state}: {written.text.strip()}")


def _save(run: "Run", progress: TerminalProgress) -> None:
    given = input("Folder to save the model in: ").strip()
    if not given:
        return
    target = Path(given).expanduser()
    if target.exists():
        raise InputError(f"{target} is there already. Give a folder that is not.")
    with disk_errors(target):
        shutil.copytree(run.model(run.states()[-1]), target)
    print(f"Saved. AutoModelForCausalLM.from_pretrained({str(target)!r}) loads it.")


def _report(run: "Run", progress: TerminalProgress) -> None:
    from unlearning_core.cli.report import report_command

    given = input(f"File to write the report to (Enter: {run.id}.html): ").strip()
    report_command(run.folder, output=Path(given or f"{run.id}.html").expanduser())


def _upload(run: "Run", progress: TerminalProgress) -> None:
    from unlearning_core.cli.push import push_command

    if name := input("Repository on the Hub, as owner/name (private; needs `hf auth login`): ").strip():
        push_command(run.folder, name, progress=progress)


def _dashboard(run: "Run", progress: TerminalProgress) -> None:
    command, address = on_screen(run)
    print(f"{command}\nthen {address}")


def on_screen(run: "Run") -> tuple[str, str]:
    """The command that opens the dashboard on the folder of the run, and the address of the run there."""
    folder = shlex.quote(str(run.folder.parent.resolve()))
    return f"UNLEARNING_RUNS={folder} {DASHBOARD}", f"http://localhost:8501/compare?run={run.id}"
