"""A run in one line."""

from pages.components.sidebar import model_name
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run


def described(run: Run) -> str:
    """A run in a line: when, which model and concept, how far."""
    try:
        config, status = run.config, run.status()
    except (InputError, ValueError):
        return f"{run.id} (damaged)"
    stages = [name for name, known in status["stages"].items() if known.get("state") == "finished"]
    reached = f"up to {stages[-1]!r}" if stages else "nothing done yet"
    day, clock = run.id[:8], run.id[9:15]
    time = f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:4]}"
    label = config.neural_probing.activations_label or "concept"
    return f"{time}  {model_name(config.base_model.base_model_path)}, {label}: {status['state']}, {reached}"
