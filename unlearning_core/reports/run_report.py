"""One HTML file that a manager can read: what was forgotten, the verdict, the numbers, the texts, the settings.

It needs nothing beside itself: no script, no picture, no font, no address. The template escapes all text. Every number
is printed from the metrics as they are, with half its 95 % interval where its error is known.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import INTERVAL_NOTE
from unlearning_core.evaluation.registry import Values, formatted, shown
from unlearning_core.evaluation.verdict import Subject
from unlearning_core.files import PROGRAM, ROOT
from unlearning_core.methods.registry import state_title
from unlearning_core.reports.benchmarks import NOTE, benchmark_rows
from unlearning_core.reports.differences import changed_words
from unlearning_core.reports.findings import asked_subjects, findings, losses_sentence
from unlearning_core.runs.benchmarks import table
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.naming import given_name
from unlearning_core.runs.proof_standing import is_current
from unlearning_core.runs.run import Run

Spans = Callable[[str], list[tuple[int, int]]]
Texts = Mapping[str, Sequence[Mapping[str, Any]]]
"""What `generations.json` holds: by model state prompt, sample and text."""

_Part = tuple[str, bool, bool]
"""A piece of a text that a model wrote; whether it belongs to the concept; whether base did not write it."""


def run_report(run: Run, metrics: Values | None = None, texts: Texts | None = None) -> str:
    """The run as one HTML document.

    Args:
        metrics: as in `metrics.json`, which is read when they are not given.
        texts: as in `generations.json`, likewise.

    Raises:
        InputError: the run has not come to its report yet.
    """
    context, config = RunContext(run), run.config
    metrics = metrics if metrics is not None else run.metrics()
    texts = texts if texts is not None else run.generations()
    if metrics is None or texts is None:
        raise InputError(
            f"{run.folder} has no metrics.json and generations.json yet, so there is nothing to report. Bring the run "
            f"to its end first: {PROGRAM} resume {run.folder}"
        )
    model = short(config.base_model.base_model_path)
    name = config.neural_probing.activations_label or context.concept.words[0]
    return html_report(
        f"Forgetting “{name}” in {model}",
        context.concept.words,
        metrics,
        texts,
        lambda text: [(span.start, span.end) for span in context.matcher.spans(text)],
        about=_about(run, model),
        settings=settings(config),
        judged=run.verdict() if is_current(run) else None,
        benchmarks=benchmark_rows(table(run)),
    )


def html_report(
    title: str,
    concept: Sequence[str],
    metrics: Values,
    texts: Texts,
    spans: Spans,
    *,
    about: Mapping[str, str],
    settings: Mapping[str, str],
    judged: Mapping[str, Any] | None = None,
    benchmarks: Sequence[Mapping[str, str]] = (),
) -> str:
    """The report as one HTML document.

    Args:
        concept: its words.
        spans: finds the concept in a text, as (start, end) characters.
        about: name and value of what a reader needs to know first (model, neurons cut, date, run).
        settings: name and value of every setting that has one.
        judged: `verdict.json`, where the run was evaluated.
        benchmarks: rows of the same columns, where some were measured (reports/benchmarks.py).
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    answers = _answers(metrics, judged)
    return environment.get_template("report.html.j2").render(
        title=title, concept=concept, about=about, metrics=metrics, settings=settings, states=list(texts),
        verdict=judged["sentence"] if judged else losses_sentence(metrics), judged=judged,
        subjects=asked_subjects(answers, judged=judged is not None), answers=answers, rows=shown(metrics, "table"),
        benchmarks=benchmarks, benchmarks_note=NOTE, prompts=texts_in_parts(texts, spans), interval_note=INTERVAL_NOTE,
        formatted=formatted, state_title=state_title,
    )  # fmt: skip


def _answers(metrics: Values, judged: Mapping[str, Any] | None) -> dict[str, dict[Subject, str]]:
    """The findings by state, with those states that only an evaluation measures (the model that never knew)."""
    found = findings(metrics)
    return found | {state: {} for state in (judged or {}).get("states", ()) if state not in found}


def texts_in_parts(texts: Texts, spans: Spans) -> dict[str, list[list[list[_Part]]]]:
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
    marks = (spans(text), changed_words(base, text) if base is not None else [])
    edges = sorted({0, len(text), *(edge for found in marks for span in found for edge in span)})
    concept, changed = ([any(a <= edge < b for a, b in found) for edge in edges[:-1]] for found in marks)
    pieces = [text[start:end] for start, end in pairwise(edges)]
    return list(zip(pieces, concept, changed, strict=True))


def settings(config: ExperimentConfig) -> dict[str, str]:
    """Every setting that has a value, as section.key; a list with commas, a path inside the checkout from there."""
    found: dict[str, str] = {}
    for name, value in config.model_dump().items():
        for key, inner in value.items() if isinstance(value, dict) else [("", value)]:
            if inner is not None and inner != {}:
                found[f"{name}.{key}" if key else name] = short(inner)
    return found


def short(value: Any) -> str:
    """A setting's value in words; of a path outside the checkout only the last part, for a report goes to others."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    path = Path(value) if isinstance(value, str) else None
    if path is None or not path.is_absolute():
        return f"{value:g}" if isinstance(value, float) else str(value)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def by_hand(summary: Mapping[str, Any]) -> str:
    """What of a cut a person chose, from its summary: "3 of them picked by hand"; empty where nothing was."""
    said = []
    if picked := summary.get("by_hand"):
        said.append(f"{picked:,} of them picked by hand")
    if own := summary.get("own_layers"):
        said.append("1 layer has a share of its own" if own == 1 else f"{own} layers have shares of their own")
    return ", ".join(said)


def _about(run: Run, model: str) -> dict[str, str]:
    status = run.status()
    name = given_name(run)
    about = {"Model": model, **({"Name": name} if name else {}), "Run": run.id}
    # As they were when the sentences were labelled: a file of them may be gone since.
    words = ((run.concept_facts() or {}).get("neighbours") or {}).get("words")
    if words:
        about["Neighbours that must stay"] = ", ".join(words)
    cut = status["stages"].get("prune", {}).get("summary") or {}
    if "cut" in cut:
        about["Neurons cut"] = ", ".join(filter(None, (f"{cut['cut']:,} of {cut['of']:,}", by_hand(cut))))
    if "tokens" in cut:
        about["Token rows reset"] = f"{cut['token_rows']:,}: {100 * cut['covered']:.3g} % of the concept's tokens"
    if status.get("updated"):
        about["Finished"] = str(status["updated"])[:10]
    return about
