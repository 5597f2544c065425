"""Settings as people on the pages know them, in sentences that name their keys in config.json."""

import re

from pages.components import visitor
from pages.components.marked_text import escaped
from unlearning_core.config.reading import known_keys

FIELDS = {
    "concept_definition": "Concept words", "inflections": "Inflected forms too", "language": "Language",
    "neighbours": "Neighbours: words that must stay", "neighbour_corpus": "Text about neighbours",
    "neighbour_share": "Their weight in the ranking", "sentences": "Sentences", "tokens_input_path": "Tokens file",
    "labels_input_path": "Labels file", "held_out": "Share held out", "dropped_words": "Left out by hand",
    "dropped_senses": "Left out by hand", "dropped_sentences": "Left out by hand",
    "max_concept_sentences": "With the concept, at most", "max_retain_sentences": "Without it, at most",
}  # fmt: skip
"""What fields of the Concept page are called, by key of neural_probing."""

_SECTIONS = {
    "base_model": "the model", "neural_probing": "the neurons", "retraining": "the retraining",
    "generation": "the writing", "evaluation": "the measuring", "search": "the search", "never_knew": "never-knew",
    "proof": "the proof",
}  # fmt: skip
_KEYS = {name: frozenset(known_keys((name,))) for name in _SECTIONS}
_QUALIFIED = re.compile(rf"\b({'|'.join(_SECTIONS)})((?:\.[a-z_]+)+)(?![\w.]*/)")
_BARE = re.compile(r"(?<![\w./“-])[a-z]+(?:_[a-z]+)+(?![\w/-]|\.\w)")


def told(sentence: str) -> str:
    """A sentence of the library as markdown that a page shows: an error, a warning, what a process said last."""
    return escaped(in_page_words(visitor.sentence(sentence)))


def in_page_words(sentence: str) -> str:
    """`sentence` with every key of a config as a field in quotes: “batch size” for retraining.batch_size."""
    return _BARE.sub(lambda match: _bare(match[0]), _QUALIFIED.sub(_qualified, sentence))


def _qualified(match: re.Match[str]) -> str:
    section, keys = match[1], match[2].strip(".").split(".")
    if keys[0] not in _KEYS[section]:
        return match[0]  # a file: retraining.json
    if section == "neural_probing" and keys[0] in FIELDS:
        return f"“{FIELDS[keys[0]]}” (page Concept)"
    return f"“{' '.join(keys).replace('_', ' ')}” (settings of {_SECTIONS[section]})"


def _bare(key: str) -> str:
    known = any(key in keys for keys in _KEYS.values())
    return f"“{FIELDS.get(key, key.replace('_', ' '))}”" if known else key
