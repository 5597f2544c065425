"""A passage with each token on a ground that says how active a neuron is there, and tokens as badges."""

from collections.abc import Iterable
from itertools import groupby

from pages.components.marked_text import escaped
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
    styled = [(_style(piece, scale), piece.text) for piece in passage.pieces]
    parts = [
        _marked("".join(text for _, text in pieces), *style)
        for style, pieces in groupby(styled, key=lambda pair: pair[0])
    ]
    return ("… " if passage.opens else "") + "".join(parts).strip() + (" …" if passage.goes_on else "")


def badges(tokens: Iterable[tuple[str, float]], colour: str) -> str:
    """Markdown: each token with its number, in a badge; white space is shown by signs."""
    return " ".join(f":{colour}-badge[{_visible(token)} {value:+.2f}]" for token, value in tokens)


def _style(piece: Piece, scale: float) -> tuple[str, bool]:
    share = 0.0 if piece.value is None or scale <= 0 else piece.value / scale
    steps = _STEPS if share > 0 else _BELOW
    return next((colour for least, colour in steps if abs(share) >= least), ""), piece.concept


def _marked(text: str, colour: str, concept: bool) -> str:
    """`text` in a style; markdown's signs must touch a letter, so white space stays outside of them."""
    inner = text.strip()
    if not inner:
        return " " if text else ""
    before, after = text[: text.index(inner)], text[text.index(inner) + len(inner) :]
    # A colon that two pieces share would become an icon: a word joiner after it keeps it text.
    shown = escaped(" ".join(inner.split("\n")).replace(":", ":\u2060"))
    if concept:
        shown = f"**{shown}**"
    if colour:
        shown = f":{colour}[{shown}]"
    return (" " if before else "") + shown + (" " if after else "")


def _visible(token: str) -> str:
    return escaped("".join(_UNSEEN.get(sign, sign) for sign in token)) or "(nothing)"
