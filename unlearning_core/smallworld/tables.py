"""The figures of SmallWorld as rows of text: printed in the terminal, and as Markdown in the model cards."""

from collections.abc import Sequence

from unlearning_core.smallworld.items import Question
from unlearning_core.smallworld.scores import FORGOTTEN, Figures, Score, chance

_TESTS = {
    "questions": "questions, exact",
    "cloze": "cloze with one right word, top-1",
    "cloze_several": "cloze with several right words, top-1",
    "facts": "world facts, top-1",
    "nonsense": 'nonsense answered "I do not know"',
}

Row = tuple[str, ...]


def overall(models: dict[str, Figures], questions: Sequence[Question]) -> list[Row]:
    """A header and a row a test: held-out phrasings, with all families, the forgotten one alone, and without it."""
    rows: list[Row] = [("held-out phrasings", *models)]
    for test, name in _TESTS.items():
        if not any(figures.of(test).count for figures in models.values()):
            continue
        rows.append((name, *(_cell(figures.of(test)) for figures in models.values())))
        if test in ("questions", "cloze", "cloze_several"):
            for label, choice in (
                (f"only {FORGOTTEN}", {"family": FORGOTTEN}),
                (f"all but {FORGOTTEN}", {"without": FORGOTTEN}),
            ):
                rows.append((f"- {label}", *(_cell(figures.of(test, **choice)) for figures in models.values())))
        if test == "questions":
            asked = [q for q in questions if q.family == FORGOTTEN and q.phrasing == "held_out"]
            rows.append((f"- chance on {FORGOTTEN}", *(_cell(chance(asked)) for _ in models)))
    stories = (f"{figures.repetitive} of {len(figures.stories)}" for figures in models.values())
    rows.append(("stories with a sentence three times or more", *stories))
    return rows


def by_family(models: dict[str, Figures]) -> list[Row]:
    """A header and a row a family: questions and clozes, phrasings held out and seen."""
    columns = [(test, phrasing) for test in ("questions", "cloze") for phrasing in ("held_out", "seen")]
    header = [f"{test} {phrasing.replace('_', ' ')}, {name}" for test, phrasing in columns for name in models]
    families = sorted({family for f in models.values() for column in columns for family in f.families(*column)})
    rows: list[Row] = [("family", *header)]
    for family in [*families, "all"]:
        cells = (
            _cell(figures.of(test, phrasing, family=None if family == "all" else family))
            for test, phrasing in columns
            for figures in models.values()
        )
        rows.append((family, *cells))
    return rows


def plain(rows: Sequence[Row]) -> str:
    """Columns lined up with spaces."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def markdown(rows: Sequence[Row]) -> str:
    """The same as a Markdown table."""
    head, *body = rows
    lines = [head, tuple("---" if not column else "---:" for column in range(len(head))), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(score: Score) -> str:
    if not score.count:
        return "-"
    return f"{100 * score.fraction:.1f} ± {100 * score.stderr:.1f} % of {score.count}"
