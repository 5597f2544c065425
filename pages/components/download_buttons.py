"""Files to download, a button each."""

from collections.abc import Mapping

import streamlit as st


def download_buttons(files: Mapping[str, str | bytes], label: str = "{}", mime: str | None = None) -> None:
    """A button for each file, side by side, labelled with its name in `label`."""
    with st.container(horizontal=True):
        for name, content in files.items():
            st.download_button(
                label.format(name), content, name, mime, on_click="ignore", icon=":material/download:"
            )  # fmt: skip
