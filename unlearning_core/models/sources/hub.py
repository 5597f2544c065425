"""Models from the Hugging Face Hub: what they are, and their files; every refusal has a sentence of its own.

The token is the Hub's own business (`hf auth login`, or its environment variable): none is taken, kept or logged here.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.progress import Progress, ProgressCallback, silent

_SMALL = (
    *("config.json", "generation_config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "merges.txt", "*.model", "chat_template*", "README.md", "LICENSE*"),
)
_SAFE = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json")
_FRESH_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """A repository looked at, its weights not fetched.

    Attributes:
        folder: the Hub's cache folder of this commit, with the small files in it.
        commit: 40 hexadecimal digits.
        licence: from the model card.
        missing_bytes: what a download would still fetch.
    """

    folder: Path
    commit: str
    licence: str | None
    missing_bytes: int


@dataclass(frozen=True)
class _Repository:
    commit: str
    licence: str | None
    files: dict[str, int]


_looked: dict[tuple[str, str | None], tuple[float, _Repository]] = {}


def commit_of(name: str, revision: str | None = None) -> str:
    """The commit that `revision` (the default branch when None) stands for now; offline, the one in the cache.

    Raises:
        InputError: there is no such model or revision, or it is closed to this person.
        WorkFailed: the Hub cannot be reached and the model is not in the cache.
    """
    found = _repository(name, revision)
    return found.commit if isinstance(found, _Repository) else found.name


def look(name: str, revision: str | None = None, *, allow_pickle: bool = False) -> Seen:
    """Fetch the small files (configuration, tokenizer, card) and say how much the weights would be.

    Raises:
        InputError, WorkFailed: as `commit_of`; InputError also when it holds no weights that may be read.
    """
    found = _repository(name, revision)
    if isinstance(found, Path):
        return Seen(found, found.name, None, 0)
    chosen = _chosen(name, found, allow_pickle)
    folder = _fetch(name, found, [file for file in chosen if _matches(file, _SMALL)], silent)
    missing = sum(found.files[file] for file in chosen if not (folder / file).exists())
    return Seen(folder, found.commit, found.licence, missing)


def download(
    name: str, revision: str | None = None, *, allow_pickle: bool = False, progress: ProgressCallback = silent
) -> Path:
    """The Hub's cache folder of this commit with everything that loading needs; what is there is not fetched again.

    Raises:
        InputError, WorkFailed: as `look`.
    """
    found = _repository(name, revision)
    if isinstance(found, Path):
        return found
    started = time.monotonic()
    folder = _fetch(name, found, _chosen(name, found, allow_pickle), progress)
    _remember(name, revision, found.commit)
    _log.info("model %s at %s ready in %.1f s", name, found.commit, time.monotonic() - started)
    return folder


def _repository(name: str, revision: str | None) -> _Repository | Path:
    """What the Hub says of it, or the cache folder of an earlier download where the Hub is switched off or unreachable.

    Asked again only after a minute, so that one action sees one commit.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return _cached(name, revision)
    asked, found = _looked.get((name, revision), (0.0, None))
    if found is not None and time.monotonic() - asked < _FRESH_SECONDS:
        return found
    try:
        with _sentences(name, revision):
            told = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=30)
    except WorkFailed as failed:
        try:
            folder = _cached(name, revision)
        except InputError:
            raise failed from failed.__cause__
        _log.warning("%s Going on with %s from the cache.", failed, folder.name)
        return folder
    card = told.card_data
    licence = card.get("license") if card is not None else None
    files = {file.rfilename: int(file.size or 0) for file in told.siblings or []}
    found = _Repository(str(told.sha), licence if isinstance(licence, str) else None, files)
    _looked[name, revision] = (time.monotonic(), found)
    return found


def _matches(file: str, patterns: tuple[str, ...]) -> bool:
    return "/" not in file and any(fnmatch(file, pattern) for pattern in patterns)


def _chosen(name: str, found: _Repository, allow_pickle: bool) -> list[str]:
    """The files to fetch: small ones first, then the weights."""
    small = [file for file in found.files if _matches(file, _SMALL)]
    if "config.json" not in small and not any(file.endswith(".gguf") for file in found.files):
        raise InputError(f"The Hub model {name} has no config.json. Choose a model in the transformers format.")
    safe = [file for file in found.files if _matches(file, _SAFE)]
    pickled = [file for file in found.files if _matches(file, _PICKLED)]
    if safe:
        return [*small, *safe]
    if pickled and allow_pickle:
        return [*small, *pickled]
    if pickled:
        raise InputError(
            f"The Hub model {name} holds its weights only as pickle files ({pickled[0]}), which can carry code. Choose "
            "a model with safetensors, or, if you trust its author, opt in with base_model.allow_pickle=true."
        )
    ggufs = [file for file in found.files if file.endswith(".gguf")]
    if ggufs:
        raise InputError(
            f"The Hub model {name} holds only GGUF files. Fetch one (hf download {name} {ggufs[0]}) and give its path."
        )
    raise InputError(
        f"The Hub model {name} holds no weights: model.safetensors is not among its files. Choose another model."
    )


def _fetch(name: str, found: _Repository, files: list[str], progress: ProgressCallback) -> Path:
    from huggingface_hub import hf_hub_download

    total = sum(found.files[file] for file in files)
    done = 0
    path = None
    for file in files:
        progress(Progress(f"fetching {name}", done, total, "bytes"))
        bar = _bar_class(f"fetching {name}", done, total, progress)
        with _sentences(name, found.commit):
            path = Path(hf_hub_download(name, file, revision=found.commit, tqdm_class=bar))
        done += found.files[file]
    progress(Progress(f"fetching {name}", total, total, "bytes"))
    assert path is not None
    return path.parent


def _remember(name: str, revision: str | None, commit: str) -> None:
    """Let the cache know which commit the branch or tag stood for, so that it is found offline."""
    from huggingface_hub import hf_hub_download

    if revision != commit:
        with _sentences(name, revision):
            hf_hub_download(name, "config.json", revision=revision)


def _bar_class(task: str, before: int, total: int, progress: ProgressCallback) -> type[Any]:
    """A tqdm that draws nothing and tells `progress`; it may raise `Stopped`, and the part fetched so far is kept."""
    from tqdm import tqdm

    class Reporting(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})
            self.fetched = float(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.fetched += n or 0
            progress(Progress(task, min(before + self.fetched, total), total, "bytes"))
            return None

    return Reporting


def _cached(name: str, revision: str | None) -> Path:
    """The cache folder of an earlier download."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError as error:
        raise _no_such(name) from error
    if isinstance(path, str):
        return Path(path).parent
    at = f" at revision {revision!r}" if revision else ""
    raise InputError(
        f"{name!r} is no folder on this machine, and as a Hub model{at} it is not in the cache while the Hub is "
        "switched off (HF_HUB_OFFLINE). Give a folder, a .gguf file or a starter's name (smallworld), or unset it."
    )


def _no_such(name: str) -> InputError:
    return InputError(
        f"{name!r} is neither a folder on this machine nor a model on the Hub that you may see. Check the spelling; if "
        "it is private, log in with: hf auth login"
    )


def _unreachable() -> tuple[Any, ...]:
    from huggingface_hub import errors

    # The Hub's own base class of HTTP errors: which client library it comes from changes with its version.
    http = next(base for base in errors.HfHubHTTPError.__bases__ if not issubclass(base, OSError))
    return (http, errors.LocalEntryNotFoundError, errors.FileMetadataError, ConnectionError, TimeoutError)


@contextmanager
def _sentences(name: str, revision: str | None) -> Iterator[None]:
    """Turn what the Hub refuses into a sentence; its own messages carry addresses and request numbers."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise InputError(
            f"The Hub model {name} is gated: ask for access on its page, then log in here with: hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(
            f"The Hub model {name} has no revision {revision!r}. Give a branch, a tag or a commit, or leave it out."
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise _no_such(name) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (401, 403):
            raise InputError(
                f"The Hub refused this machine's login for {name}. Log in again with: hf auth login"
            ) from error
        raise WorkFailed(f"The Hub answered {status} for {name}. Try again later, or use a local folder.") from error
    except _unreachable() as error:
        raise WorkFailed(
            f"The Hub cannot be reached for {name}. Check the connection, or use a folder, a .gguf file or a starter."
        ) from error
