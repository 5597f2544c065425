"""Which words belong to a concept, as the model itself has it: what its embedding puts near, and what it lists.

Near: the rows of the input embedding that belong to whole words, compared by their cosine. Raw rows share a mean and a
few directions that say how frequent a word is, which put "the" and "and" near everything; both are taken out first
("All-but-the-Top": Mu and Viswanath, ICLR 2018, with its D = width / 100 directions). Measured on
SmolLM2-135M-Instruct for "weather": raw rows put "the" and "John" sixth and eleventh; without those directions the
first are meteorological, climatic, climate, rain, rainfall. Listed: the model goes on with a list after two lists of
other things, once greedily and a few times by chance; a word counts where more than one of the lists has it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import regex

from unlearning_core.concepts.lemmas import is_known, readings
from unlearning_core.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

NEAR, NEIGHBOUR = 0.4, 0.25
"""Cosine from which a word is proposed as one of the concept's, and as a neighbour that must stay."""

MOST_WORDS, MOST_NEIGHBOURS = 12, 12

LISTS = (
    "fruit: apple, pear, banana, cherry, grape, plum, peach, lemon\n"
    "tools: hammer, saw, drill, screwdriver, wrench, pliers, axe, chisel\n"
)
SAMPLES, TEMPERATURE, LIST_TOKENS = 4, 0.7, 40
AGREEING = 2
"""Of the greedy list and the sampled ones, how many must have a word."""

_WORD = regex.compile(r" (\p{Ll}{3,}|\p{Lo}{2,})")
_LISTED = regex.compile(r"[\p{L}'’-]{3,}(?: [\p{L}'’-]{3,})?")


@dataclass(frozen=True)
class Proposal:
    """Words that go with a word; no two are forms of one.

    Attributes:
        words: of the concept, the given one first.
        neighbours: near it, but not so near; none that holds a word of the concept ("rainfall" beside "rain").
        near: the words that the embedding puts near, with their cosine, nearest first.
        listed: what the model lists, and in how many of its lists.
    """

    words: tuple[str, ...]
    neighbours: tuple[str, ...]
    near: tuple[tuple[str, float], ...]
    listed: tuple[tuple[str, int], ...]


def propose(
    loaded: "LoadedModel", word: str, *, language: str = "en", seed: int = 0, progress: ProgressCallback = silent
) -> Proposal:
    """Words of the concept that `word` names, and neighbours of it.

    Args:
        language: of the words, for their forms.
        seed: of the sampled lists.
        progress: told while the model lists; may raise Stopped.
    """
    near = nearest(loaded, word)
    listed = [pair for pair in lists_of(loaded, word, seed=seed, progress=progress) if is_known(pair[0], language)]
    close = [other for other, cosine in near if cosine >= NEAR]
    words = apart([word, *(other for other, _ in listed), *close], language)[:MOST_WORDS]
    further = [
        other for other, cosine in near
        if cosine >= NEIGHBOUR and is_known(other, language) and not any(part in other for part in words)
    ]  # fmt: skip
    neighbours = apart([*words, *further], language)[len(words) :]
    return Proposal(tuple(words), tuple(neighbours[:MOST_NEIGHBOURS]), tuple(near), tuple(listed))


def nearest(loaded: "LoadedModel", word: str, most: int = 40) -> list[tuple[str, float]]:
    """The whole-word tokens whose rows are nearest to the word's (to the mean of its tokens' rows), with the cosine."""
    import torch

    names = whole_words(loaded.tokenizer)
    rows = loaded.model.get_input_embeddings().weight.detach()
    asked = loaded.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
    if not names or not asked:
        return []
    ids = torch.tensor(sorted(names), device=rows.device)
    vectors = rows.index_select(0, ids).float().cpu()
    own = rows[torch.tensor(asked, device=rows.device)].float().mean(0, keepdim=True).cpu()
    both = without_common(torch.cat([own, vectors]).numpy())
    cosines = both[1:] @ both[0]
    order = np.argsort(-cosines, kind="stable")
    found = ((names[int(ids[place])], float(cosines[place])) for place in order)
    return [(name, cosine) for name, cosine in found if name != word.casefold()][:most]


def without_common(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors of the rows [words, width], without their mean and their width / 100 strongest directions."""
    centred = vectors - vectors[1:].mean(0)
    _, directions = np.linalg.eigh(centred[1:].T @ centred[1:])
    common = directions[:, directions.shape[1] - max(1, vectors.shape[1] // 100) :]
    left = centred - centred @ common @ common.T
    return left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-12)


def whole_words(tokenizer: object) -> dict[int, str]:
    """By token id, the word that a token is: one that a space begins and that has letters alone, none a capital."""
    vocabulary: Iterable[int] = tokenizer.get_vocab().values()  # type: ignore[attr-defined]
    ids = sorted(vocabulary)
    texts: list[str] = tokenizer.batch_decode([[token] for token in ids])  # type: ignore[attr-defined]
    found = {}
    for token, text in zip(ids, texts, strict=True):
        if (match := _WORD.fullmatch(text)) is not None:
            found[token] = match[1]
    return found


def lists_of(
    loaded: "LoadedModel", word: str, *, seed: int = 0, progress: ProgressCallback = silent
) -> list[tuple[str, int]]:
    """What the model lists under the word, and in how many of its lists; only what `AGREEING` of them have."""
    from unlearning_core.evaluation.generation import generate

    prompt = f"{LISTS}{word}:"
    written = generate(loaded, [prompt], temperature=0.0, max_new_tokens=LIST_TOKENS, progress=progress)
    written += generate(
        loaded, [prompt], samples=SAMPLES, temperature=TEMPERATURE, max_new_tokens=LIST_TOKENS, seed=seed,
        progress=progress,
    )  # fmt: skip
    return counted([text.text for text in written], word)


def counted(lists: Sequence[str], word: str) -> list[tuple[str, int]]:
    """The items of written lists that enough of them have, by how many, the most frequent first; not those shown."""
    shown = {item.strip() for line in LISTS.splitlines() for item in line.partition(":")[2].split(",")}
    counts: Counter[str] = Counter()
    for text in lists:
        items = (item.strip().casefold() for item in text.partition("\n")[0].split(","))
        counts.update({item for item in items if _LISTED.fullmatch(item) and item not in shown})
    del counts[word.casefold()]
    return sorted(((item, n) for item, n in counts.items() if n >= AGREEING), key=lambda pair: (-pair[1], pair[0]))


def apart(words: Iterable[str], language: str) -> list[str]:
    """The words in their order without those that are a form of one before them ("rains" beside "rain")."""
    kept, known = list[str](), set[str]()
    for word in words:
        forms = set(readings(word.casefold(), language))
        if not forms & known:
            kept.append(word)
            known |= forms
    return kept
