"""Filter: training text without the concept, and without any sentence that the models are measured on."""

import json
from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import same_text_key
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.config.schema import RetrainingSection
from unlearning_core.errors import InputError
from unlearning_core.files import write_json, write_text
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.filtered import filtered, named_texts
from unlearning_core.runs.stages.label import labelled_source
from unlearning_core.runs.stages.stage import Summary


def filter_inputs(context: RunContext) -> Any:
    section = context.config.retraining
    named = (section.train_dataset_path, section.val_dataset_path, section.dataset)
    return {
        "sources": [context.text_fingerprint(source) for source in named],
        "settings": section.model_dump(include={"dataset_column", "max_train_texts"}) | _reading(section),
        "seed": context.config.seed,
        **context.rules(*named),
    }


def _reading(section: RetrainingSection) -> dict[str, Any]:
    """How the text is to be read; only what is said: runs from before it could be said stay up to date."""
    said = section.model_dump(include={"dataset_split", "dataset_reading"}, exclude_defaults=True)
    return {name: value for name, value in said.items() if value}


def filter_text(context: RunContext, folder: Path) -> Summary:
    """Leave out every text with the concept, and every text that holds a sentence the model is measured on."""
    section = context.config.retraining
    sources = named_texts(context) or [str(_retain_sentences(context))]
    parts, reports = _filtered(context, sources)
    measured = {same_text_key(item.text) for item in context.sentences("held_out").items}

    def unseen(row: dict[str, Any]) -> bool:
        return not any(same_text_key(sentence) in measured for sentence in split_sentences(row["text"]))

    kept, overlapping, target = {}, {}, folder / "data" / "training"
    for part, dataset in parts.items():
        clean = dataset.filter(unseen, keep_in_memory=True)
        overlapping[part] = len(dataset) - len(clean)
        if part == "train" and section.max_train_texts is not None:
            clean = clean.shuffle(seed=context.config.seed).select(range(min(section.max_train_texts, len(clean))))
        kept[part] = len(clean)
        clean.save_to_disk(str(target / part))
    write_json(target / "report.json", reports)
    if not kept["train"]:
        raise InputError(
            f"No training text is left of {sources[0]}: every text holds the concept or a sentence that is measured "
            "on. Give more text in retraining.dataset or retraining.train_dataset_path."
        )
    dropped = sum(report[part]["dropped"] for report in reports for part in ("train", "validation"))
    return {"kept": kept, "dropped": dropped, "measured_on": overlapping}


def _filtered(context: RunContext, sources: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Filtered (train, validation) by part, and the reports; a validation source of its own is not split."""
    from datasets import concatenate_datasets, load_from_disk

    results = [filtered(context, source) for source in sources]
    reports = [json.loads(result.path("report.json").read_text(encoding="utf-8")) for result in results]
    loaded = [
        {part: load_from_disk(str(result.path(part))).select_columns(["text"]) for part in ("train", "validation")}
        for result in results
    ]
    if len(loaded) == 1:
        return loaded[0], reports
    whole = [concatenate_datasets([parts["train"], parts["validation"]]) for parts in loaded]
    return {"train": whole[0], "validation": whole[1]}, reports


def _retain_sentences(context: RunContext) -> Path:
    """All sentences without the concept that are not held out, as a text source of their own.

    Raises:
        InputError: there is none.
    """
    measured = {same_text_key(item.text) for item in context.sentences("held_out").items}
    texts = [item.text for item in labelled_source(context).without if same_text_key(item.text) not in measured]
    if len(texts) < 2:
        raise InputError(
            "There is no text to retrain on: all sentences hold the concept. Give retraining.dataset (any text; it is "
            "filtered of the concept) or retraining.train_dataset_path, or set retraining.enabled to false."
        )
    path = context.run.work_folder("filter") / "retain.jsonl"
    write_text(path, "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    return path
