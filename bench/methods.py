"""The methods against one another: what each forgets, what that costs, whether it comes back, and how long it takes.

One run a model, concept and method, all in one store: what they share, labelled sentences, filtered text, what the base
says, is made once, and the same command goes on after a stop. Each row holds the run's metrics with their standard
errors, the seconds of the method and the verdict. A method is a name of `unlearn methods`, or several joined by a plus.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.methods_figure import figure
from bench.methods_table import in_markdown
from bench.rankers import read_concepts
from unlearning_core.config.reading import build_config, read_config_values, starter_file, starter_names
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError, Stopped, WorkbenchError
from unlearning_core.files import ROOT, write_json, write_text
from unlearning_core.methods.registry import METHODS, get_method
from unlearning_core.progress import Progress
from unlearning_core.runs.pipeline import find_or_create_run
from unlearning_core.runs.proof import prove
from unlearning_core.runs.run import Run

COMPARED = (
    "nothing", "random_cut", "retrain", "prune", "prune+retrain", "gradient_ascent", "gradient_difference", "npo",
    "simnpo", "rmu", "leace", "steering",
)  # fmt: skip
"""What is compared unless it is said: controls first."""

OWN_CONCEPT = "its own"
"""What the concept of a starter's settings is called where they do not name it."""

OF_THE_CONCEPT = ("never_knew", "proof")
"""Sections that belong to a starter's own concept, and go when another concept is named."""


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench methods`."""
    add("--models", required=True, nargs="+", help="starters, folders, .gguf files or Hub ids")
    add("--concepts", type=Path, help='JSON: {"name": ["word", ...]} (default: the concept of the starters)')
    add("--corpus", type=Path, help="text about them; needed with --concepts, but for starters, which have theirs")
    add("--methods", default=",".join(COMPARED), help="some of them, with commas; a+b: one after the other")
    add("--parts", help="parts of the evaluation, with commas (default: all)")
    add("--quick", action="store_true", help="evaluate with about a quarter of the work")
    add("--json", required=True, type=Path, help="file of the rows, kept as they are measured")
    add("--figure", type=Path, help="SVG to write (default: beside the rows)")
    add("--runs", type=Path, default=Path("runs/bench-methods"), help="folder of the runs (default: %(default)s)")
    add("--seed", type=int, default=0, help="of everything that is drawn")


def main(given: argparse.Namespace) -> None:
    """Measure what is missing, write the rows and the figure, print the table."""
    concepts = read_concepts(given.concepts) if given.concepts else {None: None}
    methods = [name.strip() for name in given.methods.split(",") if name.strip()]
    for name in (part for chain in methods for part in chain.split("+")):
        get_method(name)
    parts = [part.strip() for part in given.parts.split(",")] if given.parts else None
    wanted = [
        (model, concept, method, config_of(model, words, given.corpus, method, given.seed))
        for model in given.models for concept, words in concepts.items() for method in methods
    ]  # fmt: skip
    found = json.loads(given.json.read_text(encoding="utf-8")) if given.json.is_file() else {}
    rows: list[dict[str, Any]] = found.get("rows", [])
    try:
        for model, concept, method, config in wanted:
            row = measured(config, given.runs, parts, given.quick)
            row = {"model": model, "concept": concept or _named(config), "method": method, "quick": given.quick} | row
            keys = ("model", "concept", "method", "quick")
            rows = [one for one in rows if any(one[key] != row[key] for key in keys)] + [row]
            write_json(given.json, {"rows": rows})
            print(f"{model}, {row['concept']}: {method}: {row.get('verdict') or row['failed']}", file=sys.stderr)
    except KeyboardInterrupt as stop:
        raise Stopped(f"Stopped. The rows measured so far are in {given.json}; the same command goes on.") from stop
    print(in_markdown(rows))
    picture = given.figure or given.json.with_suffix(".svg")
    write_text(picture, figure(rows))
    print(f"\n{picture}")


def config_of(model: str, words: Sequence[str] | None, corpus: Path | None, chain: str, seed: int) -> ExperimentConfig:
    """The settings of one run: a starter's own, with another concept where one is named.

    Raises:
        InputError: there is no text about the concept, or a setting cannot be used.
    """
    starter = model in starter_names()
    values: dict[str, Any] = {"base_model": {"base_model_path": model}}
    if starter:
        values = read_config_values(starter_file(model))
    probing = values.setdefault("neural_probing", {})
    if words is not None:
        probing["concept_definition"] = list(words)
        for section in OF_THE_CONCEPT:
            values.pop(section, None)
        probing.pop("neighbours", None)
        probing.pop("activations_label", None)
    elif not starter:
        raise InputError(f"{model} is no starter, so it has no concept of its own. Name concepts with --concepts.")
    if corpus is not None:
        probing["sentences"] = str(corpus.resolve())
    elif not probing.get("sentences"):
        raise InputError(f"There is no text for {model}. Name it with --corpus.")
    values["methods"] = [{"name": name} for name in chain.split("+")]
    return build_config(values | {"seed": seed}, origin=f"the settings of {model}", folder=ROOT)


def _named(config: ExperimentConfig) -> str:
    return config.neural_probing.activations_label or OWN_CONCEPT


def measured(config: ExperimentConfig, root: Path, parts: Sequence[str] | None, quick: bool) -> dict[str, Any]:
    """The figures of one run, which is made, brought to its end and evaluated first; "failed" says why there are none.

    A method that cannot be used with a model, or that ruins it, is a result too.
    """
    run, _ = find_or_create_run(config, root)
    try:
        verdict = prove(run, _shown, parts=parts, quick=quick)
    except Stopped:
        raise
    except WorkbenchError as error:
        return {"failed": str(error), "run": run.id}
    return {"run": run.id, "failed": None} | figures(run, verdict)


def figures(run: Run, verdict: dict[str, Any]) -> dict[str, Any]:
    """A row: the last state with its metrics and verdict, and the seconds of what made it."""
    chain = [step.name for step in run.config.methods or []]
    state = METHODS[chain[-1]].state
    steps = [*(["rank"] if any("rank" in METHODS[name].needs for name in chain) else []), *chain]
    made = [artifact.record for name in steps if (artifact := run.result(name)) is not None]
    judged = verdict["states"].get(state, {})
    metrics = (run.metrics() or {}).get(state, {}) | (run.proof_metrics() or {}).get(state, {})
    return {
        "state": state,
        "seconds": round(sum(record["seconds"] for record in made), 2),
        "metrics": metrics,
        "base": (run.metrics() or {}).get("base", {}) | (run.proof_metrics() or {}).get("base", {}),
        "verdict": judged.get("verdict"),
        "failing": judged.get("failed"),
        "summary": judged.get("summary", {}),
    }


def _shown(progress: Progress) -> None:
    """Say on one line of the terminal what is at work."""
    if sys.stderr.isatty():
        of = f" {progress.done:.0f} of {progress.total:.0f}" if progress.total else ""
        print(f"\r\033[K{progress.task}{of}", end="", file=sys.stderr, flush=True)
