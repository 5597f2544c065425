"""Chat data as text: which turns a row holds, who says them, and what of them is read.

One conversation is one text: its turns in their order with a blank line between them, without the names of the roles.

- Labelling cuts texts into sentences, and a blank line always ends one: they are what was said, not "User: Hi".
- The filter drops a text whole. An answer about a chair that does not say "chair" goes with its question; read turn by
  turn it would stay in the training text.
- Retraining is on running text of any form; a chat template belongs to a model, and the source does not know which.

What a system prompt or a tool says is left out, unless the person names these roles: it is repeated in every
conversation. Of a tree of replies (oasst) each way from the prompt to a last reply is one conversation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from unlearning_core.errors import InputError

LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat")
"""Fields that hold a list of turns."""

PAIRS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("prompt", "user"), ("completion", "assistant")),
    (("prompt", "user"), ("response", "assistant")),
    (("prompt", "user"), ("chosen", "assistant")),
    (("prompt", "user"), ("output", "assistant")),
    (("instruction", "user"), ("input?", "user"), ("output", "assistant")),
    (("instruction", "user"), ("context?", "user"), ("response", "assistant")),
    (("instruction", "user"), ("completion", "assistant")),
    (("question", "user"), ("answer", "assistant")),
    (("question", "user"), ("response", "assistant")),
    (("query", "user"), ("response", "assistant")),
    (("chosen", "assistant"),),
)
"""Fields that hold one turn each, with whose it is; one with a question mark may be missing."""

LEFT_OUT = ("system", "tool")
"""Roles that are not read unless they are asked for."""

_ROLES = {
    "user": "user human prompter instruction question query",
    "assistant": "assistant gpt bot model chatgpt bard ai answer",
    "system": "system developer",
    "tool": "tool function observation ipython environment",
}
_CANONICAL = {word: role for role, words in _ROLES.items() for word in words.split()}
_WHO = ("role", "from", "speaker", "author")
_WHAT = ("content", "value", "text", "message")
_MARKED = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


@dataclass(frozen=True)
class Turn:
    """One turn: who speaks (a name of the field where it has one, "" where nobody is named) and what is said."""

    role: str
    text: str


def canonical_role(role: str) -> str:
    """ "human" and "prompter" are "user", "gpt" is "assistant"; another name stays itself in lower case."""
    name = role.strip().casefold()
    return _CANONICAL.get(name, name)


def chat_fields(columns: Sequence[str]) -> tuple[str, ...]:
    """The fields of a row in which a conversation stands, in their order; none where it is no chat data."""
    for name in LISTS:
        if name in columns:
            return (name,)
    if "replies" in columns and "text" in columns:
        return ("text", "role", "replies") if "role" in columns else ("text", "replies")
    for pair in PAIRS:
        if all(name in columns for name, _ in pair if not name.endswith("?")):
            return tuple(bare for name, _ in pair if (bare := name.rstrip("?")) in columns)
    if "prompt" in columns and "message_tree_id" in columns:
        return ("prompt",)
    what = next((name for name in _WHAT if name in columns), None)
    return (what, "role") if what and "role" in columns else ()


def described(fields: Sequence[str]) -> str:
    """What these fields are called in a sentence."""
    if fields[0] in LISTS:
        return f"conversations in {fields[0]}"
    if "replies" in fields or fields == ("prompt",):
        return "conversations along a tree of replies"
    if len(fields) == 2 and fields[1] == "role":
        return f"single messages in {fields[0]}"
    return f"conversations of {' and '.join(fields)}"


def conversation_texts(row: Mapping[str, Any], fields: Sequence[str], roles: Sequence[str], where: str) -> list[str]:
    """The texts of a row: one a conversation, several where it is a tree of replies; none where nothing is said.

    Args:
        row: with the `fields` that `chat_fields` found.
        roles: whose turns are read; all but `LEFT_OUT` where it is empty.
        where: how an error calls the row.

    Raises:
        InputError: a field holds something else than turns or text.
    """
    texts: dict[str, None] = {}
    for turns in _conversations(row, fields, where):
        said = [turn.text.strip() for turn in turns if _is_read(turn.role, roles) and turn.text.strip()]
        texts.setdefault("\n\n".join(said))
    return list(filter(None, texts))


def _is_read(role: str, roles: Sequence[str]) -> bool:
    name = canonical_role(role)
    return name in map(canonical_role, roles) if roles else name not in LEFT_OUT


def _conversations(row: Mapping[str, Any], fields: Sequence[str], where: str) -> Iterator[list[Turn]]:
    if "replies" in fields:
        yield from _paths(row, where)
    elif len(fields) == 1 and isinstance(root := row[fields[0]], Mapping) and ("replies" in root or "text" in root):
        yield from _paths(root, where)
    elif len(fields) == 2 and fields[1] == "role":
        yield [_turn(row, where)]
    elif len(fields) == 1:
        yield _turns(row[fields[0]], "assistant", f"{where}: {fields[0]}")
    else:
        said: list[Turn] = []
        owners = {name.rstrip("?"): role for pair in PAIRS for name, role in pair}
        for field in fields:
            said += _turns(row.get(field), owners[field], f"{where}: {field}")
        # A `chosen` that is a whole conversation begins with the prompt once more.
        yield [*said[:1], *(turn for before, turn in pairwise(said) if turn != before)]


def _turns(value: Any, role: str, where: str) -> list[Turn]:
    """The turns of a field: a list of them, one of them, or a text of `role`."""
    if value is None:
        return []
    if isinstance(value, str):
        return _marked(value) or [Turn(role, value)]
    if isinstance(value, Mapping) and value and all(isinstance(part, list) for part in value.values()):
        # How older datasets store a list of objects: an object of lists.
        value = [dict(zip(value, parts, strict=False)) for parts in zip(*value.values(), strict=False)]
    if isinstance(value, Mapping):
        return [_turn(value, where)]
    if not isinstance(value, list):
        raise InputError(f"{where} is {value!r:.60}; expected a list of turns with role and content, or text.")
    turns = []
    for number, item in enumerate(value, start=1):
        turns.append(Turn("", item) if isinstance(item, str) else _turn(item, f"{where}, turn {number}"))
    return turns


def _turn(value: Any, where: str) -> Turn:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {value!r:.60}; expected an object with role and content.")
    what = next((name for name in _WHAT if name in value), None)
    if what is None:
        raise InputError(
            f"{where} has no content: its fields are {', '.join(map(str, value))[:200] or 'none'}. Expected an object "
            "such as {'role': 'user', 'content': '...'}."
        )
    who = next((value[name] for name in _WHO if isinstance(value.get(name), str)), "")
    return Turn(who, _said(value[what], f"{where}, {what}"))


def _said(value: Any, where: str) -> str:
    """The text of a content: a string, nothing, or a list of parts of which those of text are read."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            texts.append(part["text"] if isinstance(part.get("text"), str) else "")
        else:
            raise InputError(f"{where} is {value!r:.60}; expected text or a list of parts.")
    return "\n".join(filter(None, texts))


def _marked(text: str) -> list[Turn]:
    """The turns of a text in the form of HH-RLHF, "\\n\\nHuman: ...\\n\\nAssistant: ..."; none where it is no such."""
    pieces = _MARKED.split(text)
    if len(pieces) < 3 or pieces[0].strip():
        return []
    return [Turn(role, said) for role, said in zip(pieces[1::2], pieces[2::2], strict=True)]


def _paths(root: Mapping[str, Any], where: str) -> Iterator[list[Turn]]:
    """The turns from the root to each message without replies; not recursive, a tree may be deep."""
    waiting: list[tuple[Any, list[Turn]]] = [(root, [])]
    while waiting:
        node, before = waiting.pop()
        turns = [*before, _turn(node, where)]
        replies = node.get("replies") or []
        if not isinstance(replies, list):
            raise InputError(f"{where}: replies is {replies!r:.60}; expected a list of messages.")
        if not replies:
            yield turns
        waiting += [(reply, turns) for reply in reversed(replies)]
