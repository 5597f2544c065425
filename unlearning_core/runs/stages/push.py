"""Push: the last model of a run goes to the Hub."""

from pathlib import Path

from unlearning_core.files import write_json
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.publishing import send, to_send
from unlearning_core.runs.stages.stage import Summary


def push(context: RunContext, folder: Path) -> Summary:
    """Upload the last model, its card and its recipe; the name is the config's push_to_hub. Raises what `send` does."""
    url = send(str(context.config.push_to_hub), to_send(context))
    context.progress(Progress("pushing to the Hub", 1, 1))
    summary = {"url": url}
    write_json(folder / "pushed.json", summary)
    return summary
