"""A passage with each token on a ground that says how active a neuron is there, and tokens as badges."""

import re
from collections.abc import Iterable
from itertools import groupby

from pages.components.marked_text import escaped, styled
from unlearning_core.neurons.passages import Passage, Piece

LEGEND = (
    "Activation: :yellow-background[some] :orange-background[more] :red-background[most], below zero "
    ":blue[some] :blue-background[much]. Words of the concept are **bold**."
)
_STEPS = ((2 / 3, "red-background"), (1 / 3, "orange-background"), (0.12, "yellow-background"))
_BELOW = ((1 / 3, "blue-background"), (0.12, "blue"))
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


def badges(tokens: Iterable[tuple[str, float]], colour: str) -> str:
    """Markdown: each token with its number, in a badge; white space is shown by signs."""
    return " ".join(f":{colour}-badge[{_visible(token)} {value:+.2f}]" for token, value in tokens)


def _marks(piece: Piece, scale: float) -> list[str]:
    share = 0.0 if piece.value is None or scale <= 0 else piece.value / scale
    colours = [f":{colour}[{{}}]" for least, colour in (_STEPS if share > 0 else _BELOW) if abs(share) >= least]
    return (["**{}**"] if piece.concept else []) + colours[:1]


def _visible(token: str) -> str:
    return escaped("".join(_UNSEEN.get(sign, sign) for sign in token)) or "(nothing)"
