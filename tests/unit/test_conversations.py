"""Chat data in its forms, from JSON, JSON lines, Parquet, a saved dataset and a folder: a conversation is a text."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from tests.chat_data import trees
from unlearning_core.concepts.texts import read_texts
from unlearning_core.errors import InputError

Row = dict[str, Any]
HI, HO = "What is it?", "A chair.\nIt is red."
WHOLE = f"{HI}\n\n{HO}"

FORMS: dict[str, Row] = {
    "messages": {"messages": [{"role": "user", "content": HI}, {"role": "assistant", "content": HO}]},
    "system": {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": HI},
            {"role": "assistant", "content": HO},
        ]
    },
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": HI}]},
            {"role": "assistant", "content": [{"type": "text", "text": HO}]},
        ]
    },
    "sharegpt": {"id": "a", "conversations": [{"from": "human", "value": HI}, {"from": "gpt", "value": HO}]},
    "completion": {"prompt": HI, "completion": HO},
    "response": {"prompt": HI, "response": HO},
    "alpaca": {"instruction": HI, "input": "", "output": HO},
    "dolly": {"instruction": HI, "context": "", "response": HO, "category": "qa"},
    "question": {"question": HI, "answer": HO},
    "preference": {"prompt": HI, "chosen": HO, "rejected": "No."},
    "preference turns": {
        "prompt": HI,
        "chosen": [{"role": "user", "content": HI}, {"role": "assistant", "content": HO}],
        "rejected": [{"role": "user", "content": HI}, {"role": "assistant", "content": "No."}],
    },
    "conversational": {
        "prompt": [{"role": "user", "content": HI}],
        "completion": [{"role": "assistant", "content": HO}],
    },
    "hh": {"chosen": f"\n\nHuman: {HI}\n\nAssistant: {HO}", "rejected": f"\n\nHuman: {HI}\n\nAssistant: No."},
    "list of texts": {"dialog": [HI, HO]},
}


def as_json(path: Path, rows: list[Row]) -> Path:
    path.with_suffix(".json").write_text(json.dumps(rows))
    return path.with_suffix(".json")


def as_lines(path: Path, rows: list[Row]) -> Path:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.with_suffix(".jsonl")


def as_parquet(path: Path, rows: list[Row]) -> Path:
    Dataset.from_list(rows).to_parquet(str(path.with_suffix(".parquet")))
    return path.with_suffix(".parquet")


def as_saved(path: Path, rows: list[Row]) -> Path:
    Dataset.from_list(rows).save_to_disk(str(path))
    return path


def as_folder(path: Path, rows: list[Row]) -> Path:
    path.mkdir()
    as_lines(path / "train", rows)
    return path


WAYS = [as_json, as_lines, as_parquet, as_saved, as_folder]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_a_conversation_is_one_text(tmp_path: Path, form: str, write: Callable[[Path, list[Row]], Path]) -> None:
    source = write(tmp_path / "chat", [FORMS[form], FORMS[form]])
    assert list(read_texts(source)) == [WHOLE, WHOLE]


@pytest.mark.parametrize("form", [name for name in FORMS if name != "list of texts"])
def test_roles_choose_whose_turns_are_read(tmp_path: Path, form: str) -> None:
    source = as_lines(tmp_path / "chat", [FORMS[form]])
    assert list(read_texts(source, roles=["assistant"])) == [HO]
    assert list(read_texts(source, roles=["user"])) == [HI]
    assert list(read_texts(source, roles=["human", "gpt"])) == [WHOLE]


def test_what_the_system_and_tools_say_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    source = as_lines(tmp_path / "chat", [FORMS["system"]])
    assert list(read_texts(source, roles=["system"])) == ["Be kind."]
    with pytest.raises(InputError, match=r"holds no text of the roles .*; the roles in it are assistant, system, user"):
        list(read_texts(source, roles=["asistant"]))
    only = as_lines(tmp_path / "only", [{"messages": [{"role": "system", "content": "Be kind."}]}])
    with pytest.raises(InputError, match="the roles in it are system"):
        list(read_texts(only))
    plain = as_lines(tmp_path / "plain", [{"text": "A chair."}])
    with pytest.raises(InputError, match="names no roles"):
        list(read_texts(plain, roles=["user"]))


def test_an_older_dataset_stores_turns_as_an_object_of_lists(tmp_path: Path) -> None:
    row = {"conversations": {"from": ["human", "gpt"], "value": [HI, HO]}}
    assert list(read_texts(as_lines(tmp_path / "chat", [row]))) == [WHOLE]


def test_turns_without_text_are_passed_over(tmp_path: Path) -> None:
    row = {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": HI}],
            },
            {"role": "assistant", "content": None, "tool_calls": [{"name": "look"}]},
            {"role": "tool", "content": "42"},
            {"role": "assistant", "content": HO},
        ]
    }
    assert list(read_texts(as_lines(tmp_path / "chat", [row]))) == [WHOLE]


def paths(message: Row) -> list[list[str]]:
    """The texts on every way down a tree, by recursion."""
    below = [way for reply in message["replies"] for way in paths(reply)] or [[]]
    return [[message["text"], *way] for way in below]


@pytest.mark.parametrize("write", [as_json, as_lines, as_folder])
def test_a_tree_of_replies_gives_each_way_down_as_a_text(
    tmp_path: Path, write: Callable[[Path, list[Row]], Path]
) -> None:
    made = trees(6)
    expected = ["\n\n".join(way) for tree in made for way in paths(tree["prompt"])]
    assert len(expected) == 18
    assert list(read_texts(write(tmp_path / "trees", made))) == expected
    assert list(read_texts(write(tmp_path / "roots", [tree["prompt"] for tree in made]))) == expected
    assert list(read_texts(write(tmp_path / "bare", [{"prompt": tree["prompt"]} for tree in made]))) == expected


def test_of_a_tree_the_texts_of_one_role_are_read_once(tmp_path: Path) -> None:
    made = trees(3)
    found = list(read_texts(as_lines(tmp_path / "trees", made), roles=["prompter"]))
    # The root and one later question: two different texts a tree, however many replies.
    assert len(found) == 6
    assert found[1] == made[0]["prompt"]["text"]


def test_single_messages_are_texts_of_their_own(tmp_path: Path) -> None:
    rows = [
        {"message_id": "a", "parent_id": None, "text": HI, "role": "prompter"},
        {"message_id": "b", "parent_id": "a", "text": HO, "role": "assistant"},
    ]
    source = as_parquet(tmp_path / "flat", rows)
    assert list(read_texts(source)) == [HI, HO]
    assert list(read_texts(source, roles=["assistant"])) == [HO]


def test_a_text_column_comes_before_turns_unless_roles_are_named(tmp_path: Path) -> None:
    source = as_lines(tmp_path / "both", [{"text": "One.", **FORMS["messages"]}])
    assert list(read_texts(source)) == ["One."]
    assert list(read_texts(source, column="messages")) == [WHOLE]
    assert list(read_texts(source, roles=["assistant"])) == [HO]


def test_turns_in_a_cell_of_a_table(tmp_path: Path) -> None:
    turns = json.dumps(FORMS["messages"]["messages"]).replace('"', '""')
    (tmp_path / "chat.csv").write_text(f'id,messages\n1,"{turns}"\n2,"{turns}"\n')
    assert list(read_texts(tmp_path / "chat.csv")) == [WHOLE, WHOLE]
    (tmp_path / "pairs.csv").write_text(f'question,answer\n{HI},"{HO}"\n')
    assert list(read_texts(tmp_path / "pairs.csv")) == [WHOLE]


SYSTEM = FORMS["system"]["messages"]


@pytest.mark.parametrize("write", [as_lines, as_parquet, as_saved])
@pytest.mark.parametrize(
    "row",
    [
        {"messages": json.dumps(SYSTEM)},
        {"messages": str(SYSTEM)},
        {"conversations": f" {json.dumps(SYSTEM, indent=1)}\n", "id": 1},
        {"dialog": str([HI, HO])},
        {"dialog": json.dumps([HI, HO])},
        {"prompt": str(SYSTEM[:2]), "completion": json.dumps(SYSTEM[2])},
        {"prompt": str(SYSTEM[:2]), "chosen": str(SYSTEM), "rejected": "No."},
        {"text": str(SYSTEM), "label": 1},
    ],
)
def test_turns_that_are_stored_as_a_string(tmp_path: Path, row: Row, write: Callable[[Path, list[Row]], Path]) -> None:
    assert list(read_texts(write(tmp_path / "chat", [row, row]))) == [WHOLE, WHOLE]


def test_text_that_begins_with_a_bracket_is_text(tmp_path: Path) -> None:
    rows = [{"question": "[1, 2] plus?", "answer": "{3}"}, {"question": "{", "answer": "[x]("}]
    assert list(read_texts(as_lines(tmp_path / "pairs", rows))) == ["[1, 2] plus?\n\n{3}", "{\n\n[x]("]
    answers = ['{"role": "admin"}', '{"value": 5}', '[{"from": "a", "to": "b"}]', "{'role': x}", '{"content": [']
    rows = [{"question": "Which?", "answer": answer} for answer in answers]
    assert list(read_texts(as_lines(tmp_path / "json", rows))) == [f"Which?\n\n{answer}" for answer in answers]
    rows = [{"dialogue": "[12:00] A: Hi."}, {"dialogue": "[]"}, {"dialogue": "{A} Hi."}]
    assert list(read_texts(as_lines(tmp_path / "talks", rows))) == ["[12:00] A: Hi.", "{A} Hi."]
    assert list(read_texts(as_lines(tmp_path / "plain", [{"text": "[1] A chair."}]))) == ["[1] A chair."]


OPTIONAL: list[tuple[list[Row], list[str]]] = [
    ([{"instruction": "i", "output": "o"}, {"instruction": "i", "input": "x", "output": "o"}],
     ["i\n\no", "i\n\nx\n\no"]),
    ([{"instruction": "i", "response": "o"}, {"instruction": "i", "context": "x", "response": "o"}],
     ["i\n\no", "i\n\nx\n\no"]),
    ([{"instruction": "c", "input": "", "output": "d", "history": [["a", "b"]], "system": "s"}], ["a\n\nb\n\nc\n\nd"]),
    ([{"query": "c", "response": "d"}, {"query": "c", "response": "d", "history": [["a", "b"]]}],
     ["c\n\nd", "a\n\nb\n\nc\n\nd"]),
    ([{"conversations": [{"from": "human", "value": HI}], "chosen": {"from": "gpt", "value": HO}, "rejected": {}}],
     [WHOLE]),
    ([{"instruction": "a", "input": "", "output": "b"}, {"instruction": "a", "output": "b", "history": [["x", "y"]]}],
     ["a\n\nb", "x\n\ny\n\na\n\nb"]),
    ([{"messages": SYSTEM, "chosen": True}], [WHOLE]),
    ([{"messages": SYSTEM, "chosen": SYSTEM[1:]}, {"messages": SYSTEM[:2], "chosen": SYSTEM}], [WHOLE, WHOLE]),
    ([{"prompt": SYSTEM, "chosen": [*SYSTEM, *SYSTEM[1:]], "rejected": []}], [f"{WHOLE}\n\n{WHOLE}"]),
    ([{"Prompt": HI, "Completion": HO}, {"Prompt": HI, "Completion": HO}], [WHOLE, WHOLE]),
    ([{"Messages": SYSTEM}], [WHOLE]),
    ([{"contents": [{"role": "user", "parts": [{"text": HI}]}, {"role": "model", "parts": [{"text": HO}]}]}], [WHOLE]),
    ([{"messages": [SYSTEM, SYSTEM[1:2]]}], [WHOLE, HI]),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "texts"), OPTIONAL)
def test_what_may_stand_in_a_row_is_looked_up_in_each(tmp_path: Path, rows: list[Row], texts: list[str]) -> None:
    assert list(read_texts(as_lines(tmp_path / "chat", rows))) == texts
    assert list(read_texts(as_json(tmp_path / "chat", rows))) == texts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"type": "text", "value": HI}, {"type": "image", "value": "x"}], HI),
        ({"content_type": "text", "parts": [HI, {"image_url": "x"}]}, HI),
        ([{"type": "text", "text": {"value": HI, "annotations": []}}, {"functionCall": {"name": "f"}}], HI),
        ([{"type": "input_text", "input_text": HI}, {"type": "thinking", "thinking": "x"}], HI),
        ([{"type": "text", "text": None}, {"text": HI}, "end"], f"{HI}\nend"),
    ],
)
def test_parts_of_a_content_are_read_by_any_name(tmp_path: Path, content: Any, expected: str) -> None:
    source = as_lines(tmp_path / "chat", [{"messages": [{"role": "user", "content": content}]}])
    assert list(read_texts(source)) == [expected]


@pytest.mark.parametrize(
    "role", ["function_call", "function_response", "tool_call", "tool_calls", "tool_response", "Tool"]
)
def test_what_tools_are_called_with_and_answer_is_left_out(tmp_path: Path, role: str) -> None:
    row = {"messages": [*SYSTEM, {"role": role, "content": "42"}]}
    assert list(read_texts(as_lines(tmp_path / "chat", [row]))) == [WHOLE]
    assert list(read_texts(tmp_path / "chat.jsonl", roles=["tool"])) == ["42"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [3]}, "line 1: messages, turn 1 is 3; expected an object with role and content"),
        ({"messages": 7}, "line 1: messages is 7; expected a list of turns"),
        ({"messages": [{"role": "user"}]}, "turn 1 has no content: its fields are role"),
        ({"messages": [{"role": "user", "content": 5.5}]}, "turn 1, content is 5.5; expected text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "said": "a"}]}]}, "has a part .* without text"),
        ({"messages": "[{'role': 'user', 'content': 'a'}\n {'role': 'x', 'content': 'b'}]"}, "neither JSON nor a list"),
        ({"dialog": "[\"it's\" 'b']"}, "dialog is a string that seems to hold turns"),
        ({"dialog": "['a'\n 'b']"}, "dialog is a string that seems to hold turns"),
        ({"query": "a", "response": "b", "history": [["a"]]}, r"history holds \['a'\]; expected pairs of texts"),
        ({"prompt": {"text": "a", "role": "prompter", "replies": 3}, "message_tree_id": "x"}, "replies is 3"),
    ],
)
def test_a_turn_that_is_none_names_its_place(tmp_path: Path, row: Row, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read_texts(as_lines(tmp_path / "chat", [row])))


def test_a_row_of_another_form_is_an_error(tmp_path: Path) -> None:
    source = as_lines(tmp_path / "chat", [FORMS["messages"], FORMS["alpaca"]])
    with pytest.raises(InputError, match=r"line 2 has no 'messages', .*; its fields are instruction, input, output"):
        list(read_texts(source))


@pytest.mark.parametrize("other", [{"prompt": "p"}, {"prompt": "p", "response": "chair"}, {"completion": "chair"}])
def test_a_row_without_a_field_of_a_pair_is_an_error(tmp_path: Path, other: Row) -> None:
    source = as_lines(tmp_path / "chat", [FORMS["completion"], other])
    with pytest.raises(InputError, match=r"line 2 has no '(prompt|completion)'"):
        list(read_texts(source))
