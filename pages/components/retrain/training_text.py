"""Which text the model is retrained on, on the Retrain page."""

from pathlib import Path

import streamlit as st

from pages.components.navigation import finished_stages
from unlearning_core.config import find_path
from unlearning_core.runs.run import Run

RETAIN, DATASET, TWO = "The sentences without the concept", "Another text or dataset", "Training and validation text"


def choose_text(run: Run) -> dict[str, str | int | None]:
    """The chosen text as keys of the section retraining; those not taken are emptied; "text" is the kind."""
    section = run.config.retraining
    kinds = [RETAIN, DATASET, TWO]
    known = TWO if section.train_dataset_path else DATASET if section.dataset else RETAIN
    kind = st.radio("What it reads", kinds, index=kinds.index(known), key=f"text {run.id}")
    found: dict[str, str | int | None] = dict.fromkeys(
        ("dataset", "train_dataset_path", "val_dataset_path", "dataset_column")
    )
    if kind == DATASET:
        found["dataset"] = _path("File, folder or dataset name", section.dataset, f"dataset {run.id}")
    elif kind == TWO:
        found["train_dataset_path"] = _path("Training text", section.train_dataset_path, f"train {run.id}")
        found["val_dataset_path"] = _path("Validation text", section.val_dataset_path, f"validation {run.id}")
    if kind != RETAIN:
        column = st.text_input("Text column", section.dataset_column or "", key=f"column {run.id}", placeholder="text")
        found["dataset_column"] = (column or "").strip() or None
    most = st.number_input(
        "Texts at most", 0, None, section.max_train_texts or 0, key=f"texts {run.id}", help="0: all of them."
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


def _path(title: str, known: str | None, key: str) -> str | None:
    name = (st.text_input(title, known or "", key=key) or "").strip()
    return find_path(name, Path.cwd()) if name else None
