"""Models from the Hugging Face Hub: what they are, and their files; every refusal has a sentence of its own.

The token is the Hub's own business (`hf auth login`, or its environment variable): none is taken, kept or logged here.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from unlearning_core.errors import InputError, Stopped, WorkbenchError, WorkFailed
from unlearning_core.models.sources.weight_files import beside
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from tqdm import tqdm

_SMALL = (
    *("config.json", "generation_config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "merges.txt", "*.model", "chat_template*", "README.md", "LICENSE*"),
)
_SAFE = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json")
_FRESH_SECONDS = 60.0

_log = logging.getLogger(__name__)
_resolved: dict[tuple[str, str | None], tuple[float, str]] = {}


@dataclass(frozen=True)
class HubModel:
    """A repository at one commit: its cache folder, named by it, with the small files, and the names of its weights."""

    folder: Path
    weights: tuple[str, ...]
    missing_bytes: int
    """What a download would still fetch."""
    notes: tuple[str, ...] = ()
    """What else is in the repository and is not fetched, a sentence a kind."""


def commit_of(name: str, revision: str | None = None) -> str:
    """The commit that `revision` (the default branch when None) stands for, 40 hexadecimal digits.

    The Hub is asked again only after a minute, so that one action sees one commit. Where it is switched off or cannot
    be reached, the commit of the last download counts.

    Raises:
        InputError: there is no such model or revision, or it is closed to this person.
        WorkFailed: the Hub cannot be reached and the model is not in the cache.
    """
    from huggingface_hub import resolve_revision

    asked, commit = _resolved.get((name, revision), (0.0, ""))
    if not commit or time.monotonic() - asked >= _FRESH_SECONDS:
        with _sentences(name, revision):
            commit = resolve_revision(name, revision=revision).resolved
        _resolved[name, revision] = (time.monotonic(), commit)
    return commit


def look(name: str, revision: str | None = None, *, allow_pickle: bool = False) -> HubModel:
    """Fetch the small files (configuration, tokenizer, card) and say how much the weights would be.

    The sizes are those of the listing that the download leaves in the cache: a dry run would ask the Hub once more for
    every file, and cannot be done offline.

    Raises:
        InputError, WorkFailed: as `commit_of`; InputError also when it holds no weights that may be read.
    """
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    commit = commit_of(name, revision)
    folder = _fetch(name, commit, _SMALL, 0, silent)
    try:
        sizes = {file.path: int(file.size) for file in get_cached_repo_tree(name, revision=commit)}
    except CachedRepoTreeNotFoundError:  # fetched by an older client, and the Hub cannot be asked
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    weights = _weights(name, sizes, allow_pickle)
    notes = beside(sizes, map(Path, weights), f"The Hub model {name}")
    return HubModel(folder, weights, sum(sizes[file] for file in weights if not (folder / file).exists()), notes)


def download(
    name: str, revision: str | None = None, *, allow_pickle: bool = False, progress: ProgressCallback = silent
) -> Path:
    """The Hub's cache folder of this commit with everything that loading needs; what is there is not fetched again.

    Raises:
        InputError, WorkFailed: as `look`.
    """
    started = time.monotonic()
    found = look(name, revision, allow_pickle=allow_pickle)
    if found.missing_bytes:
        _fetch(name, found.folder.name, found.weights, found.missing_bytes, progress)
    _log.info("model %s at %s ready in %.1f s", name, found.folder.name, time.monotonic() - started)
    return found.folder


def _matching(files: Iterable[str], patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(file for file in files if "/" not in file and any(fnmatch(file, pattern) for pattern in patterns))


def _weights(name: str, files: dict[str, int], allow_pickle: bool) -> tuple[str, ...]:
    ggufs = [file for file in files if file.endswith(".gguf")]
    if "config.json" not in files and "adapter_config.json" in files:
        raise InputError(
            f"The Hub model {name} is an adapter (LoRA), without a model of its own. Merge it into its base model "
            "(peft: merge_and_unload, then save_pretrained) and give the saved folder."
        )
    if "config.json" not in files and not ggufs:
        raise InputError(f"The Hub model {name} has no config.json. Choose a model in the transformers format.")
    safe, pickled = _matching(files, _SAFE), _matching(files, _PICKLED)
    if safe or (pickled and allow_pickle):
        return safe or pickled
    if pickled:
        raise InputError(
            f"The Hub model {name} holds its weights only as pickle files ({pickled[0]}), which can carry code. Choose "
            "a model with safetensors, or, if you trust its author, opt in with base_model.allow_pickle=true."
        )
    if ggufs:
        raise InputError(
            f"The Hub model {name} holds only GGUF files. Fetch one (hf download {name} {ggufs[0]}) and give its path."
        )
    raise InputError(
        f"The Hub model {name} holds no weights: model.safetensors is not among its files. Choose another model."
    )


def _fetch(name: str, commit: str, patterns: tuple[str, ...], total: int, progress: ProgressCallback) -> Path:
    """The cache folder of the commit with the files of its root that match; `progress` is told of `total` bytes.

    The client fetches in threads of its own, and a page's bar can be drawn only from the thread that works: so this
    one watches. What was fetched when `progress` raises `Stopped` is kept.
    """
    from huggingface_hub import snapshot_download

    stop, task = Event(), f"fetching {name}"
    bar_class, bars = _silent_bars(stop)
    pool = ThreadPoolExecutor(1)
    try:
        work = pool.submit(
            snapshot_download,
            name,
            revision=commit,
            allow_patterns=list(patterns),
            ignore_patterns="*/*",
            tqdm_class=bar_class,
        )
        while not work.done():
            received = max((bar.n for bar in bars), default=0)
            progress(Progress(task, min(received, total), total, "bytes"))
            wait([work], timeout=0.1)
        with _sentences(name, commit):
            folder = Path(work.result())
    finally:
        stop.set()
        pool.shutdown(wait=False)
    progress(Progress(task, total, total, "bytes"))
    return folder


def _silent_bars(stop: Event) -> "tuple[type[tqdm[Any]], list[tqdm[Any]]]":
    """A class of bars that only count, and the bars of it that count bytes; counting ends the download after `stop`."""
    from tqdm import tqdm

    bars = []

    class SilentBar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})
            if kwargs.get("unit") == "B":
                bars.append(self)

        def update(self, n: float | None = 1) -> None:
            if stop.is_set():
                raise Stopped("The download was stopped.")
            self.n += n or 0

    return SilentBar, bars


@contextmanager
def _sentences(name: str, revision: str | None) -> Iterator[None]:
    """Turn what the Hub refuses into a sentence; its own messages carry addresses and request numbers."""
    from httpx2 import HTTPError
    from huggingface_hub import errors

    try:
        yield
    except (errors.RevisionResolutionError, errors.LocalEntryNotFoundError) as error:
        # What these two wrap is why the Hub could not be asked.
        raise _sentence(error.__cause__ or error, name, revision) from error
    except (HTTPError, errors.HFValidationError, errors.FileMetadataError, ConnectionError, TimeoutError) as error:
        raise _sentence(error, name, revision) from error


def _sentence(error: BaseException, name: str, revision: str | None) -> WorkbenchError:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return InputError(
            f"The Hub model {name} is gated: ask for access on its page, then log in here with: hf auth login"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return InputError(
            f"The Hub model {name} has no revision {revision!r}. Give a branch, a tag or a commit, or leave it out."
        )
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return InputError(
            f"{name!r} is neither a folder on this machine nor a model on the Hub that you may see. Check the "
            "spelling; if it is private, log in with: hf auth login"
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        at = f" at revision {revision!r}" if revision else ""
        return InputError(
            f"{name!r} is no folder on this machine, and as a Hub model{at} it is not in the cache while the Hub is "
            "switched off (HF_HUB_OFFLINE). Give a folder, a .gguf file or a starter's name (smallworld), or unset it."
        )
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return InputError(f"The Hub refused this machine's login for {name}. Log in again with: hf auth login")
        return WorkFailed(f"The Hub answered {status} for {name}. Try again later, or use a local folder.")
    return WorkFailed(
        f"The Hub cannot be reached for {name}. Check the connection, or use a folder, a .gguf file or a starter."
    )
