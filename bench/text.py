"""Filtering and labelling: characters a second, how that changes with the length of a text, against one plain search.

The peer is what a person would write in one line: a case-insensitive search for the words, in English between word
borders. It finds no inflected form, no joined or invisible spelling, and cuts no sentences. Each text is passed through
as one: the growth is the time a character takes in a text of a million over that in one of ten thousand, 1 where the
cost is linear.
"""

import argparse
import itertools
import json
import random
import time
from collections.abc import Callable
from typing import Any

import regex

from bench.sentences import DEFAULT_WORDS
from unlearning_core.files import ROOT

SHORT, LONG = 10_000, 1_000_000
"""Characters of a text."""

MOST_GROWTH = 2.0
"""The figures are flat up to here: a cost that is not linear grows a hundredfold."""

_CHINESE_WORDS = ("椅子", "凳子", "沙发", "长椅", "摇椅", "座位", "板凳", "王座")
_CHINESE = (
    "他坐在窗边的椅子上看书。",
    "厨房里有三张凳子，都是新的。",
    "孩子们在院子里跑来跑去。",
    "昨天我们去了市场，买了很多水果。",
    "天气很好，她决定走路回家！",
    "你见过那只黑色的猫吗？",
    "桌子上放着一盏灯。",
    "老师说：“明天考试。”",
    "这条河很长，一直流到海里。",
    "火车晚了二十分钟才到。",
)


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench text`."""
    add("--repeats", type=int, default=3, help="each figure is the best of so many")


def main(given: argparse.Namespace) -> dict[str, Any]:
    """Measure both languages; prints a line a pass."""
    from unlearning_core.concepts.words import Concept, read_words

    cases = {
        "English": (Concept(read_words(DEFAULT_WORDS)), _english(), r"\b(?:{})\b"),
        "Chinese": (Concept(_CHINESE_WORDS, language="zh"), _chinese(), "{}"),
    }
    figures: dict[str, Any] = {}
    for language, (concept, text, pattern) in cases.items():
        peer = regex.compile(pattern.format("|".join(map(regex.escape, concept.words))), regex.IGNORECASE)
        figures[language] = {name: _figures(work, text, given.repeats) for name, work in _passes(concept).items()} | {
            "plain search": _figures(peer.findall, text, given.repeats)
        }
        for name, row in figures[language].items():
            print(f"{language:<8} {name:<13} {row['characters_per_second'] / 1e6:6.2f} M characters/s, "
                  f"growth {row['growth']:.2f}")  # fmt: skip
    rows = [row for language in cases for row in figures[language].values()]
    return figures | {"flat": all(row["growth"] < MOST_GROWTH for row in rows)}


def _passes(concept: Any) -> dict[str, Callable[[str], object]]:
    from unlearning_core.concepts.labelling import label_text, same_text_key
    from unlearning_core.concepts.matcher import Matcher
    from unlearning_core.concepts.sentences import split_sentences
    from unlearning_core.concepts.tokens_labels import word_labels

    matcher = Matcher(concept)

    def filter_text(text: str) -> None:
        matcher.spans(text)
        same_text_key(text)

    def label(text: str) -> None:
        for sentence in split_sentences(text):
            same_text_key(sentence)
            word_labels(label_text(sentence, matcher))

    return {"filter": filter_text, "label": label}


def _figures(work: Callable[[str], object], text: str, repeats: int) -> dict[str, float]:
    """Characters a second of one long text, and its time over that of the same characters in short ones."""
    short = [text[start : start + SHORT] for start in range(0, LONG, SHORT)]
    work(text)
    whole = min(_seconds(work, [text]) for _ in range(repeats))
    parts = min(_seconds(work, short) for _ in range(repeats))
    return {"characters_per_second": LONG / whole, "growth": whole / parts}


def _seconds(work: Callable[[str], object], texts: list[str]) -> float:
    start = time.process_time()
    for text in texts:
        work(text)
    return time.process_time() - start


def _english() -> str:
    lines = (ROOT / "data" / "smallworld" / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    texts = itertools.cycle([json.loads(line)["text"] for line in lines])
    return _joined(texts, " ")


def _chinese() -> str:
    drawn = random.Random(0)
    return _joined((drawn.choice(_CHINESE) for _ in itertools.count()), "")


def _joined(texts: Any, between: str) -> str:
    parts: list[str] = []
    length = 0
    while length < LONG:
        parts.append(next(texts))
        length += len(parts[-1]) + len(between)
    return between.join(parts)[:LONG]
