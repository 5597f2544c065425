"""One split of a dataset, poured through the matcher: what stays goes to disk, what goes is counted and shown."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import draw_share, same_text_key
from unlearning_core.concepts.matcher import Matcher, Span
from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback

BATCH = 1000
"""Rows in memory at a time."""

_EXAMPLES_A_WORD = 3
_CONTEXT = 80


@dataclass
class Source:
    """One split: arrow tables of at most `BATCH` rows, and which of their columns is the text."""

    tables: Iterator[Any]
    column: str
    total: int | None


@dataclass
class FilteredSplit:
    """Filters one split into a temporary file, and tells what it dropped.

    Attributes:
        blank: texts without anything but white space, neither kept nor dropped.
        words: texts dropped by concept word; a text counts once for each word in it.
        examples: (key of the text, what was dropped with the match marked), at most three a word.
        kept_keys, dropped_keys: `same_text_key` of every text that stayed or went, in order.
        dataset: what stayed, read from the temporary file.
    """

    split: str
    matcher: Matcher
    progress: ProgressCallback
    blank: int = 0
    words: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    kept_keys: list[int] = field(default_factory=list)
    dropped_keys: list[int] = field(default_factory=list)
    dataset: Any = None

    def run(self, source: Source, folder: Path) -> None:
        """Read the whole split; the rows that stay are then in `dataset`, which lives in a file under `folder`."""
        import pyarrow
        from datasets import Dataset

        path, writer = folder / f"{self.split}.arrow", None
        for table in source.tables:
            kept = table.filter(pyarrow.array([self._keeps(text) for text in table[source.column].to_pylist()]))
            if writer is None:
                writer = pyarrow.ipc.new_stream(str(path), kept.schema)
            writer.write_table(kept)
            done = len(self.kept_keys) + len(self.dropped_keys) + self.blank
            self.progress(Progress(f"filtering the {self.split} texts", done, source.total, "texts"))
        if writer is not None:
            writer.close()
        self._check_left()
        self.dataset = Dataset.from_file(str(path))
        if source.column != "text":
            self.dataset = self.dataset.rename_column(source.column, "text")

    def _keeps(self, text: str | None) -> bool:
        if text is None or not text.strip():
            self.blank += 1
            return False
        spans = self.matcher.spans(text)
        key = same_text_key(text)
        (self.dropped_keys if spans else self.kept_keys).append(key)
        for span in {span.word: span for span in reversed(spans)}.values():
            self.words[span.word] += 1
            if self.words[span.word] <= _EXAMPLES_A_WORD:
                self.examples.append((key, _example(self.split, text, span)))
        return not spans

    def _check_left(self) -> None:
        if self.kept_keys:
            return
        if not self.dropped_keys:
            raise InputError(f"The {self.split} split holds no text. Give a dataset with text in it.")
        raise InputError(
            f"All {len(self.dropped_keys)} {self.split} texts hold a concept word, so that nothing is left to train "
            "on. Give another dataset, or cut its texts into sentences first."
        )

    def split_off(self, share: float, seed: int) -> "FilteredSplit":
        """Move a share of the different texts, kept and dropped ones alike, into a validation split.

        Raises:
            InputError: fewer than two different texts were kept.
        """
        different = len(set(self.kept_keys))
        if different < 2:
            raise InputError(
                f"The dataset is too small to split off a validation set: {different} different text is left of "
                f"{len(self.kept_keys + self.dropped_keys)}. Give at least two texts without the concept."
            )
        drawn = random.Random(seed)
        chosen = draw_share(self.kept_keys, share, drawn) | draw_share(self.dropped_keys, share, drawn, least=0)
        other = FilteredSplit("validation", self.matcher, self.progress)
        rows = self.dataset
        for part, moved in ((other, True), (self, False)):
            part.dataset = rows.select([row for row, key in enumerate(self.kept_keys) if (key in chosen) == moved])
            part.kept_keys, part.dropped_keys = (
                [key for key in keys if (key in chosen) == moved] for keys in (self.kept_keys, self.dropped_keys)
            )
        for key, example in self.examples:
            example["split"] = other.split if key in chosen else self.split
        return other

    def save(self, folder: Path) -> None:
        """Write DIR/<split> for `datasets.load_from_disk`."""
        with _no_bars():
            self.dataset.save_to_disk(str(folder / self.split))
        self.dataset = None

    def counts(self) -> dict[str, int]:
        """The numbers of the report."""
        kept, dropped = len(self.kept_keys), len(self.dropped_keys)
        return {"kept": kept, "dropped": dropped, "total": kept + dropped, "blank": self.blank}


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep the library's own progress bars off the terminal: ours says how far the work is."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


def _example(split: str, text: str, span: Span) -> dict[str, str]:
    before, found, after = text[: span.start], text[span.start : span.end], text[span.end :]
    left = ("…" if len(before) > _CONTEXT else "") + before[-_CONTEXT:]
    right = after[:_CONTEXT] + ("…" if len(after) > _CONTEXT else "")
    return {"split": split, "word": span.word, "found": found, "text": f"{left}**{found}**{right}"}
