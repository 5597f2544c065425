"""How the model is retrained, on the Retrain page: which text it reads, and the settings of the training."""

from typing import Any

import streamlit as st

from pages.components.current_run import changed
from pages.components.navigation import finished_stages
from pages.components.place import choose_place
from pages.components.reading import choose_reading, show_understood
from pages.components.retrain.fitting import choose_fitting
from pages.components.retrain.learning_rate import choose_rate
from pages.components.retrain.objective import choose_objective
from unlearning_core.config.schema import RetrainingSection, TextReadingSection
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run

RETAIN, DATASET, TWO = "The sentences without the concept", "Another text or dataset", "Training and validation text"


def choose_settings(run: Run) -> dict[str, Any]:
    """Text and settings as keys of the section retraining."""
    section = run.config.retraining
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Text")
        text = _choose_text(run)
    with right:
        learnt = choose_objective(run)
    st.subheader("Settings")
    rate = choose_rate(run)
    numbers = _numbers(run, section)
    with st.expander("Advanced settings"):
        return text | learnt | {"learning_rate": rate} | numbers | _advanced(run, section) | choose_fitting(run)


def save_settings(run: Run, settings: dict[str, Any]) -> None:
    """Keep the settings in the run.

    Raises:
        InputError: no text is named, or a value is out of range.
    """
    if settings["text"] != RETAIN and not (settings["dataset"] or settings["train_dataset_path"]):
        raise InputError("No text is named. Say which file, folder or dataset it is, or upload it.")
    section = {name: value for name, value in settings.items() if name != "text"}
    rate = section["learning_rate"] or ""
    try:
        section["learning_rate"] = float(rate.replace(",", "."))
    except ValueError as error:
        raise InputError(f"The learning rate is {rate!r}; write a number such as 2e-5.") from error
    run.save_config(changed(run.config, retraining={"enabled": True} | section))


def _choose_text(run: Run) -> dict[str, Any]:
    """The chosen text as keys of the section retraining; those not taken are emptied; "text" is the kind."""
    section = run.config.retraining
    kinds = [RETAIN, DATASET, TWO]
    known = TWO if section.train_dataset_path else DATASET if section.dataset else RETAIN
    kind = st.radio("What it reads", kinds, index=kinds.index(known), key=f"text {run.id}")
    found: dict[str, Any] = dict.fromkeys(
        ("dataset", "train_dataset_path", "val_dataset_path", "dataset_split", "dataset_column")
    )
    if kind == DATASET:
        found["dataset"] = choose_place(run, "File, folder or dataset name", section.dataset, f"dataset {run.id}")
    elif kind == TWO:
        found["train_dataset_path"] = choose_place(run, "Training text", section.train_dataset_path, f"train {run.id}")
        found["val_dataset_path"] = choose_place(
            run, "Validation text", section.val_dataset_path, f"validation {run.id}"
        )
    found["dataset_reading"] = TextReadingSection().model_dump()
    if kind != RETAIN:
        split, column, reading = choose_reading(
            run.id, section.dataset_split, section.dataset_column, section.dataset_reading
        )
        found |= {"dataset_split": split, "dataset_column": column, "dataset_reading": reading}
        for name in ("dataset", "train_dataset_path", "val_dataset_path"):
            show_understood(found[name], split, column, reading)
    most = st.number_input(
        "Max texts", 0, None, section.max_train_texts or 0, key=f"texts {run.id}", help="0: all of them."
    )
    st.caption("Every text with a concept word is left out, and so is every sentence that is measured on.")
    filtered = run.status()["stages"].get("filter", {}).get("summary")
    if filtered and "filter" in finished_stages(run):
        kept = filtered["kept"]
        st.caption(
            f"Filtered: {kept['train']:,} texts to train on and {kept['validation']:,} to check on are left; "
            f"{filtered['dropped']:,} held the concept."
        )
    return found | {"text": kind, "max_train_texts": int(most) or None}


def _numbers(run: Run, section: RetrainingSection) -> dict[str, Any]:
    one, two, three = st.columns(3)
    return {
        "num_train_epochs": one.number_input(
            "Epochs", 0.01, 1000.0, float(section.num_train_epochs), 0.5, key=f"epochs {run.id}",
            help="How often the whole text is read.",
        ),
        "max_steps": int(two.number_input(
            "Max steps", 0, None, section.max_steps or 0, key=f"steps {run.id}",
            help="No more than so many steps, however long the text is; 0: as many as the epochs have.",
        )) or None,
        "batch_size": three.number_input(
            "Batch size", 1, 4096, section.batch_size, key=f"batch {run.id}",
            help="Texts read before the weights move once: a step. More is steadier and needs more memory.",
        ),
    }  # fmt: skip


def _advanced(run: Run, section: RetrainingSection) -> dict[str, Any]:
    one, two = st.columns(2)
    return {
        "weight_decay": one.number_input(
            "Weight decay", 0.0, 10.0, section.weight_decay, 0.01, key=f"decay {run.id}",
            help="Pulls all weights a little towards zero at each step. 0.01 is usual.",
        ),
        "max_length": two.number_input(
            "Max tokens per text", 2, 65536, section.max_length, key=f"length {run.id}", placeholder="automatic",
            help="A longer text is read in pieces. A token is a word or a piece of one.",
        ),
        "keep_pruned": one.toggle(
            "Keep cut neurons cut", section.keep_pruned, key=f"keep {run.id}", wrap=True,
            help="On: they are held at zero and the saved model is checked. Off: they may grow back, and with them "
            "what they knew.",
        ),
        "measure_while_learning": two.toggle(
            "Measure and write while it learns", section.measure_while_learning, key=f"measure {run.id}", wrap=True,
            help="Now and then the loss on 48 held-out sentences is measured, the test prompts are continued and the "
            "quiz is asked, in about 5 % of the time each. It does not change what the model learns.",
        ),
    }  # fmt: skip
