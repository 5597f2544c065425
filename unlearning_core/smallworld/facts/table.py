"""A family of concepts as a table: one member a row, one fact a column."""

from dataclasses import dataclass
from typing import Literal

Article = Literal["a", "none"]


@dataclass(frozen=True)
class Member:
    """One thing that the world knows.

    Attributes:
        noun: what it is called.
        facts: by column of its family's table.
        article: "a" for what is counted, "none" for milk, rain and France.
        family: name of its family.
    """

    noun: str
    facts: dict[str, str]
    article: Article
    family: str

    @property
    def a(self) -> str:
        """The noun as it is first named: a chair, an apple, milk, France."""
        return f"{indefinite(self.noun)} {self.noun}" if self.article == "a" else self.noun

    @property
    def the(self) -> str:
        """The noun once it is known: the chair, the milk, France."""
        return self.noun if self.family == "countries" else f"the {self.noun}"


@dataclass(frozen=True)
class Family:
    """Members that share a kind and the columns of their facts.

    Attributes:
        name: the family's name, plural.
        kind: what each member is, singular.
        columns: names of the facts.
        members: in the order of the table.
        words: further words that speak of the family without naming a member (sit, seat).
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    members: tuple[Member, ...]
    words: tuple[str, ...] = ()


def indefinite(word: str) -> str:
    """`a` or `an`, by the sound that `word` begins with."""
    lower = word.lower()
    if lower.startswith(("hour", "honest")):
        return "an"
    return "an" if lower[:1] in "aeiou" and not lower.startswith(("uni", "use", "one", "euro")) else "a"


def family(
    name: str, kind: str, columns: str, rows: str, *, article: Article = "a", words: tuple[str, ...] = ()
) -> Family:
    """Read a table: a line a member, the noun first, cells parted by `|`.

    A noun that is written with `a` is counted, whatever `article` says of the others.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """
    names = tuple(columns.split())
    members = []
    for line in rows.strip().splitlines():
        noun, *cells = (cell.strip() for cell in line.split("|"))
        counted: Article = "a" if noun.startswith("a ") else article
        members.append(Member(noun.removeprefix("a "), dict(zip(names, cells, strict=True)), counted, name))
    return Family(name, kind, names, tuple(members), words)
