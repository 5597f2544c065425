"""A card for each attempt to bring the concept back: what was tried and what came of it, and a button that tries it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components.marked_text import escaped, unbroken
from pages.components.proof.checking import parts_of, said, standing_of, try_alone
from pages.components.states import heading
from unlearning_core.evaluation.suite import Part
from unlearning_core.evaluation.verdict import in_words
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.runs.proof_evidence import RACE, Outcome, attacks, outcomes
from unlearning_core.runs.run import Run

HELD, BROKEN = ":green[:material/shield: It held]", ":red[:material/lock_open: It broke in]"
NOT_TRIED = ":gray[:material/help: Not tried yet]"
ASIDE = ":gray[:material/info: Not counted]"

_IN_A_ROW = 3


def show_attacks(run: Run, verdict: dict[str, Any] | None, reasons: Mapping[str, str]) -> None:
    """The cards, three in a row."""
    cards = attacks()
    if not cards:
        return
    st.subheader("Try to break it")
    judged = (verdict or {}).get("states", {}).get((verdict or {}).get("state"), {})
    more = ""
    if judged.get("verdict") in ("not forgotten", "dimmed"):
        more = " This model has not forgotten: what was never gone counts here as brought back."
    st.caption(
        "Each tries to bring the concept back. It held: no more came back than from a model that never knew." + more
    )
    for first in range(0, len(cards), _IN_A_ROW):
        row = cards[first : first + _IN_A_ROW]
        for column, attack in zip(st.columns(_IN_A_ROW), row, strict=False):
            with column.container(border=True, height="stretch"):
                _card(run, attack, verdict, reasons.get(attack.name))


def _card(run: Run, attack: Part, verdict: dict[str, Any] | None, reason: str | None) -> None:
    came_to = outcomes(verdict, attack)
    edited = [outcome for outcome in came_to if outcome.state != NEVER_KNEW]
    word = NOT_TRIED if not edited else HELD if edited[-1].held else BROKEN if edited[-1].judges else ASIDE
    st.markdown(f"**{escaped(attack.title)}**  \n{word}")
    told = escaped(attack.sentence)
    if edited:
        told = f"{told.removesuffix(escaped('.'))}: {_came_of_it(attack, edited[-1])}"
    others = [outcome for outcome in came_to if not edited or outcome is not edited[-1]]
    st.markdown(f":small[{told}]" + (f"  \n:small[{_amounts(others)}]" if others else ""))
    if reason is not None:
        st.caption(f"It cannot be tried here. {escaped(reason)}")
        return
    quick = bool(verdict and verdict["quick"])
    label = "Try it again" if edited else "Try it"
    time = standing_of(run).time(parts_of(attack.name), quick=quick)
    if edited and time is not None and not time.stages:
        return
    if st.button(label, key=f"try {attack.name}", icon=":material/play_arrow:", help=said(time)):
        try_alone(run, attack.name, verdict)


def _came_of_it(attack: Part, outcome: Outcome) -> str:
    """The end of the card's sentence: how much came back, and how much may."""
    value, asked = (f"**{in_words(outcome.value, outcome.unit)}**", in_words(outcome.threshold, outcome.unit))
    if not outcome.judges:
        said = f"{value} came back, as after any cut that is undone."
    elif attack.name != RACE:
        said = f"{value} came back, at most {asked} may."
    elif outcome.unit == "share":
        said = f"half of it was back after {value} of the never-knew model's steps; at least {asked} are asked."
    else:
        said = f"half of it was back after {value} steps; at least {asked} are asked."
    return unbroken(said)


def _amounts(came_to: Sequence[Outcome]) -> str:
    return ", ".join(
        f"{heading(outcome.state)} {unbroken(in_words(outcome.value, outcome.unit))}" for outcome in came_to
    )
