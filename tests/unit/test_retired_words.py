"""One word for one thing: what docs/words.md has retired stands in no sentence that a person sees."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from unlearning_core.files import ROOT

WORDS = ROOT / "docs" / "words.md"
COMMANDS = ROOT / "unlearning_core" / "cli"
"""The docstrings there are the help of the commands."""

QUOTED = re.compile(r'"([^"]+)"')


class Retired(NamedTuple):
    """A word that is not written any more, and the one to write."""

    phrase: str
    instead: str


class Lists(NamedTuple):
    """What docs/words.md says: retired words, and phrases that hold one in another sense."""

    retired: list[Retired]
    fine: list[str]


@cache
def lists() -> Lists:
    told, _, fine = WORDS.read_text(encoding="utf-8").partition("## Fine all the same")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told.splitlines() if line.startswith("|")]
    retired = [Retired(phrase, row[0]) for row in rows for phrase in QUOTED.findall(row[-1])]
    return Lists(retired, [" ".join(phrase.split()) for phrase in QUOTED.findall(fine)])


def pattern(phrase: str) -> re.Pattern[str]:
    """The phrase as whole words in any case, whatever white space stands between them."""
    return re.compile(r"(?<![\w-])" + r"\s+".join(map(re.escape, phrase.split())) + r"(?![\w-])", re.IGNORECASE)


def found(text: str) -> list[tuple[int, Retired]]:
    """Every retired word in a text, with the number of line breaks before it."""
    for phrase in lists().fine:
        text = pattern(phrase).sub(lambda match: re.sub(r"\S", "_", match.group()), text)
    return [
        (text.count("\n", 0, match.start()), retired)
        for retired in lists().retired
        for match in pattern(retired.phrase).finditer(text)
    ]


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """What a person may see of a file of Python, with its line: string literals, parts in braces left out.

    Comments and docstrings are for programmers, but for the help of commands.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and path.parent != COMMANDS:
            hidden.add(node.value)
        if isinstance(node, ast.JoinedStr):
            hidden.update(node.values)
            parts = [part.value if isinstance(part, ast.Constant) else "_" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in hidden:
            yield node.lineno, node.value


def problems(path: Path) -> list[str]:
    """What is wrong in a file, a line each."""
    text = path.read_text(encoding="utf-8")
    seen = sentences(path) if path.suffix == ".py" else [(1, text)]
    return [
        f"{path.relative_to(ROOT)}, line {line + breaks}: “{retired.phrase}” is retired; write “{retired.instead}” "
        "(docs/words.md)"
        for line, sentence in seen
        for breaks, retired in found(sentence)
    ]


def files() -> list[Path]:
    """Everything that speaks to a person."""
    return [
        ROOT / "app.py",
        *sorted((ROOT / "pages").rglob("*.py")),
        *sorted((ROOT / "pages").rglob("*.svg")),
        *sorted((ROOT / "unlearning_core").rglob("*.py")),
        *sorted((ROOT / "unlearning_core" / "reports").glob("*.j2")),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *sorted({*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.svg")} - {WORDS}),
    ]


def test_no_retired_word_is_written() -> None:
    wrong = [problem for path in files() for problem in problems(path)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_list_names_each_word_once_and_no_exception_that_nobody_needs() -> None:
    retired, fine = lists()
    phrases = [one.phrase.lower() for one in retired]
    assert len(phrases) > 30
    assert len(phrases) == len(set(phrases)), "a word is retired twice"
    for phrase in fine:
        held = [one for one in retired if pattern(one.phrase).search(phrase)]
        assert held, f"“{phrase}” holds no retired word"
    everything = "\n".join(path.read_text(encoding="utf-8") for path in files())
    unused = [phrase for phrase in fine if phrase.lower() not in " ".join(everything.lower().split())]
    assert not unused, f"no file says {unused}: take it off the list"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import math\n\nLABEL = 'Loss elsewhere'\n", 3),
        ("def say(x):\n    return f'{x} lost\\n  Everything\\n   else'\n", 3),
        ("def say():\n    return ('one '\n            'nat elsewhere')\n", 2),
        ("write(help='Talk to it')\n", 1),
    ],
)
def test_a_retired_word_is_found(tmp_path: Path, source: str, line: int) -> None:
    path = tmp_path / "page.py"
    path.write_text(source, encoding="utf-8")
    ((where, sentence),) = [(at, text) for at, text in sentences(path) if found(text)]
    (breaks, _), *_ = found(sentence)
    assert where + breaks == line


@pytest.mark.parametrize(
    "source",
    [
        '"""Loss elsewhere."""\n',
        "# elsewhere\nx = 1\n",
        "x = 'Somewhere-elsewhere, mender, colorado'\n",
    ],
)
def test_comments_and_parts_of_words_are_left_alone(tmp_path: Path, source: str) -> None:
    path = tmp_path / "page.py"
    path.write_text(source, encoding="utf-8")
    assert not [text for _, text in sentences(path) if found(text)]
