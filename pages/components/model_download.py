"""A model of a run to take away: one zip, packed when it is asked for."""

import streamlit as st

from unlearning_core.methods.registry import state_title
from unlearning_core.models.packing import packed, packed_bytes
from unlearning_core.runs.run import Run


def download_model(run: Run, state: str) -> None:
    """A button that downloads the model of that state.

    Raises:
        InputError: there is no such model.
    """
    folder, title = run.model(state), state_title(state)
    name = title if title.isupper() else title.lower()
    st.download_button(
        f"Download the {name} model ({packed_bytes(folder) / 1e6:,.1f} MB)", lambda: packed(folder),
        f"{run.id}-{state}.zip", "application/zip", on_click="ignore", icon=":material/download:",
        help="A zip of config, weights and tokenizer. Unpack it and give the folder to "
        "AutoModelForCausalLM.from_pretrained.",
    )  # fmt: skip
