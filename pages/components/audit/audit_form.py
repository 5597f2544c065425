"""What an audit is told, on the page Audit: two models, the concept; text, questions and a twin where there are any."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.concept.words import WORD_FILES, parsed, words_of
from pages.components.current_run import changed, keep_upload, runs_root
from pages.components.marked_text import escaped
from pages.components.model.choose_model import PATH, choose_model
from pages.components.new_run import start_run
from pages.components.place import FORMATS, MOST_MB
from pages.components.progress import show_errors
from unlearning_core.concepts.lemmas import language_names
from unlearning_core.concepts.words import Concept, as_list
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.errors import InputError
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.audit import audit_config, written_sentences
from unlearning_core.runs.pipeline import check_new_run
from unlearning_core.runs.run import Run

UPLOAD, NAMED, WRITTEN = SOURCES = ("Upload a file", "A file, folder or dataset name", "Let the base model write them")


@dataclass(frozen=True)
class Audit:
    """What was filled in.

    Attributes:
        base, candidate, twin: models; the last may be None.
        concept: its words.
        sentences: an upload, a path or name, or None: the base writes them.
        questions: an upload, or None.
    """

    base: BaseModelSection
    candidate: BaseModelSection
    twin: BaseModelSection | None
    concept: Concept
    sentences: Any
    questions: Any


def fill_in() -> Callable[[], Audit]:
    """The fields; what is returned gives what stands in them, or raises InputError that says what is missing."""
    left, right = st.columns(2, gap="medium")
    with left.container(border=True):
        st.subheader("The base", help="What the candidate was made of, before anything was taken from it.")
        base = choose_model("base")
    with right.container(border=True):
        st.subheader("The candidate", help="The model that is said to have forgotten. It needs the base's tokens.")
        candidate = choose_model("candidate", PATH)
    with st.container(border=True):
        st.subheader("The concept")
        words, language, inflections = _words()
    with st.container(border=True):
        st.subheader("Sentences", help="Text with and without the concept: that is what both models are measured on.")
        sentences, missing = _sentences()
    with st.expander("More: questions of your own, a model that never knew"):
        questions = st.file_uploader(
            "Questions about the concept", type=["jsonl", "json"], max_upload_size=visitor.upload_mb(50),
            help="One a line: a prompt, its accepted answers, its form, and what it is about. Without them, sentences "
            "about the concept are given to complete.",
        )  # fmt: skip
        twin = None
        if st.toggle(
            "Compare with a model that never knew", wrap=True,
            help="Of the same kind, trained on the same text without the concept: what perfect forgetting looks like.",
        ):  # fmt: skip
            twin = choose_model("twin", PATH)

    def filled() -> Audit:
        if base is None or candidate is None:
            which = "base" if base is None else "candidate"
            raise InputError(f"The {which} is not named yet. Say where that model is.")
        if not words:
            raise InputError("The list of concept words is empty. Write at least one word, for example: chair.")
        if missing:
            raise InputError(missing)
        return Audit(base, candidate, twin, Concept(words, inflections, language), sentences, questions)

    return filled


def _words() -> tuple[tuple[str, ...] | None, str, bool]:
    upload = st.file_uploader(
        "Words from a file", type=WORD_FILES, max_upload_size=visitor.upload_mb(10), key="audit words file"
    )
    given: tuple[str, ...] = ()
    if upload is not None:
        with show_errors():
            given, said = words_of(upload)
            st.caption(escaped(said))
    text = st.text_area(
        "Concept words", as_list(given), height=140, placeholder="chair\nsofa\nsit",
        key=f"audit words {upload.file_id if upload else ''}",
        help="One a line, or with commas between them. A line may be a phrase of several words.",
    )  # fmt: skip
    left, right = st.columns(2, vertical_alignment="bottom")
    names = language_names()
    language = left.selectbox(
        "Language", list(names), list(names).index("en"), format_func=lambda code: f"{names[code]} ({code})",
        key="audit language",
    )  # fmt: skip
    inflections = right.toggle("Inflected forms too", True, key="audit inflections", wrap=True)
    return parsed(text, "Concept words"), str(language), inflections


def _sentences() -> tuple[Any, str]:
    """The upload or name, and what is missing in words, or nothing."""
    sources = [kind for kind in SOURCES if kind != NAMED or visitor.may_name_places() or visitor.hub_names("datasets")]
    kind = st.radio("Where are they?", sources, len(sources) - 1, horizontal=True)
    if kind == UPLOAD:
        upload = st.file_uploader(
            "Sentences", type=FORMATS, max_upload_size=visitor.upload_mb(MOST_MB), key="audit sentences"
        )
        return upload, "" if upload is not None else "No file of sentences is uploaded yet. Choose one."
    if kind == NAMED:
        name = (st.text_input("File, folder or dataset", key="audit sentences named") or "").strip()
        missing = "The sentences are not named yet. Say where they are."
        return (visitor.place(name, "Sentences"), "") if name else (None, missing)
    st.caption("It writes 400 sentences with and without the words first; that takes a while on a large model.")
    return None, ""


def make_run(audit: Audit, progress: ProgressCallback) -> Run:
    """The run of that audit; what was uploaded is kept with it.

    Raises:
        InputError: a model or file cannot be had, or no sentence holds the concept; no run is made then.
    """
    with TemporaryDirectory(dir=visitor.scratch_folder()) as folder:
        sentences, questions = (_laid_down(given, Path(folder)) for given in (audit.sentences, audit.questions))
        if sentences is None:
            sentences = str(
                written_sentences(audit.base.base_model_path, _candidate(audit), audit.concept, runs_root(), progress)
            )
        try:
            config = audit_config(
                audit.base.base_model_path, audit.candidate.base_model_path, list(audit.concept.words), sentences,
                never_knew=audit.twin.base_model_path if audit.twin else None, questions=questions,
                language=audit.concept.language, more=_more(audit),
            )  # fmt: skip
            check_new_run(config, runs_root(), with_model=False)
        except InputError as error:  # the visitor knows a file by its own name, not by where it lies for a moment
            raise InputError(str(error).replace(f"{folder}/", "")) from error
        run = start_run(config)
    kept: dict[str, dict[str, str]] = {}
    if audit.sentences is not None and not isinstance(audit.sentences, str):
        kept["neural_probing"] = {"sentences": keep_upload(run, audit.sentences)}
    if audit.questions is not None:
        kept["proof"] = {"questions": keep_upload(run, audit.questions)}
    if kept:
        run.save_config(changed(run.config, **kept))
    return run


def _laid_down(given: Any, folder: Path) -> str | None:
    """Where an upload lies while the settings are made; a name is given back as it is."""
    if given is None or isinstance(given, str):
        return given
    path = folder / visitor.upload_name(given)
    path.write_bytes(given.getvalue())
    return str(path)


def _candidate(audit: Audit) -> dict[str, Any]:
    """The parameters of the method that takes the candidate."""
    how = audit.candidate.model_dump(include={"revision", "extra_tokens", "allow_pickle"})
    return {"model": audit.candidate.base_model_path} | how


def _more(audit: Audit) -> dict[str, Any]:
    """How the models are loaded."""
    return {
        "base_model": audit.base.model_dump(exclude={"base_model_path"}),
        "methods": [{"name": "candidate", "parameters": _candidate(audit)}],
        "never_knew": {"revision": audit.twin.revision} if audit.twin else {},
        "neural_probing": {"inflections": audit.concept.inflections},
    }
