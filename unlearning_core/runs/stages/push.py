"""Push: the last model of a run goes to the Hub."""

from pathlib import Path

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import write_json
from unlearning_core.methods.registry import states_of
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.proof_results import card_of
from unlearning_core.runs.stages.stage import Summary


def push(context: RunContext, folder: Path) -> Summary:
    """Upload the last model with the Hub's own login; the name is the config's push_to_hub.

    Raises:
        InputError: nobody is logged in, or the name may not be written to.
        WorkFailed: the Hub could not be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    name = str(context.config.push_to_hub)
    state = states_of(context.config)[-1]
    model = context.run.model(state)
    try:
        api = HfApi()
        api.create_repo(name, exist_ok=True, private=True)
        commit = api.upload_folder(repo_id=name, folder_path=model, ignore_patterns=["artifact.json"])
        card = card_of(context, state).encode()
        api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=name)
    except LocalTokenNotFoundError as error:
        raise InputError(f"push_to_hub {name}: nobody is logged in. Run `hf auth login` and run again.") from error
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else "no answer"
        raise InputError(
            f"push_to_hub {name}: the Hub refused ({code}). Log in with `hf auth login` and check the name."
        ) from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise WorkFailed(
            f"push_to_hub {name}: the Hub could not be reached. The model is kept in {model}; "
            "run the same command again when you are online."
        ) from error
    context.progress(Progress("pushing to the Hub", 1, 1))
    summary = {"url": str(commit.commit_url)}
    write_json(folder / "pushed.json", summary)
    return summary
