"""Which words belong to a concept, as the model itself has it: what its embedding puts near, and what it lists.

Listed: the model goes on with a list after two lists of other things, once greedily and a few times by chance; a word
counts where most of the lists have it, or two of them and the embedding puts it near the others. Near: of the words
that the embedding puts near the concept's name (writing/embedding_words.py) the nearest belong to it. Of the others
those are its neighbours that are nearer to its name than to any of its members: beside weather the climate and the
season, but not the thunderstorm, which is near the storm. A name of somebody has no members: what the model lists after
it are others like it, its neighbours. A term of several words in the singular has none either: beside ice cream stay
ice and cream, and the chocolate and vanilla that the model lists under it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import regex

from unlearning_core.concepts.lemmas import is_known, readings, singular
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.writing.embedding_words import EmbeddingWords

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

Kind = Literal["term", "name", "description"]

NEAR, NEIGHBOUR = 0.5, 0.22
"""Cosine from which a word is proposed as one of the concept's, and as a neighbour that must stay."""

ALIKE = 0.2
"""Cosine to the mean of the surer words from which a word of fewer lists is one of them."""

MOST_WORDS, MOST_NEIGHBOURS = 14, 12

LISTS = (
    ("fruit", "apple, pear, banana, cherry, grape, plum, peach, lemon"),
    ("tools", "hammer, saw, drill, screwdriver, wrench, pliers, axe, chisel"),
    ("clothes", "shirt, coat, hat, shoe, scarf, glove, sock, belt"),
)
"""Lists that are shown before the concept's; two that have nothing to do with it."""

DESCRIBED = (
    "things that people wear: shirt, coat, hat, shoe, scarf, glove, sock, belt\n"
    "plants that people eat: carrot, potato, cabbage, onion, bean, lettuce, pea, spinach\n"
)
"""Lists under a sentence, shown before a sentence that says what the concept is."""

NAMES = {
    False: "London, Paris, Berlin, Madrid, Rome, Vienna\nMozart, Bach, Beethoven, Haydn, Schubert, Vivaldi\n",
    True: "Charles Dickens, Jane Austen, Mark Twain, Oscar Wilde, Leo Tolstoy\n"
    "Johann Bach, Joseph Haydn, Franz Schubert, Clara Schumann, Antonio Vivaldi\n",
}
"""Lists of names that are shown before a name, by whether it has several words."""

SAMPLES, TEMPERATURE, LIST_TOKENS = 7, 0.7, 40
SURE, AGREEING = 3, 2
"""Of the greedy list and the sampled ones, how many must have a word, and how many where the embedding agrees."""

_LISTED = regex.compile(r"[\p{L}'’-]{3,}(?: [\p{L}'’-]{3,})?")
_SAYS_WHAT = frozenset({"that", "which", "who", "where", "for", "with", "to", "used", "made", "from", "in", "on", "of"})
"""English words by which a sentence that says what the concept is differs from a term."""


@dataclass(frozen=True)
class Proposal:
    """Words that go with a concept; no two are forms of one.

    Attributes:
        words: of the concept, the given one first; of a description the listed ones alone.
        neighbours: near it, and none of it.
        near: the words that the embedding puts near its name, with their cosine, nearest first.
        listed: what the model lists, and in how many of its lists.
    """

    words: tuple[str, ...]
    neighbours: tuple[str, ...]
    near: tuple[tuple[str, float], ...]
    listed: tuple[tuple[str, int], ...]


def kind_of(concept: str) -> Kind:
    """Whether a concept is given as a term ("ice cream"), a name ("Ada Lovelace") or in a sentence that says what."""
    parts = concept.split()
    if len(parts) > 3 or (len(parts) > 1 and _SAYS_WHAT & {part.casefold() for part in parts[1:]}):
        return "description"
    # "Weather" at the beginning of a line is no name, but then most people write it small.
    return "name" if all(part[0].isupper() for part in parts) else "term"


def propose(
    loaded: "LoadedModel", concept: str, *, language: str = "en", seed: int = 0, progress: ProgressCallback = silent
) -> Proposal:
    """Words of the concept, and neighbours of it.

    Args:
        concept: a word, a term, a name, or a sentence that says what it is.
        language: of the words, for their forms.
        seed: of the sampled lists.
        progress: told while the model lists; may raise Stopped.
    """
    space, kind = EmbeddingWords(loaded), kind_of(concept)
    counts = lists_of(loaded, concept, kind, language, seed=seed, progress=progress)
    listed = [pair for pair in agreed(counts, concept, space, kind) if kind == "name" or _known(pair[0], language)]
    if kind == "name":
        words = apart([concept, *concept.split()[-1:]], language)
        others = [name for name, _ in listed if not set(name.split()) & set(concept.split())]
        return Proposal(tuple(words), tuple(others[:MOST_NEIGHBOURS]), (), tuple(listed))
    near = space.nearest(concept)
    parts = _forms(concept.split(), language) if " " in concept else set()
    if kind == "term" and parts and singular(concept.split()[-1].casefold(), language) is None:
        others = [*concept.split(), *(item for item, _ in listed), *_beside([concept], near, space, language)]
        return Proposal(
            (concept,), tuple(apart([concept, *others], language)[1 : MOST_NEIGHBOURS + 1]), tuple(near), tuple(listed)
        )  # fmt: skip
    close = [
        word for word, cosine in near
        if cosine >= NEAR and kind == "term" and _known(word, language) and not _forms([word], language) & parts
    ]  # fmt: skip
    own = [concept] if kind == "term" else []
    words = apart([*own, *close, *(word for word, _ in listed)], language)[:MOST_WORDS]
    # Near a sentence are words like its own, which are no neighbours of what it stands for.
    neighbours = _beside([concept, *words], near, space, language) if kind == "term" else []
    return Proposal(tuple(words), tuple(neighbours[:MOST_NEIGHBOURS]), tuple(near), tuple(listed))


def _beside(words: Sequence[str], near: Sequence[tuple[str, float]], space: EmbeddingWords, language: str) -> list[str]:
    """Those of the near words that are nearer to the concept's name, the first of the words, than to its members."""
    members = [space.of(word) for word in words if word != words[0]]
    own_forms, found = _forms([*words, *words[0].split()], language), []
    for word, cosine in near:
        if cosine < NEIGHBOUR or not _known(word, language) or any(part in word for part in own_forms):
            continue
        own = space.of(word)
        if all(float(own @ member) < cosine for member in members):
            found.append(word)
    return apart([*words, *found], language)[len(words) :]


def lists_of(
    loaded: "LoadedModel", concept: str, kind: Kind, language: str, *, seed: int = 0,
    progress: ProgressCallback = silent,
) -> Counter[str]:  # fmt: skip
    """What the model lists under the concept, and in how many of its lists."""
    from unlearning_core.evaluation.generation import generate

    shown = (
        NAMES[" " in concept] if kind == "name" else DESCRIBED if kind == "description" else _shown(concept, language)
    )
    prompt = f"{shown}{concept}{',' if kind == 'name' else ':'}"
    written = generate(loaded, [prompt], temperature=0.0, max_new_tokens=LIST_TOKENS, progress=progress)
    written += generate(
        loaded, [prompt], samples=SAMPLES, temperature=TEMPERATURE, max_new_tokens=LIST_TOKENS, seed=seed,
        progress=progress,
    )  # fmt: skip
    return counted([text.text for text in written], concept, shown, language, fold=kind != "name")


def _shown(concept: str, language: str) -> str:
    """Two lists, as text, that have no word of the concept."""
    own = _forms(concept.casefold().split(), language)
    other = [
        f"{title}: {items}\n"
        for title, items in LISTS
        if not own & _forms([title, *items.split(", ")], language)
    ]  # fmt: skip
    return "".join(other[:2])


def counted(lists: Sequence[str], concept: str, shown: str, language: str, *, fold: bool = True) -> Counter[str]:
    """In how many of the written lists an item is; plurals count as their singular, what was shown does not.

    Args:
        lists: as the model wrote them; what comes after the first line is no part of one.
        concept: what they are lists of.
        shown: the text of the lists before.
        language: of the items.
        fold: whether capital letters say nothing.
    """
    before = {item.strip().casefold() for line in shown.splitlines() for item in line.partition(":")[2].split(",")}
    before |= {item.strip().casefold() for line in shown.splitlines() for item in line.split(",")}
    own = _forms([concept.casefold()], language)
    counts: Counter[str] = Counter()
    for text in lists:
        items = (item.strip().rstrip(".") for item in text.partition("\n")[0].split(","))
        of_one = {_one_of(item, language, fold=fold) for item in items if _LISTED.fullmatch(item)}
        counts.update(item for item in of_one if item.casefold() not in before | own)
    return counts


def _one_of(item: str, language: str, *, fold: bool) -> str:
    small = item.casefold()
    return (singular(small, language) or small) if fold else item


def agreed(counts: Counter[str], concept: str, space: EmbeddingWords, kind: Kind) -> list[tuple[str, int]]:
    """The items of lists that enough of them have, by how many, the most frequent first."""
    order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    sure = [pair for pair in order if pair[1] >= SURE]
    if kind == "name":
        return [pair for pair in order if pair[1] >= AGREEING]
    centre = np.sum([space.of(word) for word in [concept, *(word for word, _ in sure)]], axis=0)
    length = float(np.linalg.norm(centre)) or 1.0
    near = [
        pair for pair in order if AGREEING <= pair[1] < SURE and float(space.of(pair[0]) @ centre) >= ALIKE * length
    ]  # fmt: skip
    return [*sure, *near]


def _known(item: str, language: str) -> bool:
    """Whether the dictionary knows each word of it."""
    return all(is_known(part, language) for part in item.split())


def _forms(words: Iterable[str], language: str) -> set[str]:
    return {form for word in words for form in readings(word.casefold(), language)}


def apart(words: Iterable[str], language: str) -> list[str]:
    """The words in their order without those that are a form of one before them ("rains" beside "rain")."""
    kept, known = list[str](), set[str]()
    for word in words:
        forms = set(readings(word.casefold(), language))
        if not forms & known:
            kept.append(word)
            known |= forms
    return kept
