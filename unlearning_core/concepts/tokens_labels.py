"""Aligned tokens and labels files, the format of the seed system and of NeuroX.

A line is a sentence and a word is what stands between spaces; the labels file holds one label a word, "target" for a
word of the concept and "N/A" for any other:

    He sat on the chair.
    N/A target N/A N/A target

In a script without spaces what stands between two spaces may be a clause, which is then a target as a whole: such
sentences are better given as they are than in these files.
"""

import difflib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.concepts.file_content import read_text
from unlearning_core.concepts.labelling import LabelledSet, LabelledText, same_text_key
from unlearning_core.errors import InputError
from unlearning_core.files import write_file

log = logging.getLogger(__name__)

TARGET = "target"
OTHER = "N/A"


@dataclass(frozen=True)
class WrittenFiles:
    """Where `write` put the sentences, and how many."""

    tokens: Path
    labels: Path
    inverse: Path
    with_concept: int
    without: int


def write(
    prefix: str | Path, labelled: LabelledSet | Iterable[LabelledText], target_label: str = TARGET
) -> WrittenFiles:
    """Write PREFIX-tokens.txt and PREFIX-labels.txt (sentences with the concept) and PREFIX-inverse.txt (the others).

    White space inside a sentence becomes one space. All three files are written before any takes its place.
    """
    items = labelled.items if isinstance(labelled, LabelledSet) else list(labelled)
    tokens, labels, inverse = (Path(f"{prefix}-{name}.txt") for name in ("tokens", "labels", "inverse"))
    with_concept = [item for item in items if item.spans]
    without = [item for item in items if not item.spans]

    def write_tokens(path: Path) -> None:
        _write_lines(path, (" ".join(item.text.split()) for item in with_concept))
        write_file(labels, write_labels)

    def write_labels(path: Path) -> None:
        _write_lines(path, (" ".join(word_labels(item, target_label)) for item in with_concept))
        write_file(inverse, lambda last: _write_lines(last, (" ".join(item.text.split()) for item in without)))

    write_file(tokens, write_tokens)
    log.info("wrote %s, %s (%d sentences) and %s (%d)", tokens, labels, len(with_concept), inverse, len(without))
    return WrittenFiles(tokens, labels, inverse, len(with_concept), len(without))


def word_labels(item: LabelledText, target_label: str = TARGET) -> list[str]:
    """One label a word of the sentence: a word that a span touches is a target, punctuation and all."""
    labels: list[str] = []
    spans = iter(item.spans)
    span = next(spans, None)
    for start, end in _words(item.text):
        while span is not None and span[1] <= start:
            span = next(spans, None)
        labels.append(target_label if span is not None and span[0] < end else OTHER)
    return labels


def read(
    tokens_path: str | Path, labels_path: str | Path, target_label: str = TARGET, *, keep_duplicates: bool = False
) -> LabelledSet:
    """Sentences with the words that carry `target_label` marked; each text is the words joined by one space.

    Equal sentences are kept once with the union of their labels (the seed system repeats a sentence for every word
    that it looks for); `keep_duplicates` keeps the lines as they are.

    Raises:
        InputError: a file is missing, empty or not UTF-8; the two have different lines or words (names line and
            column, both from 1, a column being a word); `target_label` labels no word (lists the labels there are).
    """
    tokens, labels = Path(tokens_path), Path(labels_path)
    found: Counter[str] = Counter()
    merged: dict[int, tuple[list[str], set[int]]] = {}
    lines = 0
    for number, words, word_marks in _aligned_lines(tokens, labels):
        found.update(word_marks)
        targets = {index for index, mark in enumerate(word_marks) if mark == target_label}
        key = number if keep_duplicates else same_text_key(" ".join(words))
        merged.setdefault(key, (words, set()))[1].update(targets)
        lines += 1
    if lines == 0:
        raise InputError(f"{tokens} holds no sentences. Give a file with one sentence a line.")
    if not found[target_label]:
        raise _unknown_label(labels, target_label, found)
    items = [_marked(words, targets) for words, targets in merged.values()]
    log.info("read %d sentences from %s, %d duplicates dropped", len(items), tokens, lines - len(items))
    return LabelledSet(items, lines - len(items))


def _aligned_lines(tokens: Path, labels: Path) -> Iterator[tuple[int, list[str], list[str]]]:
    token_lines = _split_lines(read_text(tokens, "the tokens file"))
    label_lines = _split_lines(read_text(labels, "the labels file"))
    for number, (token_line, label_line) in enumerate(zip(token_lines, label_lines, strict=False), start=1):
        words, marks = token_line.split(), label_line.split()
        if len(words) != len(marks):
            raise _different_words(tokens, labels, number, words, marks)
        if words:
            yield number, words, marks
    if len(token_lines) != len(label_lines):
        first = min(len(token_lines), len(label_lines)) + 1
        longer, shorter = (tokens, labels) if len(token_lines) > len(label_lines) else (labels, tokens)
        raise InputError(
            f"{tokens} has {len(token_lines)} lines but {labels} has {len(label_lines)}: line {first}, column 1 of "
            f"{longer} has no partner in {shorter}. Give two files with one line a sentence each."
        )


def _split_lines(text: str) -> list[str]:
    stripped = text.rstrip()
    return stripped.split("\n") if stripped else []


def _different_words(tokens: Path, labels: Path, line: int, words: list[str], marks: list[str]) -> InputError:
    column = min(len(words), len(marks)) + 1
    if len(words) > len(marks):
        extra = f"the word {words[column - 1]!r} at column {column} of {tokens} has no label"
    else:
        extra = f"the label {marks[column - 1]!r} at column {column} of {labels} has no word"
    return InputError(
        f"{tokens} and {labels} disagree in line {line}: {len(words)} words but {len(marks)} labels; {extra}. "
        "Each word needs one label."
    )


def _unknown_label(labels: Path, target_label: str, found: Counter[str]) -> InputError:
    present = ", ".join(f"{label} ({count})" for label, count in found.most_common(20))
    near = difflib.get_close_matches(target_label, [label for label in found if label != OTHER], n=1, cutoff=0.5)
    advice = f"Did you mean {near[0]!r}?" if near else "Name one of these as the target label."
    return InputError(f"{labels} labels no word {target_label!r}; its labels are {present}. {advice}")


def _marked(words: list[str], targets: set[int]) -> LabelledText:
    text = " ".join(words)
    spans = [span for index, span in enumerate(_words(text)) if index in targets]
    return LabelledText(text, tuple(spans), tuple(words[index].casefold() for index in sorted(targets)))


def _words(text: str) -> list[tuple[int, int]]:
    """(start, end) characters of each piece that `str.split()` gives."""
    spans = [(0, 0)]
    for word in text.split():
        start = text.index(word, spans[-1][1])
        spans.append((start, start + len(word)))
    return spans[1:]


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
