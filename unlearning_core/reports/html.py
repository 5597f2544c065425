"""One HTML file that a manager can read: what was forgotten, the verdict, the numbers, the texts, the settings.

It needs nothing beside itself: no script, no picture, no font, no address. All text is escaped. Every number is printed
from the metrics as they are, with a 95 % interval where its error is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from unlearning_core.evaluation.differences import changed_words
from unlearning_core.reports.verdict import findings, verdict

Spans = Callable[[str], list[tuple[int, int]]]

ROWS = {
    "concept_nll": ("Loss on the concept's words, nats a token", "higher: the concept is predicted worse"),
    "forget_delta": ("… change against the base model", "how much is gone"),
    "retain_nll": ("Loss on all other words, nats a token", "lower is better"),
    "retain_delta": ("… change against the base model", "what it cost"),
    "neighbour_nll": ("Loss on words of neighbours, which must stay", "a part of all other words"),
    "neighbour_delta": ("… change against the base model", "near 0: they stayed"),
    "rest_nll": ("Loss on everything else", "neither the concept nor a neighbour"),
    "rest_delta": ("… change against the base model", ""),
    "concept_accuracy": ("Share of the concept's words guessed right", ""),
    "retain_accuracy": ("Share of the other words guessed right", ""),
    "neighbour_accuracy": ("… of the neighbours' words", ""),
    "rest_accuracy": ("… of everything else", ""),
    "concept_words_per_100": ("Concept words in 100 words written", "after the test prompts"),
    "forget_quality": ("Forget quality, p-value", "above 0.05: as if it had never known"),
    "never_knew_kl_forget": ("Distance from a model that never knew: concept", "0 is the same, nats a token"),
    "never_knew_kl_neighbour": ("… things like the concept", ""),
    "never_knew_kl_retain": ("… everything else", ""),
}
"""Title and meaning of each row; a row that no stage has is left out."""

_TITLES = {"base": "Base", "pruned": "Pruned", "retrained": "Retrained", "never_knew": "Never knew"}

_STYLE = """
:root { color-scheme: light dark; --line: #c9d0da; --soft: #f3f5f8; --text: #1b2330; --ground: #ffffff;
  --mark: #ffdca8; --new: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --line: #3a4352; --soft: #1f2530; --text: #e8ecf2; --ground: #14181f;
  --mark: #7a4a00; --new: #56b4e9; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--text); background: var(--ground); }
.verdict { font-size: 1.25rem; padding: 1rem 1.25rem; border-left: 6px solid var(--new); background: var(--soft); }
table { border-collapse: collapse; width: 100%; margin: 0.75rem 0 1.5rem; }
th, td { border-bottom: 1px solid var(--line); padding: 0.4rem 0.6rem; text-align: left; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.text { white-space: pre-wrap; overflow-wrap: anywhere; }
table.texts { table-layout: fixed; }
small { opacity: 0.75; display: block; }
mark { background: var(--mark); color: inherit; font-weight: 600; }
ins { color: var(--new); text-decoration: underline; text-underline-offset: 0.2em; }
"""


@dataclass(frozen=True)
class Facts:
    """What the report is written from.

    Attributes:
        title: of the page and the document.
        concept: the concept's words.
        about: name and value of what a reader needs to know first (model, neurons cut, date, run).
        metrics: what `metrics.json` holds.
        texts: what `generations.json` holds: by stage prompt, sample and text.
        settings: name and value of every setting that has one.
        spans: finds the concept in a text, as (start, end) characters.
    """

    title: str
    concept: Sequence[str]
    about: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, float | None]]
    texts: Mapping[str, Sequence[Mapping[str, Any]]]
    settings: Mapping[str, str]
    spans: Spans


def html_report(facts: Facts) -> str:
    """The report as one HTML document."""
    title = escape(facts.title)
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(facts.metrics))
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="verdict">{escape(verdict(facts.metrics))}</p>',
        f"<ul>{listed}</ul>" if listed else "",
        "<h2>What was to be forgotten</h2>",
        f"<p>{len(facts.concept)} words and their forms: {escape(', '.join(facts.concept))}.</p>",
        _pairs(facts.about),
        "<h2>What was measured</h2>",
        _metrics(facts.metrics),
        "<p>± half a 95 % interval (1.96 standard errors). All losses are measured on sentences that were not used "
        "to choose the neurons.</p>",
        "<h2>What the models write</h2>",
        "<p>Every model went on from the same prompts with the same random numbers. <mark>Marked</mark>: a word of the "
        "concept. <ins>Underlined</ins>: not what the base model wrote.</p>",
        _texts(facts.texts, facts.spans),
        "<h2>Settings</h2>",
        _pairs(facts.settings),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _pairs(pairs: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="text">{escape(value)}</td></tr>'
        for name, value in pairs.items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _head(first: str, stages: Sequence[str]) -> str:
    cells = "".join(f'<th scope="col">{escape(_TITLES.get(stage, stage))}</th>' for stage in stages)
    return f"<tr>{first}{cells}</tr>"


def _metrics(metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    rows = [_head('<th scope="col"></th>', list(metrics))]
    for name, (title, meaning) in ROWS.items():
        if any(values.get(name) is not None for values in metrics.values()):
            cells = "".join(f'<td class="number">{_number(values, name)}</td>' for values in metrics.values())
            hint = f"<small>{escape(meaning)}</small>" if meaning else ""
            rows.append(f'<tr><th scope="row">{escape(title)}{hint}</th>{cells}</tr>')
    return f"<table>{''.join(rows)}</table>"


def _number(values: Mapping[str, float | None], name: str) -> str:
    value, error = values.get(name), values.get(f"{name}_stderr")
    if value is None:
        return "–"
    shown = f"{value:.0e}" if 0 < abs(value) < 0.0005 and error is None else f"{value:.3f}"
    return shown if error is None else f"{shown} ± {1.96 * error:.3f}"


def _texts(texts: Mapping[str, Sequence[Mapping[str, Any]]], spans: Spans) -> str:
    stages = list(texts)
    rows: dict[str, dict[int, dict[str, str]]] = {}
    for stage in stages:
        for text in texts[stage]:
            rows.setdefault(text["prompt"], {}).setdefault(text["sample"], {})[stage] = text["text"]
    tables = []
    for prompt, samples in rows.items():
        lines = [_head("", stages)]
        for written in samples.values():
            base = written.get("base")
            cells = (_marked(written.get(stage, ""), base if stage != "base" else None, spans) for stage in stages)
            lines.append("<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in cells) + "</tr>")
        tables.append(f'<h3>{escape(prompt)}</h3><table class="texts">{"".join(lines)}</table>')
    return "\n".join(tables)


def _marked(text: str, base: str | None, spans: Spans) -> str:
    """The text, escaped, with the concept's words and those that `base` has not marked."""
    concept, changed = spans(text), changed_words(base, text) if base is not None else []
    edges = sorted({0, len(text), *(edge for span in (*concept, *changed) for edge in span)})
    parts = []
    for start, end in pairwise(edges):
        part = escape(text[start:end])
        if any(first <= start and end <= last for first, last in concept):
            part = f"<mark>{part}</mark>"
        if any(first <= start and end <= last for first, last in changed):
            part = f"<ins>{part}</ins>"
        parts.append(part)
    return "".join(parts).strip()
