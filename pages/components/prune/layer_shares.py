"""A share of its own for each layer: what the one share takes there to start with, in steps of one neuron."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from pages.components.prune.cut_settings import History
from pages.components.prune.mirrored import mirrored
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Shapes
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run

_IN_A_ROW = 3


def choose_shares(run: Run, past: History, ranking: pd.DataFrame, shapes: Shapes) -> None:
    """A field for each layer; one that is changed gives its layer that share, whatever the slider says."""
    cut = past.now
    try:
        own, counts = dict(cut.layer_ratios), cut.layer_counts(ranking, shapes)
    except InputError:  # nothing may be cut, and the page says why
        return
    opened = st.session_state.setdefault(f"shares open {run.id}", bool(own))
    with st.expander("A share of its own for each layer", icon=":material/tune:", expanded=opened):
        st.caption(
            "Each shows what the slider takes there. One that you change keeps its share, and the slider moves the "
            "others only, which lose what they lost before. + and − cut one neuron more or less."
        )
        for first in range(0, len(counts), _IN_A_ROW):
            columns = st.columns(_IN_A_ROW)
            for column, (layer, row) in zip(columns, counts.iloc[first : first + _IN_A_ROW].iterrows(), strict=False):
                with column:
                    _share(run, past, int(str(layer)), int(row["cut"]), int(row["free"]))
        if own:
            _give_back(run, past)


def _share(run: Run, past: History, layer: int, cut: int, free: int) -> None:
    """The field of one layer, of which `cut` of `free` neurons are cut."""
    own = dict(past.now.layer_ratios).get(layer)

    def go(value: float) -> None:
        shares = dict(past.now.layer_ratios) | {layer: round(value / 100, 8)}
        past.go(replace(past.now, layer_ratios=tuple(sorted(shares.items()))))

    percent = round(100 * (own if own is not None else cut / max(free, 1)), 6)
    st.number_input(
        f"Layer {layer}, %{'' if own is None else ' · own'}", 0.0, 100.0, step=100 / max(free, 1), format="%.4g",
        disabled=not free, help=f"{cut:,} of {free:,} neurons.", **mirrored(f"share {run.id} {layer}", percent, go),
    )  # fmt: skip


def _give_back(run: Run, past: History) -> None:
    """Which layers have shares of their own, each to be given back to the slider, and all at once."""
    own = [layer for layer, _ in past.now.layer_ratios]
    st.multiselect(
        "Layers with a share of their own", own, format_func=lambda layer: f"layer {layer}",
        help="One that is taken out follows the slider again.",
        **mirrored(f"own shares {run.id}", own, lambda some: past.go(_only(past.now, some))),
    )  # fmt: skip
    st.button(
        "Let all follow the slider", key=f"one share {run.id}", icon=":material/restart_alt:",
        on_click=past.go, args=(replace(past.now, layer_ratios=()),),
    )  # fmt: skip


def _only(cut: CutSettings, layers: list[int]) -> CutSettings:
    return replace(cut, layer_ratios=tuple(pair for pair in cut.layer_ratios if pair[0] in layers))
