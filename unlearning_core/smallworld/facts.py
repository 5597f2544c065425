"""The facts of the world: families of concepts, read from `facts.txt`."""

from dataclasses import dataclass
from pathlib import Path

from unlearning_core.smallworld.wording import read_paragraphs


@dataclass(frozen=True)
class Member:
    """One thing that the world knows.

    Attributes:
        noun: what it is called.
        facts: by column of its family's table.
        family: name of its family.
        counted: a chair and a storm are; milk, rain and France are not.
    """

    noun: str
    facts: dict[str, str]
    family: str
    counted: bool = True

    @property
    def a(self) -> str:
        """The noun as it is first named: a chair, an apple, milk, France."""
        return f"{indefinite(self.noun)} {self.noun}" if self.counted else self.noun

    @property
    def the(self) -> str:
        """The noun once it is known: the chair, the milk, France."""
        return self.noun if self.family == "countries" else f"the {self.noun}"


@dataclass(frozen=True)
class Family:
    """Members that share the columns of their facts.

    Attributes:
        name: the family's name, plural.
        columns: names of the facts.
        members: in the order of the table.
        neighbours: the families that share its contexts.
        words: further words that speak of the family without naming a member (sit, seat).
    """

    name: str
    columns: tuple[str, ...]
    members: tuple[Member, ...]
    neighbours: tuple[str, ...]
    words: tuple[str, ...]


def indefinite(word: str) -> str:
    """`a` or `an`, by the sound that `word` begins with."""
    lower = word.lower()
    if lower.startswith(("hour", "honest")):
        return "an"
    return "an" if lower[:1] in "aeiou" and not lower.startswith(("uni", "use", "one", "euro")) else "a"


def read_family(head: str, *lines: str) -> Family:
    """The family of a block: `== name`, lines of `key: value`, a line a member with its cells parted by `|`.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """
    name = head.removeprefix("== ")
    keys = dict(line.split(": ") for line in lines if "|" not in line)
    columns, neighbours, words = (tuple(keys.get(key, "").split()) for key in ("columns", "neighbours", "words"))
    members = []
    for row in (line for line in lines if "|" in line):
        noun, *cells = (cell.strip() for cell in row.split("|"))
        facts = dict(zip(columns, cells, strict=True))
        members.append(Member(noun.removeprefix("a "), facts, name, noun.startswith("a ") or "article" not in keys))
    return Family(name, columns, tuple(members), neighbours, words)


FAMILIES = {
    family.name: family
    for family in (read_family(*block) for block in read_paragraphs(Path(__file__).with_suffix(".txt")))
}
"""All concept families by name."""
