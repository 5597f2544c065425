"""Numbers, and files to download, in a row."""

from collections.abc import Mapping

import streamlit as st


def metric_row(*metrics: tuple[str, ...]) -> None:
    """A number for each (title, value) or (title, value, help), side by side."""
    with st.container(horizontal=True, gap="medium"):
        for title, value, *meaning in metrics:
            st.metric(title, value, help=meaning[0] if meaning else None, width="content")


def download_buttons(files: Mapping[str, str | bytes], label: str = "{}", mime: str | None = None) -> None:
    """A button for each file, side by side, labelled with its name in `label`."""
    with st.container(horizontal=True):
        for name, content in files.items():
            st.download_button(
                label.format(name), content, name, mime, on_click="ignore", icon=":material/download:"
            )  # fmt: skip
