"""Where a model comes from: a folder, a GGUF file, the Hub or a starter. Nothing is loaded here."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unlearning_core.errors import InputError
from unlearning_core.models.checksums import fingerprint_of_folder
from unlearning_core.models.sources.dequantise import dequantise
from unlearning_core.models.sources.gguf_keys import changes_more
from unlearning_core.models.sources.gguf_parts import WholeGguf, whole_gguf
from unlearning_core.models.sources.hub import commit_of, download
from unlearning_core.models.sources.plain import Asked, plain_folder
from unlearning_core.models.sources.prepared import root
from unlearning_core.models.sources.starters import STARTERS, offered, prepare
from unlearning_core.models.sources.zip import unpack_zip
from unlearning_core.progress import ProgressCallback, silent

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Source:
    """One place that a model comes from, under the name that the person typed, and as a path on this machine."""

    kind: Literal["folder", "gguf", "hub", "starter"]
    name: str
    path: Path


def resolve(source: str) -> Source:
    """Say what kind of source `source` names, by looking at it; the network is not asked.

    A starter's name wins over a folder of the same name here; write `./name` for the folder. A name that is nothing
    on this machine counts as a Hub id when it has the form of one.

    Raises:
        InputError: it is empty, a path that does not exist, or a file that is not a model.
    """
    name = str(source).strip()
    if not name:
        raise InputError("No model is named. Give a folder, a .gguf file, a Hub id or a starter's name (smallworld).")
    try:
        path = Path(name).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"The model {name[:200]!r} cannot be looked for ({why}). Give a folder that can be read, a .gguf file, a "
            f"Hub id or a starter's name ({', '.join(offered())})."
        ) from error
    if name in STARTERS:
        return Source("starter", name, path)
    suffix = path.suffix.lower()
    if path.is_dir():
        return Source("folder", name, path)
    if path.is_file() and suffix == ".gguf":
        return Source("gguf", name, path)
    if path.is_file() and suffix == ".zip":
        return Source("folder", name, unpack_zip(path, root() / "uploads"))
    if path.is_file():
        raise InputError(
            f"{path} is a file, not a model. Give the folder that holds it together with config.json and the "
            "tokenizer, a .gguf file, or a zip of such a folder."
        )
    if suffix not in (".gguf", ".zip", ".safetensors") and _HUB_ID.fullmatch(name) and ".." not in name:
        return Source("hub", name, path)
    raise InputError(
        f"The model {name!r} does not exist. Give a folder, a .gguf file, a Hub id such as openai-community/gpt2, "
        f"or a starter's name ({', '.join(offered())})."
    )


def local_folder(
    source: str,
    *,
    revision: str | None = None,
    allow_pickle: bool = False,
    extra_tokens: str = "refuse",
    progress: ProgressCallback = silent,
) -> Path:
    """The folder on this machine that transformers loads `source` from, with one causal language model in it.

    Downloaded, dequantised, taken out of a multimodal model or given rows for all its tokens first, where needed.

    Args:
        extra_tokens: what to do about tokens that have no row in the embedding: refuse, resize or drop.

    Raises:
        InputError: the source cannot be had or used; the sentence says why.
    """
    folder = own_folder(source, revision=revision, allow_pickle=allow_pickle, progress=progress)
    asked = Asked(source, lambda: fingerprint(source, revision), extra_tokens, allow_pickle)
    return plain_folder(folder, asked, progress)


def own_folder(
    source: str, *, revision: str | None = None, allow_pickle: bool = False, progress: ProgressCallback = silent
) -> Path:
    """The folder of `source` as it is: downloaded or dequantised when needed, and changed in nothing.

    Raises:
        InputError: the source cannot be had; the sentence says why.
    """
    found = resolve(source)
    if found.kind == "hub":
        return download(found.name, revision, allow_pickle=allow_pickle, progress=progress)
    refuse_revision(found, revision)
    if found.kind == "starter":
        return prepare(found.name, progress)
    if found.kind == "folder":
        return found.path
    whole = whole_gguf(found.path)
    content = _content(whole, progress)
    return dequantise(whole, root() / "gguf" / f"{whole.name}-{content[:12]}", content, progress=progress)


def gguf_file(source: str) -> Path | None:
    """The GGUF file that `source` is made of, the first of its parts; None where it is made of none, or it is gone."""
    found = resolve(source)
    if found.kind == "starter":
        return STARTERS[found.name].located()
    return found.path if found.kind == "gguf" else None


def _content(whole: WholeGguf, progress: ProgressCallback = silent) -> str:
    """The checksum, marked where the model that is made of the file is another than before all its keys were kept."""
    return whole.checksum(progress) + ("+keys" if changes_more(whole.header) else "")


def refuse_revision(found: Source, revision: str | None) -> None:
    """Only a model from the Hub has revisions; anything else with one is a mistake that would go unseen."""
    if revision:
        raise InputError(
            f"revision {revision!r} was given, but {found.name!r} is a {found.kind}, and only a model from the Hub "
            "has revisions. Leave revision out."
        )


def fingerprint(source: str, revision: str | None = None) -> str:
    """Identity of a model's content: equal for equal bytes, wherever they lie and whenever they were copied.

    A folder: SHA-256 over the names and checksums of the files that loading reads. A GGUF file: its checksum, of all
    parts where there are several, marked where a key of it was once left out of the model. A starter: that of the
    folder or GGUF file that it is. The Hub: the commit. Checksums are remembered.

    Raises:
        InputError: the source cannot be had.
    """
    found = resolve(source)
    if found.kind == "hub":
        return f"hub:{found.name}@{commit_of(found.name, revision)}"
    refuse_revision(found, revision)
    if found.kind == "starter":
        return STARTERS[found.name].fingerprint()
    if found.kind == "gguf":
        return f"gguf:{_content(whole_gguf(found.path))}"
    return fingerprint_of_folder(found.path)
