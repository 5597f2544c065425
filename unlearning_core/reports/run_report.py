"""The report of one run, for a person who reads no JSON: what `report RUN_FOLDER` and the Compare page hand out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unlearning_core.config import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.reports.html import Facts, html_report
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run


def run_report(
    run: Run,
    metrics: Mapping[str, Mapping[str, float | None]] | None = None,
    texts: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> str:
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
            f"to its end first: python -m unlearning_core resume {run.folder}"
        )
    model = short(config.base_model.base_model_path)
    name = config.neural_probing.activations_label or context.concept.words[0]
    return html_report(
        Facts(
            title=f"Forgetting “{name}” in {model}",
            concept=context.concept.words,
            about=_about(run, model),
            metrics=metrics,
            texts=texts,
            settings=settings(config),
            spans=lambda text: [(span.start, span.end) for span in context.matcher.spans(text)],
        )
    )


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


def _about(run: Run, model: str) -> dict[str, str]:
    status = run.status()
    about = {"Model": model, "Run": run.id}
    # As they were when the sentences were labelled: a file of them may be gone since.
    words = ((run.concept_facts() or {}).get("neighbours") or {}).get("words")
    if words:
        about["Neighbours that must stay"] = ", ".join(words)
    cut = status["stages"].get("prune", {}).get("summary") or {}
    if "cut" in cut:
        about["Neurons cut"] = f"{cut['cut']:,} of {cut['of']:,}"
    if status.get("updated"):
        about["Finished"] = str(status["updated"])[:10]
    return about
