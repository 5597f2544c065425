"""Where a model comes from, on the Model page: a starter, a path or name, a zip; and runs that are there already."""

import tempfile
from pathlib import Path

import streamlit as st

from pages.components.current_run import current_run, runs_root, show_run
from pages.components.marked_text import escaped
from pages.components.model.model_card import choose_well_known, starter_caption
from pages.components.new_run import start_run
from pages.components.progress import flash
from pages.components.run_summary import described
from unlearning_core.config.reading import find_path, load_config
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.errors import InputError
from unlearning_core.models.sources.starters import offered
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import check_new_run

STARTER, HUB, PATH, ZIP = KINDS = (
    "A model that comes with it", "A well-known model of the Hub", "A folder, .gguf file or Hub id", "Upload a zip",
)  # fmt: skip
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")
EXTRA_TOKENS = {
    "refuse": "Report it and stop",
    "resize": "Give each a new row, the mean of the others",
    "drop": "Do without these tokens",
}
"""Values of `base_model.extra_tokens`, as a person reads them."""


def choose_model(which: str = "", first: str = STARTER) -> BaseModelSection | None:
    """The widgets; None until something is named.

    Args:
        which: tells one of several choices on a page from the others ("base"); may be empty.
        first: the place that is marked to begin with.

    Raises:
        InputError: an uploaded zip is not a model.
    """
    kind = st.radio("Where is the model?", KINDS, KINDS.index(first), horizontal=True, key=f"place of model {which}")
    source, revision, allow_pickle, extra_tokens = "", "", False, "refuse"
    form = st.session_state.get(f"number format {which}", "auto")
    if kind == STARTER:
        source = _starter(form, which)
    elif kind == HUB:
        source = choose_well_known(form, which)
    elif kind == PATH:
        left, right = st.columns([3, 1])
        source = left.text_input(
            "Folder, .gguf file or Hub id", placeholder="openai-community/gpt2", key=f"path of model {which}"
        ).strip()
        revision = right.text_input(
            "Revision", placeholder="main", help="Branch, tag or commit of a Hub model.", key=f"revision {which}"
        )
    else:
        source = _uploaded(which)
    with st.expander("Device, number format, file format, tokens"):
        left, right = st.columns(2)
        device = left.selectbox(
            "Device", DEVICES, help="auto takes a graphics card when there is one.", key=f"device {which}"
        )
        dtype = right.selectbox(
            "Number format", DTYPES, key=f"number format {which}",
            help="auto: bfloat16 on a CUDA card, float32 otherwise.",
        )  # fmt: skip
        if kind != STARTER:
            extra_tokens = st.selectbox(
                "Tokens that the model has no row for", list(EXTRA_TOKENS), format_func=EXTRA_TOKENS.__getitem__,
                key=f"extra tokens {which}",
                help="Tokens such as [PAD] or <|im_start|> are often added to a tokenizer without resizing its model.",
            )  # fmt: skip
        if kind in (PATH, ZIP):
            allow_pickle = st.checkbox(
                "Also load pytorch_model.bin", key=f"pickle {which}",
                help="Such a file can run any program while it loads. Only from someone you trust.",
            )  # fmt: skip
    if not source:
        return None
    return BaseModelSection(
        base_model_path=source if kind in (STARTER, HUB) else find_path(source, Path.cwd()),
        revision=revision.strip() or None, device=device, dtype=dtype, allow_pickle=allow_pickle,
        extra_tokens=extra_tokens,
    )  # fmt: skip


def _starter(dtype: str, which: str) -> str:
    starters = offered()
    captions = [starter_caption(name, dtype) for name in starters]
    name = st.radio(
        "Model", list(starters), format_func=lambda name: starters[name].title, captions=captions,
        key=f"starter {which}",
    )  # fmt: skip
    if reason := starters[name].unavailable():
        st.warning(escaped(reason))
        return ""
    return name


def _uploaded(which: str) -> str:
    upload = st.file_uploader(
        "Zip of a model folder", type="zip", help="The folder with config.json, the weights and the tokenizer in it.",
        key=f"zip of model {which}",
    )  # fmt: skip
    if upload is None:
        return ""
    known = st.session_state.get(f"unpacked {which}")
    if known is None or known[0] != upload.file_id or not Path(known[1]).is_dir():
        from unlearning_core.models.sources.prepared import root
        from unlearning_core.models.sources.zip import unpack_zip

        with st.spinner("Checking and unpacking the zip"):
            known = (upload.file_id, str(unpack_zip(upload, root() / "uploads")))
        st.session_state[f"unpacked {which}"] = known
    return known[1]


def reopen_run() -> None:
    """Choose among the runs that are there."""
    runs = list_runs(runs_root())
    if not runs:
        st.caption(escaped(f"There are no runs in {runs_root()} yet."))
        return
    chosen = st.selectbox("Run", runs[:100], format_func=described)
    if st.button("Open this run", disabled=current_run() == chosen):
        show_run(chosen)
        st.rerun()


def import_config() -> None:
    """A new run from a config.json, the same file that the command line takes."""
    upload = st.file_uploader("config.json", type="json", max_upload_size=10)
    if upload is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_bytes(upload.getvalue())
        try:
            config = load_config(path)
        except InputError as error:
            # The visitor knows the file by its own name, not by where it lies for a moment.
            raise InputError(str(error).replace(str(path), upload.name)) from error
    if st.button("Start a run with these settings"):
        check_new_run(config, runs_root(), with_model=False)
        show_run(start_run(config))
        flash(f"{upload.name} was read; its settings are on the pages.")
        st.rerun()
