"""What edit the visitor looks at: sliders, layers, undo and redo. It is kept in the URL, so a refresh finds it."""

from dataclasses import dataclass, replace

import streamlit as st

from pages.components.prune.mirrored import mirrored
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import kept_cut
from unlearning_core.runs.run import Run

RANGES = {"up to 1 %": (1.0, 0.01), "up to 10 %": (10.0, 0.1), "up to 100 %": (100.0, 1.0)}
_MOST = 200
_RATIO, _PER_LAYER, _PROTECT, _ROWS, _SHARES = "ratio", "per_layer", "protect", "rows", "shares"
"""Names in the URL."""


@dataclass
class History:
    """The cuts that this visitor has looked at on one run.

    Attributes:
        steps: oldest first.
        at: which one is shown.
    """

    steps: list[CutSettings]
    at: int = 0

    @property
    def now(self) -> CutSettings:
        """The cut that is shown."""
        return self.steps[self.at]

    def go(self, cut: CutSettings) -> None:
        """Show another cut; what was undone before is forgotten."""
        if cut != self.now:
            self.steps = [*self.steps[: self.at + 1], cut][-_MOST:]
            self.at = len(self.steps) - 1

    def move(self, by: int) -> None:
        """Undo (-1) or redo (1)."""
        self.at = min(max(self.at + by, 0), len(self.steps) - 1)


def history(run: Run, layers: int) -> History:
    """The visitor's history on this run; it begins with the cut in the URL, or with the one that is kept.

    Args:
        layers: how many the ranking has; a URL that names others is not believed.
    """
    found: dict[str, History] = st.session_state.setdefault("cuts", {})
    kept = kept_cut(RunContext(run))
    if run.id not in found:
        found[run.id] = History([kept])
        found[run.id].go(_from_url(kept, layers))
    past = found[run.id]
    # Neurons are excluded or picked and tokens switched off for everyone who looks at the run: no step undoes that.
    past.steps = [
        replace(
            step,
            excluded_neurons=kept.excluded_neurons,
            picked_neurons=kept.picked_neurons,
            token_rows=replace(kept.token_rows, strength=step.token_rows.strength),
        )
        for step in past.steps
    ]
    return past


def choose_cut(run: Run, past: History, layers: int) -> CutSettings:
    """Slider, a field to type the ratio, range, token rows, undo and redo; returns the cut they show."""
    now = past.now
    nothing_follows = len(now.layer_ratios) == layers
    scale = _range(run, past)
    top, step = RANGES[scale]
    percent = round(100 * now.ratio, 6)

    def go(value: float) -> None:
        past.go(replace(past.now, ratio=round(value / 100, 8)))

    st.slider(
        "Neurons cut, % of those ranked", 0.0, top, step=step, format="%.3g %%", disabled=nothing_follows,
        help="The first neurons of the ranking: what they compute is lost.",
        **mirrored(f"ratio {run.id} {scale}", percent, go),
    )  # fmt: skip
    if own := now.layer_ratios:
        some = (
            f"Layer {own[0][0]} has a share of its own" if len(own) == 1 else f"{len(own)} layers have their own shares"
        )
        st.caption(f"{'No layer follows the slider' if nothing_follows else some} (tab Layers).")
    _choose_range(run, past, scale)
    row = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
    row.number_input(
        "Or type the share, %", 0.0, 100.0, step=step, format="%.4g", width=150, disabled=nothing_follows,
        **mirrored(f"typed ratio {run.id}", percent, go),
    )  # fmt: skip
    for label, by in (("Undo", -1), ("Redo", 1)):
        row.button(
            label, key=f"{label} {run.id}", on_click=past.move, args=(by,),
            disabled=not 0 <= past.at + by < len(past.steps),
        )  # fmt: skip
    _choose_strength(run, past)
    _to_url(now)
    return now


def go_to_suggested(run: Run, past: History, suggested: float | None) -> None:
    """A way to the ratio that the curves suggest."""
    if suggested is None or past.now.ratio == on_slider(suggested):
        return
    st.button(
        f"Go to the suggested {100 * on_slider(suggested):.3g} %", icon=":material/assistant_navigation:",
        key=f"suggested {run.id}", on_click=past.go, args=(replace(past.now, ratio=on_slider(suggested)),),
        help="The smallest cut that gets 95 % of the forgetting to be had for 0.05 nats on other text.",
    )  # fmt: skip


def on_slider(ratio: float) -> float:
    """The largest ratio up to `ratio` that a slider can stand on."""
    percent = 100 * ratio
    _, step = next(found for found in RANGES.values() if percent <= found[0])
    return round(step * int(percent / step + 1e-9) / 100, 8)


def _range(run: Run, past: History) -> str:
    """The range that the slider has: the chosen one, or a wider one where the cut lies beyond it."""
    percent, chosen = 100 * past.now.ratio, st.session_state.get(f"chosen range {run.id}")
    # With room to the right: a slider that stands at its end looks as if there were no more to cut.
    fits = next((name for name, (top, _) in RANGES.items() if percent < top - 1e-9), list(RANGES)[-1])
    if chosen is None or percent > RANGES[chosen][0] + 1e-9:
        # It stays: a slider whose range changed with each step would run away from the hand.
        st.session_state[f"chosen range {run.id}"] = chosen = fits
    return str(chosen)


def _choose_range(run: Run, past: History, scale: str) -> None:
    def narrow(chosen: str) -> None:
        st.session_state[f"chosen range {run.id}"] = chosen
        past.go(replace(past.now, ratio=min(past.now.ratio, RANGES[chosen][0] / 100)))

    st.segmented_control(
        "Range", list(RANGES), required=True, label_visibility="collapsed", width="stretch",
        **mirrored(f"range {run.id}", scale, narrow),
    )  # fmt: skip


def _choose_strength(run: Run, past: History) -> None:
    def go(value: int) -> None:
        past.go(replace(past.now, token_rows=replace(past.now.token_rows, strength=value / 100)))

    st.slider(
        "Token rows reset, %", 0, 100, step=10, format="%d %%",
        **mirrored(f"rows {run.id}", round(100 * past.now.token_rows.strength), go),
        help="How far the rows of the tokens that belong to the concept alone are moved, in the embedding and in the "
        "output head, towards a row that means nothing. 0 leaves them, 100 puts that row in their place.",
    )  # fmt: skip


def choose_layers(run: Run, past: History, layers: int) -> None:
    """Whether every layer gives the same share, and which give nothing."""
    now = past.now
    st.toggle(
        "Same share in every layer", wrap=True,
        **mirrored(f"per layer {run.id}", now.per_layer, lambda on: past.go(replace(past.now, per_layer=on))),
        help="Off: the ranking alone decides, so some layers lose more than others.",
    )  # fmt: skip
    st.multiselect(
        "Protect layers", range(layers), format_func=lambda layer: f"layer {layer}",
        placeholder="none: every layer may lose neurons",
        **mirrored(
            f"protect {run.id}", list(now.protected_layers), lambda some: past.go(_protecting(past.now, some))
        ),
        help="Nothing is cut in these layers; the share is of the neurons in all others.",
    )  # fmt: skip


def _protecting(cut: CutSettings, layers: list[int]) -> CutSettings:
    """`cut` with these layers protected: they have no shares of their own any more."""
    own = tuple(pair for pair in cut.layer_ratios if pair[0] not in layers)
    return replace(cut, protected_layers=tuple(sorted(layers)), layer_ratios=own)


def _from_url(kept: CutSettings, layers: int) -> CutSettings:
    found = st.query_params
    try:
        ratio = float(found.get(_RATIO, kept.ratio))
        strength = float(found.get(_ROWS, kept.token_rows.strength))
        given = found.get(_PROTECT)
        protected = kept.protected_layers if given is None else tuple(int(n) for n in given.split("-") if n)
        own = dict(kept.layer_ratios) if (shares := found.get(_SHARES)) is None else _read_shares(shares)
    except ValueError:
        return kept
    per_layer = found[_PER_LAYER] == "1" if _PER_LAYER in found else kept.per_layer
    shares_hold = all(0 <= share <= 1 for share in (ratio, strength, *own.values()))
    if not shares_hold or not all(0 <= layer < layers for layer in (*protected, *own)) or set(own) & set(protected):
        return kept
    return replace(
        kept,
        ratio=ratio,
        per_layer=per_layer,
        protected_layers=tuple(sorted(set(protected))),
        layer_ratios=tuple(sorted(own.items())),
        token_rows=replace(kept.token_rows, strength=strength),
    )


def _read_shares(text: str) -> dict[int, float]:
    """The layers' own shares from a URL, "3:0.02,7:0"; raises ValueError where it is no such list."""
    pairs = [pair.split(":") for pair in text.split(",") if pair]
    return {int(layer): float(share) for layer, share in pairs}


def _to_url(cut: CutSettings) -> None:
    values = {
        _RATIO: f"{cut.ratio:.8g}",
        _PER_LAYER: str(int(cut.per_layer)),
        _PROTECT: "-".join(map(str, cut.protected_layers)),
        _ROWS: f"{cut.token_rows.strength:.8g}",
        _SHARES: ",".join(f"{layer}:{share:.8g}" for layer, share in cut.layer_ratios),
    }
    if any(st.query_params.get(name) != value for name, value in values.items()):
        st.query_params.update(values)
