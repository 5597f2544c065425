"""What a run is called where people read of it. Its id, its folder, links to it and exports know nothing of that."""

from pathlib import Path

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.runs.forms import LONGEST_NAME
from unlearning_core.runs.listing import list_runs, open_run
from unlearning_core.runs.run import Run

_NOTE = "name"


def given_name(run: Run) -> str:
    """The name that a person gave it; empty where nobody did."""
    return str(run.note(_NOTE) or "")


def shown_name(run: Run) -> str:
    """The name that a person gave it; else its model and concept; its id where its settings cannot be read."""
    given = given_name(run)
    if given:
        return given
    try:
        config = run.config
    except InputError:
        return run.id
    return f"{model_name(config.base_model.base_model_path)}, {concept_name(config)}"


def concept_name(config: ExperimentConfig) -> str:
    """What the settings call the concept; else its file of words, or its first word."""
    definition = config.neural_probing.concept_definition
    words = Path(definition).stem if isinstance(definition, str) else definition[0] if definition else "concept"
    return config.neural_probing.activations_label or words


def model_name(source: str) -> str:
    """The last part of a path or a name of the Hub."""
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def rename(run: Run, name: str) -> None:
    """Show `run` under that name from now on; an empty one takes the name away. White space is made single spaces.

    Raises:
        InputError: the name is too long, has signs that cannot be shown, or another run beside this one has it; or the
            run was deleted meanwhile.
    """
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"The name {name[:20]!r}… has {len(name)} characters; a run's name has {LONGEST_NAME} at most. Shorten it."
        )
    if not name.isprintable():
        raise InputError(f"The name {name!r} has signs that cannot be shown. Type it again.")
    open_run(run.id, run.folder.parent)  # a note would make its folder again
    others = (other for other in list_runs(run.folder.parent) if other != run)
    if name and (taken := next((other for other in others if given_name(other) == name), None)):
        raise InputError(
            f"The run {taken.id} is called {name!r} already. Choose another name, or rename that one first."
        )
    run.write_note(_NOTE, name or None)
