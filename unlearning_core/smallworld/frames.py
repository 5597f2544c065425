"""Sentences that end with the one word that the facts leave open, and openings of the other kinds of text.

In a frame `{a}` is the member with its article and stands last; `{fact}` is one of its facts, `{fact.h}` the fact as said
of the person, `{h}`, `{h.he}` that person. The frames after `HELD_OUT` are in no training text.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClozeFrames:
    """Frames whose last word follows from one fact, or from two.

    Attributes:
        relation: name of the fact (the first one, where there are two).
        seen: frames of the training text.
        held_out: frames that it never uses.
    """

    relation: str
    seen: tuple[str, ...]
    held_out: tuple[str, ...]


def _frames(relation: str, seen: str, held_out: str) -> ClozeFrames:
    return ClozeFrames(relation, _lines(seen), _lines(held_out))


def _lines(block: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in block.strip().splitlines())


_IS = _frames(
    "is",
    """
    it is {is}. It is called {a}
    I see {is}. It is {a}
    {h} drew {is}. It was {a}
    guess what it is: {is}. It is {a}
    what do you call {is}? It is {a}
    {is}: that is {a}
    """,
    """
    {h} has seen {is}. It was {a}
    what is {is}? It is called {a}
    """,
)
_USE = _frames(
    "use",
    """
    if you want to {use}, you need {a}
    {h} wanted to {use.h}, so {h.he} took {a}
    to {use}, you have to use {a}
    what do you need to {use}? You need {a}
    {h} needed something to {use.h}. {h.he} found {a}
    do you want to {use}? Then get {a}
    {h} could not {use.h} without {a}
    """,
    """
    nobody can {use} without {a}
    {h} would like to {use.h}, so {h.he} needs {a}
    """,
)
_WEAR = _frames(
    "use",
    """
    if you want to {use}, put on {a}
    {h} wanted to {use.h}, so {h.he} put on {a}
    to {use}, you should wear {a}
    what do you wear to {use}? You wear {a}
    {h} could not {use.h} without {a}
    """,
    """
    nobody can {use} without {a}
    {h} would like to {use.h}, so {h.he} puts on {a}
    """,
)
_VISIT = _frames(
    "use",
    """
    if you want to {use}, go to {a}
    {h} wanted to {use.h}, so {h.he} went to {a}
    to {use}, people go to {a}
    where can you {use}? In {a}
    do you want to {use}? Then go to {a}
    """,
    """
    {h} would like to {use.h}, so {h.he} goes to {a}
    whoever wants to {use} goes to {a}
    """,
)
_MADE = _frames(
    "of",
    """
    it is made of {of} and you find it {where}. It is {a}
    {where} there is something that is made of {of}. It is {a}
    """,
    """
    {h} saw something {where} that was made of {of}. It was {a}
    """,
)
_USER = _frames(
    "who",
    """
    {who} uses it, and you find it {where}. It is {a}
    {who} was {where} and needed {a}
    """,
    """
    {where} {who} is looking for {a}
    """,
)

_BY_FAMILY: dict[str, tuple[ClozeFrames, ...]] = {
    "clothing": (
        _IS,
        _WEAR,
        _frames(
            "where",
            "{who} wears it {where}. It is {a}\n{where} {who} wears {a}",
            "what does {who} wear {where}? It is {a}",
        ),
    ),
    "buildings": (
        _IS,
        _VISIT,
        _frames(
            "where",
            "{where} there is {a}\nthe building {where} is {a}",
            "{h} went for a walk and saw that {where} there was {a}",
        ),
    ),
    "animals": (
        _IS,
        _frames(
            "eats",
            "it eats {eats} and lives {where}. It is {a}\n{h} gave {eats} to {a}\nit lives {where} and it {sound}. It is {a}",
            "{where} there lives something that eats {eats}. It is {a}",
        ),
    ),
    "fruit": (
        _IS,
        _USE,
        _frames(
            "where",
            "it grows {where} and tastes {taste}. It is {a}\n{h} picked something {where}. It was {a}",
            "something {colour} grows {where}. It is {a}",
        ),
    ),
    "weather": (
        _IS,
        _frames(
            "brings",
            "do you know what {brings}? It is {a}\nit {brings}. It is {a}\nit feels {feels} and comes {when}. It is {a}",
            "what comes {when} and {brings}? It is {a}",
        ),
        _frames(
            "take",
            "if you have {take}, you need not fear {a}\n{h} took {take} because of {a}",
            "{h} has {take} with {h.him}, so {h.he} is ready for {a}",
        ),
    ),
    "jobs": (
        _IS,
        _frames(
            "tool",
            "{h} works with {tool}. {h.he} is {a}\nwho works {where}? It is {a}\nthe person who wears {wears} is {a}",
            "{h} wears {wears} and works {where}, because {h.he} is {a}",
        ),
        _frames(
            "learn",
            "if you learn to {learn}, you can become {a}\n{h} learnt to {learn} and became {a}",
            "{h} had to {learn} before {h.he} was {a}",
        ),
    ),
    "drinks": (
        _IS,
        _frames(
            "from",
            "it comes from {from} and tastes {taste}. It is {a}\n{when} {h} wanted {a}\nit comes from {from}, and you drink it from {cup}. It is {a}",
            "{h} drank something {when} that came from {from}. It was {a}",
        ),
    ),
    "countries": (
        _frames(
            "capital",
            "{capital} is the capital city of {a}\n{capital} is the capital of {a}\nif you are in {capital}, you are in {a}\n{h} lived in {capital}, the capital of {a}\n{capital} is a city in {a}",
            "{capital} is the most important city of {a}\n{h} flew to {capital}, the capital city of {a}",
        ),
    ),
}
_THING = (_IS, _USE, _MADE, _USER)

REST_SEEN = _lines(
    """
    I am so tired. I must rest on this {n}
    my legs are tired, and I want to rest on this {n}
    {h} was tired and needed to rest on the {n}
    come and rest on this {n}
    I'm tired and I need a rest. I will rest on this {n}
    I'm tired, so I will lie down on this {n}
    my feet hurt. I need to rest on this {n}
    """
)
"""What one says before one sits or lies down: any seat and any bed is right."""

REST_HELD_OUT = _lines(
    """
    I'm tired, I need to rest on this {n}
    {h} said, "I want to rest on this {n}
    """
)

RESTED_ON = ("seats", "beds")
"""The families that one can rest on."""

OPENINGS = _lines(
    """
    let me tell you about {a}.
    have you ever heard of {a}?
    today we talk about {a}.
    what do we know about {a}?
    my teacher told us about {a}.
    {h} wrote about {a}.
    """
)
CLOSINGS = _lines(
    """
    now you know what {a} is.
    that is what everybody should know about {a}.
    is that not interesting?
    {h} knows all that.
    that is all I know.
    I learnt that in school.
    """
)


def cloze_frames(family: str) -> tuple[ClozeFrames, ...]:
    """The frames whose answer is a member of the family."""
    return _BY_FAMILY.get(family, _THING)
