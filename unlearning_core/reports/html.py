"""One HTML file that a manager can read: what was forgotten, the verdict, the numbers, the texts, the settings.

It needs nothing beside itself: no script, no picture, no font, no address. The template escapes all text. Every number
is printed from the metrics as they are, with half its 95 % interval where its error is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from unlearning_core.evaluation.ratio import INTERVAL_NOTE
from unlearning_core.evaluation.registry import Values, formatted, shown
from unlearning_core.methods.registry import state_title
from unlearning_core.reports.differences import changed_words
from unlearning_core.reports.verdict import findings, verdict

Spans = Callable[[str], list[tuple[int, int]]]


@dataclass(frozen=True)
class Facts:
    """What the report is written from.

    Attributes:
        title: of the page and the document.
        concept: the concept's words.
        about: name and value of what a reader needs to know first (model, neurons cut, date, run).
        metrics: what `metrics.json` holds.
        texts: what `generations.json` holds: by model state prompt, sample and text.
        settings: name and value of every setting that has one.
        spans: finds the concept in a text, as (start, end) characters.
    """

    title: str
    concept: Sequence[str]
    about: Mapping[str, str]
    metrics: Values
    texts: Mapping[str, Sequence[Mapping[str, Any]]]
    settings: Mapping[str, str]
    spans: Spans


@dataclass(frozen=True)
class _Part:
    """A piece of a text that a model wrote: whether it belongs to the concept, whether base did not write it."""

    text: str
    concept: bool
    changed: bool


def html_report(facts: Facts) -> str:
    """The report as one HTML document."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(
        facts=facts,
        verdict=verdict(facts.metrics),
        findings=findings(facts.metrics),
        rows=shown(facts.metrics, "table"),
        prompts=_prompts(facts.texts, facts.spans),
        interval_note=INTERVAL_NOTE,
        formatted=formatted,
        state_title=state_title,
    )


def _prompts(texts: Mapping[str, Sequence[Mapping[str, Any]]], spans: Spans) -> dict[str, list[list[list[_Part]]]]:
    """By prompt, by sample, by state the text in parts."""
    written: dict[str, dict[int, dict[str, str]]] = {}
    for state, some in texts.items():
        for text in some:
            written.setdefault(text["prompt"], {}).setdefault(text["sample"], {})[state] = text["text"]
    return {
        prompt: [
            [_parts(sample.get(state, ""), sample.get("base") if state != "base" else None, spans) for state in texts]
            for sample in samples.values()
        ]
        for prompt, samples in written.items()
    }


def _parts(text: str, base: str | None, spans: Spans) -> list[_Part]:
    """The text, cut where the concept's words and those that `base` has not begin and end."""
    concept, changed = spans(text), changed_words(base, text) if base is not None else []
    edges = sorted({0, len(text), *(edge for span in (*concept, *changed) for edge in span)})
    return [_Part(text[start:end], _within(concept, start), _within(changed, start)) for start, end in pairwise(edges)]


def _within(spans: Sequence[tuple[int, int]], place: int) -> bool:
    return any(start <= place < end for start, end in spans)
