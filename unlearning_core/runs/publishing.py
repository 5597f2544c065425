"""What of a run goes to the Hub: a model or all of them, or the recipe alone, with a card and how it was made."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unlearning_core.edits.recipe import RECIPE_FILE
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.methods.registry import METHODS, check_state, states_of
from unlearning_core.models.sources.weight_files import weights_of
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.proof_results import card_of

What = Literal["model", "models", "recipe"]

_OWN = ("artifact.json",)
"""Notes of the workbench beside a model's files."""


@dataclass(frozen=True)
class Sent:
    """One file of a repository: its path there, and the file or the bytes that it is."""

    path: str
    content: Path | bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


def to_send(context: RunContext, what: What = "model", state: str | None = None) -> list[Sent]:
    """The files, the card first.

    Args:
        what: one model at the top of the repository; every model of the run, each in a folder called like its state;
            or no model, but the recipe, which makes the edit again from the base (kilobytes).
        state: which model, and whose card (default: the last one of the run; of a recipe the pruned one).

    Raises:
        InputError: there is no such state, its model is not there or not whole, or the run has no recipe.
    """
    run, states = context.run, states_of(context.config)[1:]
    # The recipe makes the model that was cut, not what was learnt after it.
    chosen = check_state(state or (METHODS["prune"].state if what == "recipe" else states[-1]), states)
    files = [Sent("README.md", card_of(context, chosen, alone=what == "recipe").encode())]
    if what == "model":
        files += _model(run.model(chosen))
    elif what == "models":
        files += [one for made in states for one in _model(run.model(made), f"{made}/")]
    try:
        recipe = run.recipe_files()
    except InputError:
        if what == "recipe":
            raise
        recipe = {}  # of a method that cuts nothing
    if RECIPE_FILE in recipe:
        recipe[RECIPE_FILE] = _json(_shared(json.loads(recipe[RECIPE_FILE])))
    files += [Sent(f"recipe/{name}", content) for name, content in recipe.items() if name not in _OWN]
    return [*files, Sent(run.reproduce_file.name, _json(_shared(context.config.model_dump(mode="json"))))]


def _model(folder: Path, prefix: str = "") -> Iterator[Sent]:
    weights_of(folder)  # whole, or nothing is sent
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name not in _OWN and file.name != "README.md":
            yield Sent(f"{prefix}{file.relative_to(folder).as_posix()}", file)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _shared(value: Any) -> Any:
    """The same without folders of this machine: of an absolute path the last part is left."""
    if isinstance(value, dict):
        return {key: _shared(inner) for key, inner in value.items() if key != "push_to_hub"}
    if isinstance(value, list):
        return [_shared(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def send(
    name: str,
    files: Sequence[Sent],
    *,
    private: bool = True,
    message: str = "Unlearning Workbench",
    called: str = "push_to_hub",
) -> str:
    """Put the files into the model repository `name` in one commit, with the Hub's own login; returns the commit's URL.

    The repository is made where it is not there; files of it that are not among these stay.

    Args:
        called: what the person knows the name by, as for `checks.check_repository`.

    Raises:
        InputError: nobody is logged in, or the name may not be written to.
        WorkFailed: the Hub could not be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    operations = [CommitOperationAdd(one.path, one.content) for one in files]
    try:
        api = HfApi()
        api.create_repo(name, exist_ok=True, private=private)
        commit = api.create_commit(name, operations, commit_message=message)
    except LocalTokenNotFoundError as error:
        raise InputError(f"{called} {name}: nobody is logged in. Run `hf auth login` and run again.") from error
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else "no answer"
        raise InputError(
            f"{called} {name}: the Hub refused ({code}). Log in with `hf auth login` and check the name."
        ) from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise WorkFailed(
            f"{called} {name}: the Hub could not be reached. Everything is kept here; run the same command again "
            "when you are online."
        ) from error
    return str(commit.commit_url)
