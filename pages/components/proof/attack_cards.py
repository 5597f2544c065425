"""A card for each attempt to bring the concept back: what it does, what came of it, and a button that tries it."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.components.marked_text import escaped
from pages.components.proof.attack_evidence import show_evidence
from pages.components.proof.checking import parts_of, said, standing_of, try_alone
from pages.components.states import heading
from unlearning_core.evaluation.suite import Part
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.runs.proof_evidence import RACE, attacks, outcomes
from unlearning_core.runs.run import Run

HELD, BROKEN = ":green[:material/shield: It held]", ":red[:material/lock_open: It broke in]"
NOT_TRIED = ":gray[:material/help: Not tried yet]"


def show_attacks(run: Run, verdict: dict[str, Any] | None, reasons: Mapping[str, str]) -> None:
    """The cards, two in a row."""
    cards = attacks()
    if not cards:
        return
    st.subheader("Try to break it")
    st.caption("Each tries to bring the concept back. It held: no more came back than from a model that never knew.")
    # The race has a wide figure and a row of its own.
    rows = [cards[:1], *(cards[first : first + 2] for first in range(1, len(cards), 2))]
    for row in rows:
        for column, attack in zip(st.columns(min(2, len(row)) if row is not rows[0] else 1), row, strict=False):
            with column.container(border=True, height="stretch"):
                _card(run, attack, verdict, reasons.get(attack.name))


def _card(run: Run, attack: Part, verdict: dict[str, Any] | None, reason: str | None) -> None:
    came_to = outcomes(verdict, attack)
    edited = [outcome for outcome in came_to if outcome.state != NEVER_KNEW]
    word = NOT_TRIED if not edited else HELD if edited[-1].held else BROKEN
    st.markdown(f"**{escaped(attack.title)}**  \n{word}")
    st.markdown(escaped(attack.sentence))
    for outcome in came_to:
        st.markdown(f"{heading(outcome.state)} {escaped(outcome.sentence.partition(': ')[2])}")
    if reason is not None:
        st.caption(f"It cannot be tried here. {escaped(reason)}")
        return
    if came_to:
        with st.expander("Evidence", expanded=attack.name == RACE):
            show_evidence(run, attack)
    quick = bool(verdict and verdict["quick"])
    label = "Try it again" if edited else "Try it"
    time = standing_of(run).time(parts_of(attack.name), quick=quick)
    if edited and time is not None and not time.stages:
        return
    if st.button(label, key=f"try {attack.name}", icon=":material/play_arrow:"):
        try_alone(run, attack.name, verdict)
    st.caption(said(time))
