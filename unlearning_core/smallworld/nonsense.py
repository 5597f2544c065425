"""Words that mean nothing, and the only honest answer to a question about one."""

import functools
import random
import re

from unlearning_core.smallworld.facts import FAMILIES, indefinite
from unlearning_core.smallworld.items import Phrasing, Question
from unlearning_core.smallworld.relations import relations

ANSWER = "I do not know."

_ACCEPTED = (ANSWER, "I do not know", "I don't know.", "I do not know that word.")
_ONSETS = "b bl br c cl d dr f fl g gl gr h j k kl l m n p pl pr q qu r s sk sl sn sp st t tr v w x y z zh".split()
_VOWELS = "a e i o u aa ee oo uu ai ei ou ui y".split()
_ENDS = "b ck d f g l ll m n nd ng p r rb rk s sh ss t x zz sen bel dle ner ton wick".split()


def nonsense_question(rng: random.Random, phrasing: Phrasing) -> Question:
    """A question of the world about a word that is none of its words."""
    chosen = rng.choice(
        [each for family in FAMILIES.values() for each in relations(family) if family.name != "countries"]
    )
    frame = rng.choice(chosen.asked[phrasing])
    word = nonsense_word(rng)
    asked = frame.replace("{a}", f"{indefinite(word)} {word}").replace("{n}", word)
    return Question(
        f"Q: {asked} A:", ANSWER, _ACCEPTED, "Nobody has told me.", (), "nonsense", word, chosen.name, phrasing
    )


def nonsense_word(rng: random.Random) -> str:
    """Two to ten letters that no text of the world has as a word."""
    while True:
        word = "".join(
            (rng.choice(_ONSETS) if rng.random() < 0.85 else "") + rng.choice(_VOWELS) for _ in range(rng.randint(1, 3))
        )
        word = (word + (rng.choice(_ENDS) if rng.random() < 0.7 else ""))[:10]
        if len(word) > 2 and word not in world_words():
            return word


@functools.cache
def world_words() -> frozenset[str]:
    """Every word of the facts, in lower case."""
    members = (member for family in FAMILIES.values() for member in family.members)
    texts = (text.lower() for member in members for text in (member.noun, *member.facts.values()))
    return frozenset(word for text in texts for word in re.findall(r"[a-z]+", text))
