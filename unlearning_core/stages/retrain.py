"""Retrain: text without the concept, a child process that trains on it, and the push to the Hub."""

import json
import logging
from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import same_text_key
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.files import new_folder, write_text
from unlearning_core.progress import Progress
from unlearning_core.stages.stage import Summary, identity
from unlearning_core.work import Work

log = logging.getLogger(__name__)

CACHE = ".filtered"
"""Folder beside the runs where filtered datasets are kept, by content of words, text and settings."""


def filter_inputs(work: Work) -> Any:
    section = work.config.retraining
    return {
        "sources": [
            identity(source) for source in (section.train_dataset_path, section.val_dataset_path, section.dataset)
        ],
        "settings": section.model_dump(include={"dataset_column", "max_train_texts"}),
        "seed": work.config.seed,
    }


def filter_text(work: Work) -> Summary:
    """Leave out every text with the concept, and every text that holds a sentence the model is measured on."""
    from datasets import load_from_disk

    from unlearning_core.concepts.filtering import filtered_cached

    section = work.config.retraining
    source, validation = section.train_dataset_path or section.dataset, section.val_dataset_path
    if source is None:
        source, validation = str(_retain_sentences(work)), None
    cached = filtered_cached(
        source,
        work.concept,
        work.run.folder.parent / CACHE,
        validation=validation,
        column=section.dataset_column,
        seed=work.config.seed,
        progress=work.progress,
    )
    report = json.loads((cached / "report.json").read_text(encoding="utf-8"))
    measured = {same_text_key(item.text) for item in work.sentences("held_out").items}

    def unseen(text: str) -> bool:
        return not any(same_text_key(sentence) in measured for sentence in split_sentences(text))

    kept = {}
    with new_folder(work.run.folder / "data" / "training") as folder:
        for part in ("train", "validation"):
            dataset = load_from_disk(str(cached / part))
            dataset = dataset.filter(lambda row: unseen(row["text"]), keep_in_memory=True)
            if part == "train" and section.max_train_texts is not None:
                dataset = dataset.select(range(min(section.max_train_texts, len(dataset))))
            kept[part] = len(dataset)
            dataset.save_to_disk(str(folder / part))
        (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
    if not kept["train"]:
        raise InputError(
            f"No training text is left of {source}: every text holds the concept or a sentence that is measured on. "
            "Give more text in retraining.dataset or retraining.train_dataset_path."
        )
    dropped = {part: report[part]["dropped"] for part in ("train", "validation")}
    return {"kept": kept, "dropped": dropped}


def _retain_sentences(work: Work) -> Path:
    """All sentences without the concept that are not held out, as a text source of their own.

    Raises:
        InputError: there is none.
    """
    from unlearning_core.stages.label import labelled_source

    measured = {same_text_key(item.text) for item in work.sentences("held_out").items}
    texts = [item.text for item in labelled_source(work).without if same_text_key(item.text) not in measured]
    if len(texts) < 2:
        raise InputError(
            "There is no text to retrain on: all sentences hold the concept. Give retraining.dataset (any text; it is "
            "filtered of the concept) or retraining.train_dataset_path, or set retraining.enabled to false."
        )
    path = work.run.folder / "data" / "retain.jsonl"
    write_text(path, "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    return path


def retrain_inputs(work: Work) -> Any:
    return {
        "settings": work.config.retraining.model_dump(
            exclude={
                "enabled",
                "train_dataset_path",
                "val_dataset_path",
                "dataset",
                "dataset_column",
                "max_train_texts",
            }
        ),
        "seed": work.config.seed,
    }


def training_job(work: Work) -> Any:
    """The job that a worker process is given."""
    from unlearning_core.retraining.job import TrainingJob

    section, folder = work.config.retraining, work.run.folder
    return TrainingJob(
        model_folder=str(work.model_folder("pruned")),
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
        seed=work.config.seed,
    )


def retrain(work: Work) -> Summary:
    """Train in a child process (under a launcher: in the processes that are there) and keep the result."""
    raise NotImplementedError


def push(work: Work) -> Summary:
    """Upload the retrained model with the Hub's own login; the name is the config's push_to_hub.

    Raises:
        InputError: nobody is logged in, or the name may not be written to.
        WorkFailed: the Hub could not be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    name = str(work.config.push_to_hub)
    step = "retrained" if work.config.retraining.enabled else "pruned"
    try:
        api = HfApi()
        api.create_repo(name, exist_ok=True, private=True)
        commit = api.upload_folder(repo_id=name, folder_path=work.model_folder(step))
    except LocalTokenNotFoundError as error:
        raise InputError(f"push_to_hub {name}: nobody is logged in. Run `hf auth login` and run again.") from error
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else "no answer"
        raise InputError(
            f"push_to_hub {name}: the Hub refused ({code}). Log in with `hf auth login` and check the name."
        ) from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise WorkFailed(
            f"push_to_hub {name}: the Hub could not be reached. The model is kept in {work.model_folder(step)}; "
            "run the same command again when you are online."
        ) from error
    work.progress(Progress("pushing to the Hub", 1, 1))
    return {"url": str(commit.commit_url)}
