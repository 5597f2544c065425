"""Where a model comes from, on the Model page: a starter, a path or name, a zip; and runs that are there already."""

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.current_run import current_run, runs_root, show_run
from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.model.model_card import PARAMETERS, choose_well_known, starter_caption
from pages.components.new_run import start_run
from pages.components.progress import flash
from pages.components.run_summary import described
from unlearning_core.config.reading import find_path
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
BITS = {"As they are": None, "In 8 bits": "8bit", "In 4 bits": "4bit"}
"""What base_model.quantize may be."""
EXTRA_TOKENS = {
    "refuse": "Report it and stop",
    "resize": "Give each a new row, the mean of the others",
    "drop": "Do without these tokens",
}
"""Values of `base_model.extra_tokens`, as a person reads them."""


_PLACES = (
    "A model is a folder with its weights, a config.json and a tokenizer, or one .gguf file, as llama.cpp uses. The "
    "Hub is Hugging Face's public collection, huggingface.co; a Hub id is a model's name there."
)


def choose_model(which: str = "", first: str = STARTER) -> BaseModelSection | None:
    """The widgets; None until something is named.

    Args:
        which: tells one of several choices on a page from the others ("base"); may be empty.
        first: the place that is marked to begin with.

    Raises:
        InputError: an uploaded zip is not a model, or a visitor may not name that one.
    """
    kinds = _kinds()
    start = kinds.index(first) if first in kinds else len(kinds) - 1
    kind = st.radio("Where is the model?", kinds, start, horizontal=True, key=f"place of model {which}", help=_PLACES)
    source = ""
    form = st.session_state.get(f"number format {which}", "auto")
    if kind == STARTER:
        source = _starter(form, which)
    elif kind == HUB and not visitor.may_name_places():
        source = str(st.selectbox("Model of the Hub", visitor.hub_names("models"), key=f"hub model {which}") or "")
    elif kind == HUB:
        source = choose_well_known(form, which)
    elif kind == PATH:
        source = st.text_input(
            "Folder, .gguf file or Hub id", placeholder="openai-community/gpt2", key=f"path of model {which}"
        ).strip()
    else:
        source = _uploaded(which)
    settings = _advanced(kind, which)
    if not source:
        return None
    place = source if kind in (STARTER, HUB) else find_path(source, Path.cwd())
    return visitor.model(BaseModelSection(base_model_path=place, **settings))


def _kinds() -> list[str]:
    """The places of which a visitor may have a model; the last one is for a model of their own."""
    if visitor.may_name_places():
        return list(KINDS)
    return [STARTER, *([HUB] if visitor.hub_names("models") else []), ZIP]


def _advanced(kind: str, which: str) -> dict[str, Any]:
    """How the model is loaded, folded: as keys of base_model."""
    found: dict[str, Any] = {}
    with st.expander("Advanced settings"):
        left, right = st.columns(2)
        found["device"] = left.selectbox(
            "Device", DEVICES, key=f"device {which}",
            help="What computes: cpu is the processor, cuda an NVIDIA graphics card, mps that of an Apple computer. "
            "auto takes a graphics card where there is one.",
        )  # fmt: skip
        found["dtype"] = right.selectbox(
            "Number format", DTYPES, key=f"number format {which}",
            help="How each number of the model is kept: float32 takes 4 bytes, bfloat16 and float16 take 2 and round. "
            "auto: bfloat16 on a CUDA card, float32 otherwise.",
        )  # fmt: skip
        found["device_map"] = "auto" if left.checkbox(
            "Spread it where it does not fit", key=f"spread {which}",
            help="Over all graphics cards, then memory, then the disk, from which its parts are read whenever they are "
            "needed: slow, but a model larger than memory can be ranked, cut and saved. It cannot be retrained so.",
        ) else None  # fmt: skip
        found["quantize"] = BITS[right.selectbox(
            "Linear maps while ranking", list(BITS), key=f"bits {which}",
            help="In 8 or 4 bits the model takes much less memory while it is ranked and a cut is tried. It needs "
            "bitsandbytes. The cut is written, and all is measured, in the model's own numbers.",
        )]  # fmt: skip
        if kind == PATH:
            found["revision"] = left.text_input(
                "Revision", placeholder="main", key=f"revision {which}",
                help="Which version of a model of the Hub: a branch, a tag or a commit. Empty: the newest.",
            ).strip() or None  # fmt: skip
        if kind != STARTER:
            found["extra_tokens"] = right.selectbox(
                "Tokens that the model has no row for", list(EXTRA_TOKENS), format_func=EXTRA_TOKENS.__getitem__,
                key=f"extra tokens {which}",
                help="A token is a word or a piece of one, and the model keeps a row of numbers for each. Tokens such "
                "as [PAD] or <|im_start|> are often added to a tokenizer and never given a row.",
            )  # fmt: skip
        if kind in (PATH, ZIP) and visitor.may_name_places():
            found["allow_pickle"] = st.checkbox(
                "Also load pytorch_model.bin", key=f"pickle {which}",
                help="An older format (pickle): such a file can run any program while it loads. Only from someone "
                "you trust.",
            )  # fmt: skip
    return found


def _starter(dtype: str, which: str) -> str:
    starters = offered()
    captions = [starter_caption(name, dtype) for name in starters]
    name = st.radio(
        "Model", list(starters), format_func=lambda name: starters[name].title, captions=captions,
        key=f"starter {which}", help=PARAMETERS,
    )  # fmt: skip
    if reason := starters[name].unavailable():
        st.warning(told(reason))
        return ""
    return name


def _uploaded(which: str) -> str:
    upload = st.file_uploader(
        "Zip of a model folder", type="zip", help="The folder with config.json, the weights and the tokenizer in it.",
        max_upload_size=visitor.upload_mb(2048), key=f"zip of model {which}",
    )  # fmt: skip
    if upload is None:
        return ""
    known = st.session_state.get(f"unpacked {which}")
    if known is None or known[0] != upload.file_id or not Path(known[1]).is_dir():
        from unlearning_core.models.sources.zip import unpack_zip

        visitor.check_room()
        with st.spinner("Checking and unpacking the zip"):
            known = (upload.file_id, str(unpack_zip(upload, visitor.uploads_folder().resolve())))
        st.session_state[f"unpacked {which}"] = known
    return known[1]


def no_runs() -> str:
    """That there are none yet, and where they would be on a machine of one's own."""
    return escaped(f"There are no runs in {runs_root()} yet.") if visitor.may_name_places() else "You have no runs yet."


def reopen_run() -> None:
    """Choose among the runs that are there."""
    runs = list_runs(runs_root())
    if not runs:
        st.caption(no_runs())
        return
    chosen = st.selectbox("Run", runs[:100], format_func=described)
    if st.button("Open this run", disabled=current_run() == chosen):
        show_run(chosen)
        st.rerun()


def import_config() -> None:
    """A new run from a config.json, the same file that the command line takes."""
    upload = st.file_uploader("config.json", type="json", max_upload_size=visitor.upload_mb(10))
    if upload is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_bytes(upload.getvalue())
        try:
            config = visitor.settings_file(path)
        except InputError as error:
            # The visitor knows the file by its own name, not by where it lies for a moment.
            raise InputError(str(error).replace(str(path), upload.name)) from error
    if st.button("Start a run with these settings"):
        check_new_run(config, runs_root(), with_model=False)
        show_run(start_run(config))
        flash(f"{upload.name} was read; its settings are on the pages.")
        st.rerun()
