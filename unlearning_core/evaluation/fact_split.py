"""A concept's words in two halves that share nothing: what is taught, and what is tested. Loads no torch."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.evaluation.suite import Material

LEAST_TEXTS = 8
"""Texts that each half must have, to be learnt from or to be tested on."""


def split_words(material: Material, seed: int) -> tuple[set[str], set[str]]:
    """The concept's words that occur in the material, in two halves (taught, tested) that share nothing.

    Words of which one holds the other ("chair", "rocking chair", "armchair") stay together: to learn the one is to
    learn much of the other. The groups go, in an order that the seed draws, to the half that has fewer statements.
    """
    count = Counter(word for item in material.statements for word in set(item.words))
    groups = word_groups({*count, *(word for item in material.attack for word in item.words)})
    halves: tuple[set[str], set[str]] = (set(), set())
    sizes = [0, 0]
    order = np.random.default_rng(seed).permutation(len(groups))
    for group in sorted((groups[index] for index in order), key=lambda group: -sum(count[word] for word in group)):
        half = int(sizes[1] < sizes[0])
        halves[half].update(group)
        sizes[half] += sum(count[word] for word in group)
    return halves


def word_groups(words: Iterable[str]) -> list[list[str]]:
    """The words, those together of which one holds the other."""
    groups: list[list[str]] = []
    for word in sorted(words):
        near = [group for group in groups if any(word in other or other in word for other in group)]
        groups = [group for group in groups if group not in near] + [[*(one for group in near for one in group), word]]
    return sorted(groups)


def taught_texts(attack: Sequence[LabelledText], tested: set[str]) -> list[str]:
    """The attack's texts that name none of the tested words."""
    return [item.text for item in attack if item.words and not tested & set(item.words)]


def statements_on(statements: Sequence[LabelledText], tested: set[str]) -> list[LabelledText]:
    """The statements that name a tested word, with those words alone marked."""
    found = []
    for item in statements:
        marked = [(span, word) for span, word in zip(item.spans, item.words, strict=True) if word in tested]
        if marked:
            spans, words = zip(*marked, strict=True)
            found.append(LabelledText(item.text, spans, words))
    return found


def no_two_halves(material: Material) -> str | None:
    """Why the facts cannot be split, or None."""
    _, tested = split_words(material, 0)
    taught, test = taught_texts(material.attack, tested), statements_on(material.statements, tested)
    if min(len(taught), len(test)) >= LEAST_TEXTS:
        return None
    return (
        f"The concept's words cannot be split in two halves: {len(taught)} attack texts name the one only and "
        f"{len(test)} statements the other, and {LEAST_TEXTS} of each are needed. Name more in proof.attack_texts."
    )
