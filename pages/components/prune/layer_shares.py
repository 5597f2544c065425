"""A share of its own for each layer: what the one share takes there to start with, in steps of one neuron."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from pages.components.prune.cut_settings import History, show_value
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Shapes
from unlearning_core.errors import InputError
from unlearning_core.runs.run import Run

_IN_A_ROW = 4
_DIGITS = 6
"""Decimals of a share in per cent."""


def say_own_shares(run: Run, past: History, layers: int) -> None:
    """Beside the slider: which layers do not follow it, and a way back."""
    own = past.now.layer_ratios
    if not own:
        return
    if len(own) == layers:
        said = "Every layer has a share of its own (tab Layers): the slider moves none."
    else:
        names = ", ".join(str(layer) for layer, _ in own)
        said = f"Layer{'' if len(own) == 1 else 's'} {names} {'has a share' if len(own) == 1 else 'have shares'} of "
        said += (
            f"{'its' if len(own) == 1 else 'their'} own (tab Layers); the slider moves the other {layers - len(own)}."
        )
    st.caption(f":material/layers: {said}")
    st.button(
        "Let all follow the slider", key=f"one share {run.id}", type="tertiary", icon=":material/restart_alt:",
        on_click=past.go, args=(replace(past.now, layer_ratios=()),),
    )  # fmt: skip


def choose_shares(run: Run, past: History, ranking: pd.DataFrame, shapes: Shapes) -> None:
    """A field for each layer; one that is changed gives its layer that share, whatever the slider says."""
    cut = past.now
    try:
        own, counts = dict(cut.layer_ratios), cut.layer_counts(ranking, shapes)
    except InputError:  # nothing may be cut, and the page says why
        return
    st.markdown(
        "**Share of each layer, %**",
        help="What the slider takes there, until you change it: then the layer keeps the share that you gave, and the "
        "slider moves the others only, which lose what they lost before. + and − cut one neuron more or less.",
    )

    def go(layer: int, key: str) -> None:
        shares = dict(past.now.layer_ratios) | {layer: round(st.session_state[key] / 100, _DIGITS + 2)}
        past.go(replace(past.now, layer_ratios=tuple(sorted(shares.items()))))

    for first in range(0, len(counts), _IN_A_ROW):
        for column, (layer, row) in zip(
            st.columns(_IN_A_ROW), counts.iloc[first : first + _IN_A_ROW].iterrows(), strict=False
        ):
            key = f"share {run.id} {layer}"
            percent = _percent(int(row["cut"]), int(row["free"]), own.get(int(layer)))
            if round(st.session_state.get(key, -1.0), _DIGITS) != percent:  # + and − add fractions without an end
                st.session_state[key] = percent
            column.number_input(
                f"Layer {layer}{' · own' if layer in own else ''}", 0.0, 100.0, step=_one(int(row["free"])),
                format="%.4g", key=key, on_change=go, args=(int(layer), key), disabled=not row["free"],
                help=f"{row['cut']:,} of {row['free']:,} neurons.",
            )  # fmt: skip
    kept = f"own shares {run.id}"
    if own:
        show_value(kept, list(own))
        st.multiselect(
            "Layers with a share of their own", list(own), key=kept, format_func=lambda layer: f"layer {layer}",
            on_change=lambda: past.go(_only(past.now, st.session_state[kept])), help="One that is taken out follows "
            "the slider again.",
        )  # fmt: skip


def _percent(cut: int, free: int, own: float | None) -> float:
    """What the field of a layer shows: its own share as it was given, else what is cut there."""
    return round(100 * (own if own is not None else cut / max(free, 1)), _DIGITS)


def _one(free: int) -> float:
    """One neuron of a layer, in per cent of those that may be cut."""
    return 100 / max(free, 1)


def _only(cut: CutSettings, layers: list[int]) -> CutSettings:
    return replace(cut, layer_ratios=tuple(pair for pair in cut.layer_ratios if pair[0] in layers))
