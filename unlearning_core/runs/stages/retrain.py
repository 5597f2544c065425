"""Retrain: text without the concept, a child process that trains on it, and the push to the Hub."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core import distributed
from unlearning_core.concepts.labelling import same_text_key
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import new_folder, write_json, write_text
from unlearning_core.progress import Progress
from unlearning_core.runs.run import digest, reuse
from unlearning_core.runs.stages.stage import Summary, identity
from unlearning_core.runs.probe_set import PROBE_SET, write_probe_set
from unlearning_core.runs.context import RunContext

if TYPE_CHECKING:
    from unlearning_core.training.job import TrainingJob

log = logging.getLogger(__name__)

CACHE = ".filtered"
"""Folder beside the runs where filtered datasets are kept, by content of words, text and settings."""


def filter_inputs(context: RunContext) -> Any:
    section = context.config.retraining
    return {
        "sources": [
            identity(source) for source in (section.train_dataset_path, section.val_dataset_path, section.dataset)
        ],
        "settings": section.model_dump(include={"dataset_column", "max_train_texts"}),
        "seed": context.config.seed,
    }


def filter_text(context: RunContext) -> Summary:
    """Leave out every text with the concept, and every text that holds a sentence the model is measured on."""
    section = context.config.retraining
    source = section.train_dataset_path or section.dataset or str(_retain_sentences(context))
    parts, reports = _filtered(context, source, section.val_dataset_path)
    measured = {same_text_key(item.text) for item in context.sentences("held_out").items}

    def unseen(row: dict[str, Any]) -> bool:
        return not any(same_text_key(sentence) in measured for sentence in split_sentences(row["text"]))

    kept, overlapping = {}, {}
    with new_folder(context.run.folder / "data" / "training") as folder:
        for part, dataset in parts.items():
            clean = dataset.filter(unseen, keep_in_memory=True)
            overlapping[part] = len(dataset) - len(clean)
            if part == "train" and section.max_train_texts is not None:
                clean = clean.shuffle(seed=context.config.seed).select(range(min(section.max_train_texts, len(clean))))
            kept[part] = len(clean)
            clean.save_to_disk(str(folder / part))
        write_json(folder / "report.json", reports)
    if not kept["train"]:
        raise InputError(
            f"No training text is left of {source}: every text holds the concept or a sentence that is measured on. "
            "Give more text in retraining.dataset or retraining.train_dataset_path."
        )
    dropped = sum(report[part]["dropped"] for report in reports for part in ("train", "validation"))
    return {"kept": kept, "dropped": dropped, "measured_on": overlapping}


def _filtered(context: RunContext, source: str, validation: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Filtered (train, validation) by part, and the reports; a validation source of its own is not split."""
    from datasets import concatenate_datasets, load_from_disk

    from unlearning_core.concepts.filter_cache import filtered_cached
    from unlearning_core.concepts.filtering import FilterSettings

    settings = FilterSettings(column=context.config.retraining.dataset_column, seed=context.config.seed)
    cache = context.run.folder.parent / CACHE
    results = [
        filtered_cached(path, context.concept, cache, settings, progress=context.progress)
        for path in (source, validation)
        if path is not None
    ]
    loaded = [
        {part: load_from_disk(str(result.folder / part)).select_columns(["text"]) for part in ("train", "validation")}
        for result in results
    ]
    if len(loaded) == 1:
        return loaded[0], [results[0].report]
    whole = [concatenate_datasets([parts["train"], parts["validation"]]) for parts in loaded]
    return {"train": whole[0], "validation": whole[1]}, [result.report for result in results]


def _retain_sentences(context: RunContext) -> Path:
    """All sentences without the concept that are not held out, as a text source of their own.

    Raises:
        InputError: there is none.
    """
    from unlearning_core.runs.stages.label import labelled_source

    measured = {same_text_key(item.text) for item in context.sentences("held_out").items}
    texts = [item.text for item in labelled_source(context).without if same_text_key(item.text) not in measured]
    if len(texts) < 2:
        raise InputError(
            "There is no text to retrain on: all sentences hold the concept. Give retraining.dataset (any text; it is "
            "filtered of the concept) or retraining.train_dataset_path, or set retraining.enabled to false."
        )
    path = context.run.folder / "data" / "retain.jsonl"
    write_text(path, "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    return path


def retrain_inputs(context: RunContext) -> Any:
    return {
        "settings": context.config.retraining.model_dump(
            exclude={
                "enabled",
                "train_dataset_path",
                "val_dataset_path",
                "dataset",
                "dataset_column",
                "max_train_texts",
                "measure_while_learning",
            }
        ),
        "seed": context.config.seed,
    }


def training_job(context: RunContext) -> "TrainingJob":
    """The job that a worker process is given; its folder is `retraining/` of the run."""
    from unlearning_core.training.job import TrainingJob

    section, folder = context.config.retraining, context.run.folder
    device = context.config.base_model.device
    return TrainingJob(
        model_folder=str(context.model_folder("pruned")),
        recipe_folder=str(folder / "recipe"),
        train_path=str(folder / "data" / "training" / "train"),
        validation_path=str(folder / "data" / "training" / "validation"),
        output_folder=str(folder / "retraining"),
        epochs=section.num_train_epochs,
        max_steps=section.max_steps,
        learning_rate=section.learning_rate,
        weight_decay=section.weight_decay,
        warmup_ratio=section.warmup_ratio,
        batch_size=section.batch_size,
        max_length=section.max_length,
        keep_pruned=section.keep_pruned,
        checkpoint_every=section.checkpoint_steps,
        device=device.split(":")[0],
        seed=context.config.seed,
        probe_set_path=str(folder / PROBE_SET) if section.measure_while_learning else None,
        prompts=tuple(context.config.test_prompts) if section.measure_while_learning else (),
    )


def retrain(context: RunContext) -> Summary:
    """Train in a child process (under a launcher: in the processes that are there) and keep the result."""
    from unlearning_core.training.process import start, wait

    job = training_job(context)
    context.forget_models()
    if distributed.is_main():
        write_probe_set(context)
        _start_over_if_changed(context, job.folder)
    distributed.share(None)
    if distributed.world_size() > 1:
        from unlearning_core.training.train import train

        result = train(job, context.progress)
    else:
        _end_orphan(job.folder)
        result = wait(start(job), context.progress)
    if distributed.is_main():
        target = context.model_folder("retrained")
        with new_folder(target) as folder:
            reuse(job.final_folder, folder)
    return {key: value for key, value in result.items() if key != "model_folder"}


def _start_over_if_changed(context: RunContext, folder: Path) -> None:
    """Checkpoints of another job must not be gone on with: the pruned model or the text may have changed."""
    stages = context.run.status()["stages"]
    wanted = digest([retrain_inputs(context), stages.get("prune", {}).get("fingerprint"), stages["filter"]["fingerprint"]])
    mark = folder / "inputs.json"
    if not mark.is_file() or json.loads(mark.read_text(encoding="utf-8")) != wanted:
        _end_orphan(folder)
        shutil.rmtree(folder, ignore_errors=True)
        write_json(mark, wanted)


def _end_orphan(folder: Path) -> None:
    """A worker whose parent was killed is asked to stop; the new one goes on from its checkpoint."""
    from unlearning_core.training.process import request_stop, status

    if status(folder).live:
        request_stop(folder)
        while status(folder).live:
            time.sleep(0.2)


def push(context: RunContext) -> Summary:
    """Upload the retrained model with the Hub's own login; the name is the config's push_to_hub.

    Raises:
        InputError: nobody is logged in, or the name may not be written to.
        WorkFailed: the Hub could not be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    name = str(context.config.push_to_hub)
    step = "retrained" if context.config.retraining.enabled else "pruned"
    try:
        api = HfApi()
        api.create_repo(name, exist_ok=True, private=True)
        commit = api.upload_folder(repo_id=name, folder_path=context.model_folder(step))
    except LocalTokenNotFoundError as error:
        raise InputError(f"push_to_hub {name}: nobody is logged in. Run `hf auth login` and run again.") from error
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else "no answer"
        raise InputError(
            f"push_to_hub {name}: the Hub refused ({code}). Log in with `hf auth login` and check the name."
        ) from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise WorkFailed(
            f"push_to_hub {name}: the Hub could not be reached. The model is kept in {context.model_folder(step)}; "
            "run the same command again when you are online."
        ) from error
    context.progress(Progress("pushing to the Hub", 1, 1))
    return {"url": str(commit.commit_url)}
