"""A model card for an unlearned model: what it was made of, what it was to forget, and what the evaluation says.

The front matter is that of the Hub's model cards; the text is Markdown. Loads no torch.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from unlearning_core.evaluation.registry import Values, formatted, shown
from unlearning_core.evaluation.verdict import SUBJECTS

_SHOWN_WORDS = 30
_NOT_EVALUATED = "It was not evaluated, so nothing is known of whether it has forgotten."
_OUTDATED = (
    "It was evaluated with other settings, or by another version of the workbench: evaluate it again to know whether "
    "it has forgotten."
)


def model_card(
    state: str,
    *,
    base: str,
    licence: str | None,
    words: Sequence[str],
    steps: Sequence[str],
    metrics: Values,
    recipe: Literal["none", "beside", "alone"],
    outdated: bool,
    verdict: Mapping[str, Any] | None,
) -> str:
    """The card of one state of a run's model.

    Args:
        base: the model that it was made of, as the settings name it.
        licence: of the base, as an SPDX name; None where it is not known.
        words: the concept's.
        steps: what was done to it, in sentences.
        metrics: by state, as the run or its evaluation has them.
        recipe: whether the recipe and its script are beside the model, or without one.
        outdated: whether there was a verdict that no longer holds.
        verdict: `verdict.json`, or None where the run was not evaluated.
    """
    judged = (verdict or {}).get("states", {}).get(state)
    listed = ", ".join(words[:_SHOWN_WORDS]) + (
        f" and {len(words) - _SHOWN_WORDS} more" if len(words) > _SHOWN_WORDS else ""
    )
    lines = [
        "---",
        *([f"base_model: {json.dumps(base)}"] if "/" in base else []),
        *([f"license: {licence}"] if licence else []),
        *([] if recipe == "alone" else ["library_name: transformers", "pipeline_tag: text-generation"]),
        "tags: [machine-unlearning, concept-unlearning]",
        "---",
        "",
        f"# {base} after unlearning: {state.replace('_', ' ')}",
        "",
        f"Made to forget: {listed}.",
        "",
        *_how_to_apply(recipe),
        *(f"{number}. {step}" for number, step in enumerate(steps, 1)),
        "",
        "## Is it gone, what did it cost, does it come back?",
        "",
        judged["sentence"] if judged else _OUTDATED if outdated else _NOT_EVALUATED,
    ]
    if judged and (verdict or {}).get("quick"):
        lines += ["", "Measured with about a quarter of the texts, questions and steps."]
    for subject, title in SUBJECTS.items() if judged else ():
        checks = [check for check in judged["checks"] if check["subject"] == subject]
        if checks:
            marks = {True: "passed", False: "**failed**", None: "not counted"}
            lines += [
                "",
                f"### {title}",
                "",
                *(f"- {marks[check['passed'] if check['judges'] else None]}: {check['sentence']}" for check in checks),
            ]
    lines += ["", "## Measured", "", *_table(metrics, state), ""]
    return "\n".join(lines)


def _how_to_apply(recipe: str) -> list[str]:
    """How the edit is made again without this package; nothing where no script is there."""
    if recipe == "none":
        return []
    what = "This is the edit alone, without a model" if recipe == "alone" else "`recipe/` is the cut alone"
    script = "`python recipe/apply_recipe.py BASE OUT` makes it in the base, with torch, transformers and safetensors."
    return [f"{what}: {script}", ""]


def _table(metrics: Values, state: str) -> list[str]:
    """The metrics of the base and of this state as a Markdown table."""
    both = {name: metrics[name] for name in ("base", state) if name in metrics}
    heads = ["", *both]
    rows = [
        [metric.full_title, *(formatted(values, metric.name) or "–" for values in both.values())]
        for place in ("table", "proof")
        for metric in shown(both, place)
    ]
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
