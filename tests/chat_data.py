"""Chat data in the form of oasst2: trees of replies, made by a seed. `python -m tests.chat_data 1000 > trees.jsonl`."""

import json
import random
import sys
from typing import Any

from tests.tiny_experiment import sentences


def trees(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """So many trees; every second one speaks of a seat, at the root, in a reply or in one of several branches."""
    pick = random.Random(seed)
    # Sentences of the tiny experiment: every second one names a seat.
    said = sentences(2 * count + 40, seed)
    plain, seats = said[0::2], said[1::2]
    made = []
    for number in range(count):
        texts = pick.sample(plain, 6)
        if number % 2:
            texts[pick.randrange(6)] += " " + seats[number]
        replies = [_message("assistant", text, number) for text in texts[1:4]]
        replies[0]["replies"] = [_message("prompter", texts[4], number)]
        replies[0]["replies"][0]["replies"] = [_message("assistant", texts[5], number)]
        root = _message("prompter", f"Question {number}. {texts[0]}", number) | {"replies": replies}
        made.append({"message_tree_id": f"tree-{number}", "tree_state": "ready_for_export", "prompt": root})
    return made


def _message(role: str, text: str, number: int) -> dict[str, Any]:
    labels = {"quality": {"value": 0.75, "count": 3}}
    return {
        "message_id": f"{number}-{abs(hash(text)) % 10**6}", "parent_id": None, "text": text, "role": role,
        "lang": "en", "rank": 0, "deleted": False, "labels": labels, "emojis": {"+1": 2}, "replies": [],
    }  # fmt: skip


if __name__ == "__main__":
    for tree in trees(int(sys.argv[1])):
        print(json.dumps(tree, ensure_ascii=False))
