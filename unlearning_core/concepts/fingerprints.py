"""What a source of text holds, as one short string: the same content gives the same string, a change another."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unlearning_core.concepts.matcher import RULES_VERSION
from unlearning_core.concepts.words import Concept

_BLOCK = 1 << 20


def source_fingerprint(source: str) -> str:
    """Of a file or folder the hash of its content, of a Hub dataset its commit (its name alone without the Hub)."""
    path = Path(source)
    if path.is_file():
        return _files_digest([path], path.parent)
    if path.is_dir():
        return _files_digest(sorted(file for file in path.rglob("*") if file.is_file()), path)
    return f"hub:{source}@{_hub_commit(source.partition(':')[0])}"


def concept_fingerprint(concept: Concept) -> dict[str, Any]:
    """What decides which words match: the words in any order or case, the switches and the rules."""
    return {
        "words": sorted(word.casefold() for word in concept.words),
        "inflections": concept.inflections,
        "language": concept.language,
        "rules": f"{RULES_VERSION}, simplemma {version('simplemma')}",
    }


def _files_digest(files: list[Path], root: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(f"{file.suffix if file.parent == root else file.relative_to(root)}\0".encode())
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                digest.update(block)
    return f"content:{digest.hexdigest()}"


def _hub_commit(name: str) -> str:
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(name, timeout=10).sha)
    except Exception:
        return "unknown"
