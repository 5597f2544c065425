"""A text source that a person names or uploads: its path or name in a field; an upload where paths are not for them."""

from pathlib import Path

import streamlit as st

from pages.components import visitor
from pages.components.current_run import keep_upload
from pages.components.marked_text import escaped
from unlearning_core.runs.run import Run

FORMATS = [
    "txt", "md", "json", "jsonl", "ndjson", "csv", "tsv", "parquet", "arrow", "feather", "xlsx", "docx", "pdf", "gz",
    "bz2", "xz", "zst", "zip",
]  # fmt: skip
"""Of files that are taken as text."""

MOST_MB = 200
"""Of an uploaded text."""


def choose_place(
    run: Run, title: str, known: str | None, key: str, help: str | None = None, placeholder: str | None = None
) -> str | None:
    """The absolute path of the source, or its name on the Hub; None while there is none.

    Args:
        known: what the run's settings name.

    Raises:
        InputError: it may not be named.
    """
    if visitor.may_name_places():
        name = (st.text_input(title, known or "", key=key, help=help, placeholder=placeholder) or "").strip()
        return visitor.place(name, title) if name else None
    upload = st.file_uploader(
        title, type=FORMATS, max_upload_size=visitor.upload_mb(MOST_MB), key=f"{key} file", help=help
    )
    found = keep_upload(run, upload) if upload is not None else known
    if names := visitor.hub_names("datasets"):
        named = st.selectbox("Or a dataset of the Hub", names, None, key=f"{key} name", placeholder="none")
        found = str(named) if named else found
    if found is None:
        return None
    place = visitor.place(found, title)
    if upload is None:
        st.caption(escaped(f"In use: {Path(found).name}"))
        if known and st.checkbox("Do without it", key=f"{key} none"):
            return None
    return place
