"""A card for each attempt to bring the concept back: what it does, what came of it, and a button that tries it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components.marked_text import escaped, unbroken
from pages.components.proof.attack_evidence import show_evidence
from pages.components.proof.checking import parts_of, said, standing_of, try_alone
from pages.components.states import heading
from unlearning_core.evaluation.suite import Part
from unlearning_core.evaluation.verdict import in_words
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.runs.proof_evidence import RACE, Outcome, attacks, outcomes
from unlearning_core.runs.run import Run

HELD, BROKEN = ":green[:material/shield: It held]", ":red[:material/lock_open: It broke in]"
NOT_TRIED = ":gray[:material/help: Not tried yet]"
ASIDE = ":gray[:material/info: Not counted: it shows where the concept lives]"


def show_attacks(run: Run, verdict: dict[str, Any] | None, reasons: Mapping[str, str]) -> None:
    """The cards, two in a row."""
    cards = attacks()
    if not cards:
        return
    st.subheader("Try to break it")
    st.caption("Each tries to bring the concept back. It held: no more came back than from a model that never knew.")
    judged = (verdict or {}).get("states", {}).get((verdict or {}).get("state"), {})
    if judged.get("verdict") in ("not forgotten", "dimmed"):
        st.caption("This model has not forgotten: what was never gone counts here as brought back.")
    # The race has a wide figure and a row of its own.
    rows = [cards[:1], *(cards[first : first + 2] for first in range(1, len(cards), 2))]
    for row in rows:
        for column, attack in zip(st.columns(min(2, len(row)) if row is not rows[0] else 1), row, strict=False):
            with column.container(border=True, height="stretch"):
                _card(run, attack, verdict, reasons.get(attack.name))


def _card(run: Run, attack: Part, verdict: dict[str, Any] | None, reason: str | None) -> None:
    came_to = outcomes(verdict, attack)
    edited = [outcome for outcome in came_to if outcome.state != NEVER_KNEW]
    word = NOT_TRIED if not edited else HELD if edited[-1].held else BROKEN if edited[-1].judges else ASIDE
    st.markdown(f"**{escaped(attack.title)}**  \n{word}")
    st.markdown(escaped(attack.sentence))
    if came_to:
        st.markdown(f"{_of_what(attack, came_to[0])}: {_amounts(came_to)}")
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


def _of_what(attack: Part, outcome: Outcome) -> str:
    """What the numbers of an attack are."""
    asked = in_words(outcome.threshold, outcome.unit)
    if attack.name != RACE:
        return f"Brought back, at most {asked} asked"
    if outcome.unit == "share":
        return f"Steps until half is back, beside those of the never-knew model, at least {asked} asked"
    return f"Steps until half is back, at least {asked} asked"


def _amounts(came_to: Sequence[Outcome]) -> str:
    return ", ".join(
        f"{heading(outcome.state)} {unbroken(in_words(outcome.value, outcome.unit))}" for outcome in came_to
    )
