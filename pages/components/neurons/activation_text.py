"""A passage with each token on a ground that says how active a neuron is there, and tokens as badges."""

import re
from collections.abc import Iterable
from itertools import groupby

from pages.components.marked_text import escaped, styled
from unlearning_core.neurons.passages import Passage, Piece

_STEPS = (
    (2 / 3, (":red[{}]", ":orange-background[{}]")),
    (1 / 3, (":orange-background[{}]",)),
    (0.12, (":orange[{}]",)),
)
_BELOW = ((1 / 3, (":blue[{}]", ":blue-background[{}]")), (0.12, (":blue[{}]",)))
"""From which share of the largest absolute activation, and the marks, the inner first."""
_UNSEEN = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


def coloured(passage: Passage, scale: float) -> str:
    """Markdown of a passage.

    Args:
        scale: the largest absolute activation of all passages that are compared; steps of colour are shares of it.
    """
    parts = []
    for marks, pieces in groupby(passage.pieces, key=lambda piece: _marks(piece, scale)):
        text = "".join(piece.text for piece in pieces)
        # A colon that two pieces share would become an icon: a word joiner after it keeps it text.
        parts.append(styled(re.sub(r"\s+", " ", text).replace(":", ":\u2060"), *marks))
    return ("… " if passage.opens else "") + "".join(parts).strip() + (" …" if passage.goes_on else "")


def legend(scale: float) -> str:
    """Markdown: which colour stands for which activation, where `scale` is the largest absolute one."""
    above, below = (
        [styled(f"{sign}{share * scale:.2g}", *marks) for share, marks in reversed(steps)]
        for sign, steps in (("", _STEPS), ("−", _BELOW))
    )
    return f"Activation from {', '.join(above)} up; below zero from {', '.join(below)} down. **Bold**: the concept's."


def badges(tokens: Iterable[tuple[str, float]], colour: str) -> str:
    """Markdown: each token with its number, in a badge; white space is shown by signs."""
    return " ".join(f":{colour}-badge[{_visible(token)} {value:+.2f}]" for token, value in tokens)


def _marks(piece: Piece, scale: float) -> list[str]:
    share = 0.0 if piece.value is None or scale <= 0 else piece.value / scale
    colours = next((marks for least, marks in (_STEPS if share > 0 else _BELOW) if abs(share) >= least), ())
    return [*(["**{}**"] if piece.concept else []), *colours]


def _visible(token: str) -> str:
    return escaped("".join(_UNSEEN.get(sign, sign) for sign in token)) or "(nothing)"
