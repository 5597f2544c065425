"""Good files made bad: what a disk, an editor, another program or an enemy does to them, chosen by a seed."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NESTED = "\0nested {depth}\0"
"""Stands in a JSON value for lists in each other, as deep as the number says: too deep for `json.dumps`."""

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7.5, -0.0, 1e308, 10**9, 10**12, 10**30, 10**400),
    *(float("nan"), float("inf"), "", "x", "7", "\0", "\ud800", "é中😀", "x" * 100_000, "../../etc/passwd"),
    *([], {}, [[]], {"": {}}, [None], [0] * 1000, list("ab"), {"x": [1, {"y": None}]}),
    *(NESTED.format(depth=60), NESTED.format(depth=100_000)),
)


@dataclass(frozen=True)
class Mutation:
    """One way in which a file is bad; `apply` makes it so."""

    name: str
    apply: Callable[[Path], None]


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def mutations(good: Path, others: list[Path], seed: int, count: int) -> Iterator[Mutation]:
    """`count` mutations of the file `good`, the same for the same seed; `others` are files to swap it with."""
    raw = good.read_bytes()
    whole = _of_the_whole(raw, others)
    yield from whole[:count]
    for number in range(count - len(whole)):
        pick = random.Random(f"{seed} {good.name} {number}")
        values = _json_values(raw) if number % 4 else None
        if values:
            yield _of_json(values, "\n" if len(values) > 1 else "", pick)
        else:
            yield _of_bytes(raw, pick)


def _of_the_whole(raw: bytes, others: list[Path]) -> list[Mutation]:
    def becomes(name: str, content: bytes) -> Mutation:
        return Mutation(name, lambda path: _write(path, content))

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    def itself(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.name)  # also root cannot read it

    text = raw.decode("utf-8", errors="replace")
    return [
        becomes("empty", b""),
        becomes("a NUL", b"\0"),
        becomes("NULs of its length", b"\0" * max(len(raw), 1)),
        becomes("half", raw[: len(raw) // 2]),
        becomes("all but the last byte", raw[:-1]),
        becomes("twice", raw * 2),
        becomes("white space", b" \n\t\n"),
        becomes("UTF-8 with a mark", b"\xef\xbb\xbf" + raw),
        becomes("UTF-16", text.encode("utf-16")),
        becomes("UTF-16 without a mark", text.encode("utf-16-le", errors="replace")),
        becomes("cp1252", ("“é” " + text).encode("cp1252", errors="replace")),
        becomes("Latin-1 at the end", raw + "é".encode("latin-1")),
        becomes("a lone surrogate", raw + b"\xed\xa0\x80"),
        becomes("nested lists", b"[" * 100_000 + b"]" * 100_000),
        becomes("nested objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        becomes("a number of 10,000 digits", b"9" * 10_000),
        *(becomes(f"JSON {value}", value.encode()) for value in ("null", "[]", "{}", '""', "0", "NaN", "[{}]", "[[]]")),
        becomes("a zip", b"PK\x05\x06" + b"\0" * 18),
        Mutation("a folder", folder),
        Mutation("a link to itself", itself),
        *(becomes(f"swapped with {one.name}", one.read_bytes()) for one in others),
    ]


def _of_bytes(raw: bytes, pick: random.Random) -> Mutation:
    content, at = bytearray(raw or b"\0"), pick.randrange(max(len(raw), 1))
    kind = pick.choice(["cut", "flip", "header", "insert", "noise", "lose", "number"])
    if kind == "cut":
        del content[at:]
    elif kind == "flip":
        content[at] ^= 1 << pick.randrange(8)
    elif kind == "header":
        content[pick.randrange(min(len(content), 64))] = pick.choice([0, 1, 127, 128, 255])
    elif kind == "insert":
        content[at:at] = pick.randbytes(pick.choice([1, 8, 1000]))
    elif kind == "noise":
        content[at : at + 16] = pick.randbytes(16)
    elif kind == "lose":
        del content[at : at + pick.choice([1, 8, 1000])]
    else:
        content[at : at + 8] = pick.choice([2**31 - 1, 2**60, 2**64 - 1, 0]).to_bytes(8, "little")
    return Mutation(f"{kind} at {at}", lambda path: _write(path, bytes(content)))


def _json_values(raw: bytes) -> list[Any] | None:
    """The JSON value of a file, or those of its lines."""
    try:
        return [json.loads(raw)]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in raw.split(b"\n") if line.strip()] or None
    except ValueError:
        return None


def _of_json(values: list[Any], separator: str, pick: random.Random) -> Mutation:
    values = json.loads(json.dumps(values))
    places = [place for number in range(len(values)) for place in _places(values, number)]
    shallow = [place for place in places if place[2] <= 2]
    holder, key, _ = pick.choice(shallow if pick.random() < 0.6 else places)
    kind = pick.choice(["value"] * 6 + ["lost", "more", "doubled", "renamed"])
    name = f"{kind} {key!r}"
    if kind == "value":
        value = pick.choice(_VALUES)
        holder[key] = value
        name += f" {str(value)[:30]!r}"
    elif kind == "lost":
        del holder[key]
    elif kind == "doubled" and isinstance(holder, list):
        holder.append(holder[key])
    elif isinstance(holder, dict) and kind == "renamed":
        holder[pick.choice(["", "x" * 5000, "\0", "é"])] = holder.pop(key)
    elif isinstance(holder, dict):
        holder["something_else"] = pick.choice(_VALUES)
    text = separator.join(dump(value) for value in values)
    if kind == "doubled" and isinstance(holder, dict) and text.startswith("{"):
        text = "{" + f"{json.dumps(key)}: null, " + text[1:]
    return Mutation(name, lambda path: _write(path, text.encode("utf-8", "surrogatepass")))


def _places(holder: Any, key: Any, depth: int = 0) -> Iterator[tuple[Any, Any, int]]:
    yield holder, key, depth
    value = holder[key]
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for inner in keys:
        yield from _places(value, inner, depth + 1)


def dump(value: Any) -> str:
    """`value` as JSON; what is nested too deep for `json.dumps` is written by hand."""
    text = json.dumps(value, ensure_ascii=True)
    for depth in (60, 100_000):
        text = text.replace(json.dumps(NESTED.format(depth=depth)), "[" * depth + "]" * depth)
    return text


def is_one_sentence(said: str) -> bool:
    """Whether a person can read it: a few lines at most, nothing of Python's, and its end is a sentence's or a command.

    A command to run stands at the end, bare, so that it can be copied.
    """
    ended = said.rstrip()[-1:] in (".", "?", "!", "`") or " -m unlearning_core " in said.rsplit(": ", 1)[-1]
    return 20 < len(said) < 1500 and ended and said.count("\n") < 10 and "Traceback" not in said and "\0" not in said
