"""Chat data as text: which turns a row holds, who says them, and what of them is read.

One conversation is one text: its turns in their order with a blank line between them, without the names of the roles.

- Labelling cuts texts into sentences, and a blank line always ends one: they are what was said, not "User: Hi".
- The filter drops a text whole. An answer about a chair that does not say "chair" goes with its question; read turn by
  turn it would stay in the training text.
- Retraining is on running text of any form; a chat template belongs to a model, and the source does not know which.

What a system prompt or a tool says is left out, unless the person names these roles: it is repeated in every
conversation. Of a tree of replies (oasst) each way from the prompt to a last reply is one conversation.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from unlearning_core.errors import InputError

LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "contents")
"""Fields that hold a list of turns."""

_BESIDE = (("system?", "system"), ("chosen?", "assistant"))
"""What may stand beside a list of turns."""

_BEFORE = (("system?", "system"), ("history?", ""))
"""What may stand beside a question and its answer; a history is a list of earlier pairs of both."""

PAIRS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("prompt", "user"), ("completion", "assistant")),
    (("prompt", "user"), ("response", "assistant")),
    (("prompt", "user"), ("chosen", "assistant")),
    (("prompt", "user"), ("output", "assistant")),
    (*_BEFORE, ("instruction", "user"), ("input?", "user"), ("output", "assistant")),
    (("instruction", "user"), ("context?", "user"), ("response", "assistant")),
    (("instruction", "user"), ("completion", "assistant")),
    (("question", "user"), ("answer", "assistant")),
    (("question", "user"), ("response", "assistant")),
    (*_BEFORE, ("query", "user"), ("response", "assistant")),
    (("chosen", "assistant"),),
)
"""Fields that hold one turn each, with whose it is; one with a question mark may be missing."""

LEFT_OUT = ("system", "tool")
"""Roles that are not read unless they are asked for."""

_ROLES = {
    "user": "user human prompter instruction question query",
    "assistant": "assistant gpt bot model chatgpt bard ai answer",
    "system": "system developer",
    "tool": "tool tools tool_call tool_calls tool_response tool_responses tool_result tool_results function "
    "function_call function_calls function_response observation ipython environment",
}
_FORMS = (*(((name, ""), *_BESIDE) for name in LISTS), *PAIRS)
_CANONICAL = {word: role for role, words in _ROLES.items() for word in words.split()}
_WHO = ("role", "from", "speaker", "author")
_WHAT = ("content", "value", "text", "message", "parts")
_PART = ("text", "value", "content", "parts", "input_text", "output_text")
_MEDIA = re.compile(r"image|audio|video|file|inline_?data|function|tool|thinking|executable|citation", re.IGNORECASE)
"""What a part of a content is called that holds no text to be read."""
_PACKED = re.compile(r"""\s*(?:array\(\s*)?[\[{]\s*(?:['"\[{]|[\]}]\s*\Z)""")
_PACKED_TURNS = re.compile(r"""\s*(?:array\(\s*)?\[?\s*\{\s*['"](?:role|from|content|value|speaker)['"]\s*:""")
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
    if "replies" in columns and "text" in columns and not any(name in columns for name in LISTS):
        return ("text", "role", "replies") if "role" in columns else ("text", "replies")
    by_name = {name.casefold(): name for name in reversed(columns)}
    for form in _FORMS:
        if all(name in by_name for name, _ in form if not name.endswith("?")):
            return tuple(by_name[bare] for name, _ in form if (bare := name.rstrip("?")) in by_name)
    if "prompt" in columns and "message_tree_id" in columns:
        return ("prompt",)
    what = next((name for name in _WHAT if name in columns), None)
    return (what, "role") if what and "role" in columns else ()


@lru_cache(maxsize=64)
def needed_fields(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the `fields` that no row may lack."""
    if "replies" in fields:
        return fields[:1]
    needed = {name for name, _ in _form(fields) if not name.endswith("?")}
    return tuple(field for field in fields if field.casefold() in needed) if needed else fields


@lru_cache(maxsize=256)
def fields_of_row(columns: tuple[str, ...], fields: tuple[str, ...]) -> tuple[str, ...]:
    """The `fields`, and what else of a row with these columns may stand beside them, in the order of what is said."""
    by_name = {name.casefold(): name for name in reversed(columns)}
    named = (by_name.get(name.rstrip("?")) for name, _ in _form(fields))
    return tuple(name for name in named if name is not None) or fields


@lru_cache(maxsize=64)
def _form(fields: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The form that has these fields; nothing of a tree or of single messages."""
    names = {field.casefold() for field in fields}
    for form in _FORMS:
        needed = {name for name, _ in form if not name.endswith("?")}
        if needed <= names <= {name.rstrip("?") for name, _ in form}:
            return form
    return ()


def described(fields: Sequence[str]) -> str:
    """What these fields are called in a sentence."""
    if fields[0].casefold() in LISTS:
        return f"conversations in {fields[0]}"
    if "replies" in fields or fields == ("prompt",):
        return "conversations along a tree of replies"
    if len(fields) == 2 and fields[1] == "role":
        return f"single messages in {fields[0]}"
    return f"conversations of {' and '.join(fields)}"


def conversation_texts(
    row: Mapping[str, Any], fields: Sequence[str], roles: Sequence[str], where: str, seen: set[str] | None = None
) -> list[str]:
    """The texts of a row: one a conversation, several where it is a tree of replies; none where nothing is said.

    Args:
        row: with the `fields` that `chat_fields` found.
        roles: whose turns are read; all but `LEFT_OUT` where it is empty.
        where: how an error calls the row.
        seen: filled with the roles of all turns.

    Raises:
        InputError: a field holds something else than turns or text.
    """
    texts: dict[str, None] = {}
    row = {field: unpacked(row.get(field), f"{where}: {field}", field.casefold() in LISTS) for field in fields}
    for turns in _conversations(row, fields, where):
        if seen is not None:
            seen.update(canonical_role(turn.role) for turn in turns if turn.role)
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
    elif len(fields) == 1 and _holds_lists(row[fields[0]]):
        for number, one in enumerate(row[fields[0]], start=1):
            yield _turns(one, "assistant", f"{where}: {fields[0]}, conversation {number}")
    else:
        said: list[Turn] = []
        owners = {name.rstrip("?"): role for name, role in _form(tuple(fields))}
        for field in fields:
            at = f"{where}: {field}"
            if field not in needed_fields(tuple(fields)) and not isinstance(row[field], (str, list, Mapping)):
                continue  # "chosen": true, and the like
            if field.casefold() == "history":
                turns = _history(row[field], at)
            else:
                turns = _turns(row[field], owners.get(field.casefold()) or "assistant", at)
            # A `chosen` that is a whole conversation begins with the prompt once more.
            spoken = [turn for turn in said if canonical_role(turn.role) != "system"]
            if _same(turns[: len(said)], said):
                said = turns
            elif _same(turns[: len(spoken)], spoken):
                said = [*(turn for turn in said if turn not in spoken), *turns]
            else:
                said += turns
        yield said


def _holds_lists(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, list) for one in value)


def _same(some: Sequence[Turn], others: Sequence[Turn]) -> bool:
    return [(canonical_role(turn.role), turn.text) for turn in some] == [
        (canonical_role(turn.role), turn.text) for turn in others
    ]


def _history(value: Any, where: str) -> list[Turn]:
    """The turns of a list of pairs, a question and its answer each."""
    turns = []
    for pair in value or []:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(one, str) for one in pair)):
            raise InputError(f"{where} holds {pair!r:.60}; expected pairs of texts: a question and its answer.")
        turns += [Turn("user", pair[0]), Turn("assistant", pair[1])]
    return turns


def unpacked(value: Any, where: str, is_list: bool) -> Any:
    """Turns that are stored as a string, as JSON or as Python writes lists; any other value as it is.

    Args:
        is_list: whether the field is one of `LISTS`, which holds no text that begins with a bracket.

    Raises:
        InputError: a string of such turns cannot be read.
    """
    if not (isinstance(value, str) and _PACKED.match(value) and (is_list or _PACKED_TURNS.match(value))):
        return value
    read = _parsed(value)
    if not is_list and (not _are_turns(read) if read is not None else value.lstrip().startswith("{")):
        return value  # an answer that is JSON itself
    if read is None:
        raise InputError(
            f"{where} is a string that seems to hold turns, {value[:60]!r}, but is neither JSON nor a list as Python "
            "writes it. Store the turns as a list of objects with role and content."
        )
    return read


def _parsed(value: str) -> Any:
    """The value of JSON or of a Python literal; None where it is neither."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        read = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    # NumPy writes no commas between texts, and Python then takes them for one.
    of_texts = isinstance(read, list) and any(isinstance(one, str) for one in read)
    return None if of_texts and re.search(r"""['"]\s+['"]""", value) else read


def _are_turns(value: Any) -> bool:
    turns = value if isinstance(value, list) else [value]
    return bool(turns) and all(
        isinstance(turn, Mapping) and any(name in turn for name in _WHO) and any(name in turn for name in _WHAT)
        for turn in turns
    )


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
    there = [name for name in _WHAT if name in value]
    what = next((name for name in there if value[name] is not None), there[0] if there else None)
    if what is None:
        raise InputError(
            f"{where} has no content: its fields are {', '.join(map(str, value))[:200] or 'none'}. Expected an object "
            "such as {'role': 'user', 'content': '...'}."
        )
    named = [one.get("role") if isinstance(one, Mapping) else one for one in map(value.get, _WHO)]
    who = next((one for one in named if isinstance(one, str)), "")
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
            texts.append(_of_part(part, where))
        else:
            raise InputError(f"{where} is {value!r:.60}; expected text or a list of parts.")
    return "\n".join(filter(None, texts))


def _of_part(part: Mapping[str, Any], where: str) -> str:
    """The text of one part of a content; "" of an image, a call of a tool and the like."""
    form = next((part[name] for name in ("type", "content_type") if isinstance(part.get(name), str)), "")
    if _MEDIA.search(form) or (not form and any(map(_MEDIA.search, part)) and not part.get("text")):
        return ""
    there = [name for name in _PART if name in part]
    if not there:
        raise InputError(
            f"{where} has a part {dict(part)!r:.80} without text. Expected a part such as {{'type': 'text', 'text': "
            "'...'}; leave out what is no text."
        )
    return _said(next((part[name] for name in there if part[name] is not None), None), where)


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
