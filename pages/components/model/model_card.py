"""The card of a model, and the list of models to begin with: how large they are and whether they fit here."""

from typing import Any

import streamlit as st

from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.rows import metric_row
from unlearning_core.models.devices import available, bytes_needed, fits
from unlearning_core.models.sources.starters import HUB, STARTERS
from unlearning_core.runs.naming import model_name

SITES = {"mlp": "MLP neurons", "head": "Attention heads", "residual": "Residual dimensions"}


PARAMETERS = "Parameters are the numbers that a model consists of: all that it has learnt is in them."

_MEANINGS = {
    "layers": "A text goes through them one after another; each has neurons of its own.",
    "family": "How it is built. Models of one family differ in their size and in what they learnt.",
    "context": "The most tokens that it can read at once. A token is a word or a piece of one.",
    "vocabulary": "How many different tokens it knows.",
}

_SITES = (
    "MLP neurons are the units inside a layer that each react to something of their own; attention heads bring in what "
    "other words of the text say; residual dimensions are the numbers that are handed from layer to layer (one layer "
    "more than there are, for what the first one is given)."
)


def facts(info: dict[str, Any]) -> None:
    """The card of a model, from `ModelInfo.to_dict`; older runs lack some of it."""
    source = info["source"]
    st.subheader(escaped(STARTERS[source].title if source in STARTERS else model_name(source)))
    metric_row(
        ("Parameters", count(info["parameters"]), PARAMETERS),
        ("Memory for the weights", in_bytes(info["bytes_in_memory"]), "What its parameters take while it is loaded."),
        ("Layers", str(info["layers"]), _MEANINGS["layers"]),
        ("Family", info["model_type"], _MEANINGS["family"]),
        *((name.title(), f"{info[name]:,}", _MEANINGS[name]) for name in ("context", "vocabulary") if info.get(name)),
    )
    for note in info.get("notes") or ():
        st.info(told(note))
    with st.expander("Neurons and details"):
        _details(info)


def _details(info: dict[str, Any]) -> None:
    """The neurons of each site, and how the model was loaded."""
    shapes, source = info["shapes"], info["source"]
    st.table(
        {
            "Neurons": [_neurons(site, info.get("experts")) for site in shapes],
            "Layers": [f"{layers:,}" for layers, _ in shapes.values()],
            "Width": [f"{width:,}" for _, width in shapes.values()],
            "In all": [f"{layers * width:,}" for layers, width in shapes.values()],
        },
        border="horizontal",
    )
    st.caption(_SITES)
    licence = info.get("licence") or (STARTERS[source].licence if source in STARTERS else "not named")
    rest = [f"number format {info['dtype']}", f"device {info['device']}", f"licence {licence}"]
    rest += [f"revision {info['revision'][:12]}"] if info.get("revision") else []
    st.caption(escaped(", ".join(rest)))


def _neurons(site: str, experts: dict[str, int] | None) -> str:
    """What a site's neurons are; of a mixture of experts also how many experts they are of."""
    if site != "mlp" or not experts:
        return SITES.get(site, site)
    shared = f" and a shared one of {experts['shared']:,}" if experts["shared"] else ""
    return f"{SITES[site]} of {experts['count']:,} experts of {experts['width']:,}{shared}"


def starter_caption(name: str, dtype: str) -> str:
    """What a starter is, how large it is, whether it fits and its licence."""
    starter, parameters, size = STARTERS[name], _parameters(name), ""
    if parameters:
        verdict = "fits" if fits(parameters, dtype) else "does not fit in the memory that is free"
        size = f" {count(parameters)} parameters, {in_bytes(bytes_needed(parameters, dtype))} of memory: {verdict}."
    return f"{starter.about}{size} Licence: {starter.licence}."


@st.cache_data(show_spinner=False, ttl=60)
def _parameters(name: str) -> int | None:
    return STARTERS[name].parameters()


def choose_well_known(dtype: str, which: str = "") -> str:
    """A model of the Hub that many people know; the table says which of them fit. `which`: as for `choose_model`."""
    free = available("cpu")
    known = st.selectbox(
        "Model of the Hub", HUB, index=1, format_func=lambda known: f"{known.source}: {known.about}",
        key=f"hub model {which}",
    )  # fmt: skip
    needed = [bytes_needed(known.parameters, dtype) for known in HUB]
    with st.expander(f"How large they are; {in_bytes(free)} of memory are free here"):
        st.table(
            {
                "Model": [known.source for known in HUB],
                "Parameters": [count(known.parameters) for known in HUB],
                "Memory": [in_bytes(need) for need in needed],
                "Fits": ["yes" if need <= free else "no" for need in needed],
                "Licence": [known.licence for known in HUB],
            },
            border="horizontal",
        )
    if not fits(known.parameters, dtype):
        st.warning(
            f"It needs {in_bytes(bytes_needed(known.parameters, dtype))}, and {in_bytes(free)} are free. Choose "
            "bfloat16 below, which takes half, or a smaller model."
        )
    return known.source


def count(number: int) -> str:
    """A number of parameters, in millions and the like, without a place to break the line at."""
    for size, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}\N{NO-BREAK SPACE}{name}"
    return str(number)


def in_bytes(number: float) -> str:
    """Bytes, in megabytes or gigabytes, without a place to break the line at."""
    if number >= 1e9:
        return f"{number / 1e9:.1f}\N{NO-BREAK SPACE}GB"
    return f"{number / 1e6:.{0 if number >= 1e7 else 1}f}\N{NO-BREAK SPACE}MB"
