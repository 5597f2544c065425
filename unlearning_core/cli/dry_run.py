"""`unlearn run --dry-run`: what a run would do, as text."""

from pathlib import Path

from unlearning_core.cli.options import print_table
from unlearning_core.config.schema import ExperimentConfig, NeuralProbingSection
from unlearning_core.progress import counted, duration, size
from unlearning_core.runs.plan import Plan, PlannedStage


def print_plan(plan: Plan, config: ExperimentConfig, root: Path) -> None:
    """Print what was checked and what each stage takes and writes."""
    for name, said in _facts(plan, config, root):
        print(f"{name:<10} {said}")
    print()
    if plan.stages:
        print_table([_row(stage) for stage in plan.stages])
        print()
    print(_sum(plan))


def _facts(plan: Plan, config: ExperimentConfig, root: Path) -> list[tuple[str, str]]:
    probing = config.neural_probing
    facts = [
        (
            "Run",
            f"goes on with {plan.known.folder}" if plan.known else f"a new one in {root}",
        ),
        ("Model", _model(plan, config)),
        ("Concept", _concept(plan)),
    ]
    facts += [("Text", f"{field}: {_short(texts[0])}") for field, texts in plan.texts.items() if texts]
    facts.append(("Ranking", f"{probing.ranker}, site {probing.site}, read {probing.alignment} the word"))
    facts.append(("Cut", _cut(plan, config)))
    return facts


def _model(plan: Plan, config: ExperimentConfig) -> str:
    model = plan.model
    if model is None:
        return f"{config.base_model.base_model_path} is not at hand, and is not needed any more"
    fetch = f", {size(model.download_bytes)} to fetch or prepare first" if model.download_bytes else ""
    return (
        f"{model.source}: {model.model_type}, {counted(model.layers, 'layer')}, {model.parameters:,} parameters, "
        f"{size(model.bytes_in_memory)} as {model.dtype} on {model.device}{fetch}"
    )


def _concept(plan: Plan) -> str:
    if plan.labelled is None:
        return "its sentences were not counted (the text is large, or on the Hub)"
    never = plan.missing
    occurs = f"{counted(len(never), 'word')} never {'occurs' if len(never) == 1 else 'occur'}"
    some = f"; {occurs}: {_short(', '.join(never), 60)}" if never else ""
    twice = f"; {plan.duplicates:,} more that repeat one of them are dropped" if plan.duplicates else ""
    return f"{counted(plan.labelled[0], 'sentence')} with it, {plan.labelled[1]:,} without{twice}{some}"


def _cut(plan: Plan, config: ExperimentConfig) -> str:
    if config.search.forget is not None:
        return f"searched: the smallest that forgets {config.search.forget:g} nats a concept token"
    shape = plan.model.shapes.get(config.neural_probing.site) if plan.model else None
    if shape is None:
        return f"{config.neural_probing.prune_ratio:.4%} of the neurons"
    if not plan.cut:
        return "0 neurons: nothing is cut"
    probing = config.neural_probing
    how = [f"{probing.prune_ratio:g}"]
    how += [_by_hand(probing)] if probing.picked_neurons else []
    how += [f"{counted(len(probing.layer_ratios), 'layer')} with a share of its own"] if probing.layer_ratios else []
    return f"{'about ' if len(how) > 1 else ''}{plan.cut:,} of {shape[0] * shape[1]:,} neurons ({', '.join(how)})"


def _by_hand(probing: NeuralProbingSection) -> str:
    others = sorted({site for site, _, _ in probing.picked_neurons} - {probing.site})
    unranked = f", some of a kind that is not ranked: {', '.join(others)}" if others else ""
    return f"{len(set(probing.picked_neurons))} picked by hand{unranked}"


def _row(stage: PlannedStage) -> dict[str, str]:
    time = "not known" if stage.seconds is None else duration(max(1.0, stage.seconds))
    writes = size(stage.writes) if stage.writes else ""
    return {"stage": stage.name, "": stage.title, "writes": writes, "time": time, "known from": stage.source}


def _sum(plan: Plan) -> str:
    if not plan.stages:
        return "Nothing is to be done: the run is up to date."
    time = "a time not known yet" if plan.seconds is None else f"about {duration(max(1.0, plan.seconds))}"
    return (
        f"In all {time}; up to {size(plan.disk)} on the disk ({size(plan.disk_free)} free); {size(plan.memory)} of "
        f"memory and what a batch takes ({size(plan.memory_free)} free). Nothing was written."
    )


def _short(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
