"""Where the sentences come from, on the Concept page: the shipped ones, a path or name, an upload, or the model."""

import hashlib
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.current_run import changed, keep_upload
from pages.components.marked_text import escaped
from pages.components.model_cache import base_model
from pages.components.new_run import experiment_of
from pages.components.place import FORMATS, MOST_MB, choose_place
from pages.components.progress import run_and_redraw
from pages.components.reading import choose_reading, show_understood
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import TextReadingSection
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.run import Run

SHIPPED, PATH, UPLOAD, LABELLED, WRITTEN = KINDS = (
    "The sentences that come with it", "A file, folder or dataset name", "Upload a file", "Tokens and labels files",
    "Let the model write them",
)  # fmt: skip
ORIGINS = {
    ROOT / "data" / "smallworld" / "texts.jsonl": "Written by SmallWorld's own grammar, from facts that are known.",
    ROOT / "data" / "seats" / "sentences.jsonl": "Written by SmolLM2 about seats and about other things.",
}
_WRITTEN = "written"
"""Where the run keeps sentences that the model wrote."""

_NONE: dict[str, Any] = {
    "sentences": None, "sentences_split": None, "sentences_column": None,
    "tokens_input_path": None, "labels_input_path": None, "sentences_reading": TextReadingSection().model_dump(),
}  # fmt: skip


def choose_source(run: Run, words: tuple[str, ...], matching: dict[str, Any]) -> dict[str, Any]:
    """The chosen source as keys of neural_probing; those of the sources not chosen are emptied."""
    # Where a path may not be named, naming a source is uploading it.
    kinds = [kind for kind in KINDS if kind != PATH or visitor.may_name_places() or visitor.hub_names("datasets")]
    known = _kind_of(run)
    kind = st.radio("Sentences", kinds, kinds.index(known) if known in kinds else 0, key=f"source {run.id}")
    if kind == SHIPPED:
        shipped = _shipped(run)
        st.caption(ORIGINS.get(shipped, ""))
        return _NONE | {"sentences": str(shipped)}
    if kind == PATH:
        return _NONE | _path(run)
    if kind == UPLOAD:
        upload = st.file_uploader(
            "Sentences", type=FORMATS, max_upload_size=visitor.upload_mb(MOST_MB), key=f"sentences upload {run.id}"
        )
        return _NONE | _read(run, keep_upload(run, upload) if upload is not None else _uploaded(run))
    if kind == LABELLED:
        return _NONE | _labelled(run)
    return _NONE | {"sentences": _written(run, words, matching)}


def _shipped(run: Run) -> Path:
    return Path(str(experiment_of(run.config.base_model.base_model_path).neural_probing.sentences))


def _kind_of(run: Run) -> str:
    probing = run.config.neural_probing
    if probing.tokens_input_path:
        return LABELLED
    if probing.sentences and Path(probing.sentences).parent == run.work_folder(_WRITTEN).resolve():
        return WRITTEN
    if _uploaded(run):
        return UPLOAD
    if probing.sentences and Path(probing.sentences) != _shipped(run):
        return PATH
    return SHIPPED


def _uploaded(run: Run) -> str | None:
    source = run.config.neural_probing.sentences
    return source if source and Path(source).parent == run.kept_inputs_folder.resolve() else None


def _path(run: Run) -> dict[str, Any]:
    source = choose_place(
        run, "File, folder or dataset", run.config.neural_probing.sentences, f"path {run.id}",
        help="Text, JSON, JSON lines, CSV, Parquet, a workbook or document; a folder; or owner/name on the Hub.",
    )  # fmt: skip
    return _read(run, source)


def _read(run: Run, source: str | None) -> dict[str, Any]:
    """The source and how it is read, as keys of neural_probing; what it is understood as is shown."""
    probing = run.config.neural_probing
    split, column, reading = choose_reading(
        run.id, probing.sentences_split, probing.sentences_column, probing.sentences_reading
    )
    show_understood(source, split, column, reading)
    return {
        "sentences": source,
        "sentences_split": split,
        "sentences_column": column,
        "sentences_reading": reading,
    }


def _labelled(run: Run) -> dict[str, str | None]:
    probing = run.config.neural_probing
    found: dict[str, str | None] = {}
    for key, title in (("tokens_input_path", "Tokens file"), ("labels_input_path", "Labels file")):
        upload = st.file_uploader(title, type="txt", max_upload_size=visitor.upload_mb(MOST_MB), key=f"{key} {run.id}")
        found[key] = keep_upload(run, upload) if upload is not None else getattr(probing, key)
        if upload is None and found[key]:
            st.caption(escaped(f"In use: {Path(str(found[key])).name}"))
    label = st.text_input("Label of concept words", probing.target_label, key=f"label {run.id}")
    return found | {"target_label": (label or "").strip() or "target"}


def _written(run: Run, words: tuple[str, ...], matching: dict[str, Any]) -> str | None:
    """The file with the sentences that the model wrote for these words, or None."""
    left, middle, right = st.columns(3)
    count = int(left.number_input("How many", 20, 20_000, 400, 20, key=f"count {run.id}"))
    share = middle.number_input("Share with the concept", 0.1, 0.9, 0.5, 0.1, key=f"share written {run.id}")
    seed = int(right.number_input("Seed", 0, None, 0, key=f"seed {run.id}"))
    name = hashlib.sha256(repr((words, matching, count, share, seed)).encode()).hexdigest()[:10]
    target = run.work_folder(_WRITTEN).resolve() / f"{name}.jsonl"
    st.caption("The model writes sentences with and without the words; what is broken or repeated is dropped.")
    if target.is_file():
        st.success(f"{count} sentences are written.", icon=":material/check_circle:")
    elif st.button("Let the model write sentences", icon=":material/edit_note:"):
        if not words:
            raise InputError("The list of concept words is empty. Write at least one word, for example: chair.")
        concept = Concept(words, **matching)
        settings = {"count": count, "concept_share": share, "seed": seed}
        run_and_redraw(
            "Writing sentences", lambda bar: _write(run, concept, target, settings, bar), only_one=run.id,
            message="The sentences are written. Label them next.",
        )  # fmt: skip
    return str(target) if target.is_file() else None


def _write(run: Run, concept: Concept, target: Path, settings: dict[str, Any], bar: ProgressCallback) -> None:
    from unlearning_core.writing.writer import WriterSettings, write_sentences

    chosen = WriterSettings(run.config.base_model.base_model_path, concept.words, **settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    with base_model(run, bar) as loaded:
        write_sentences(loaded, concept, target, chosen, bar)
    run.save_config(changed(run.config, neural_probing=_NONE | {"sentences": str(target)}))
