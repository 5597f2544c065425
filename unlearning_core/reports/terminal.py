"""How a run ended, as text for a terminal: the metrics of every model state, and what each of them writes."""

from typing import Any

from unlearning_core.evaluation.ratio import INTERVAL_NOTE
from unlearning_core.evaluation.registry import Values, formatted, shown
from unlearning_core.files import PROGRAM


def print_outcome(run: Any) -> None:
    """What there is to know of the model, what a search found, the metrics and one continuation of every prompt."""
    for note in (run.note("model") or {}).get("notes", ()):
        print(f"\n{note}")
    if run.config.search.forget is not None:
        print("\n" + run.search()["sentence"])
    if said := (run.status()["stages"].get("prune", {}).get("summary") or {}).get("tokens"):
        print("\n" + said)
    retrained = run.status()["stages"].get("retrain", {})
    if (trackers := run.config.retraining.report_to) and (maker := retrained.get("taken_from")):
        print(f"\nNothing was sent to {', '.join(trackers)}: the training is the one of the run {maker}.")
    print("\n" + table(run.metrics()))
    generations = run.generations()
    for index, first in enumerate(generations["base"]):
        if first["sample"] == 0:
            print(f"\n{first['prompt']}")
            for state, texts in generations.items():
                print(f"  {state:>9}: {' '.join(texts[index]['text'].split())}")
    from unlearning_core.runs.proof_standing import is_current

    verdict = run.verdict() if is_current(run) else None
    print("\n" + (verdict["sentence"] if verdict else f"{UNPROVEN} {PROGRAM} evaluate {run.folder}") + "\n")


UNPROVEN = "Is it gone, what did it cost, does it come back? That is not known yet. To find out:"


def table(metrics: Values) -> str:
    """A line a metric that any state has, by its name in `metrics.json`; a column a state; below, what ± means."""
    lines = [f"{'':24}" + "".join(f"{state:>20}" for state in metrics)]
    for metric in shown(metrics, "table"):
        cells = (f"{formatted(values, metric.name):>20}" for values in metrics.values())
        lines.append(f"{metric.name:24}" + "".join(cells))
    if any("±" in line for line in lines):
        lines.append(INTERVAL_NOTE)
    return "\n".join(lines)
