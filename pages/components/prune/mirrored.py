"""Widgets of which several show one value: the slider and the field of the ratio, the shares of layers.

A browser sends every widget's value with every click, also what it showed before it heard of the last change. Streamlit
takes such an echo for a choice, and the cut would jump back: two quick steps of the slider, and the field beside it has
chosen the value before the first. So a widget whose value something else has changed gets another key: what is still on
its way then belongs to a widget that is gone, and is not heeded.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st

_VERSIONS = "mirrored widgets"
_DIGITS = 6
"""Decimals in which numbers are the same: the browser's steps add fractions without an end."""


def mirrored(name: str, value: Any, go: Callable[[Any], None]) -> dict[str, Any]:
    """`key` and `on_change` of a widget that shows `value`.

    Args:
        name: of the widget, in the visitor's session.
        go: called with what a person chooses; from then on the page passes that as `value`.
    """
    versions: dict[str, int] = st.session_state.setdefault(_VERSIONS, {})
    number = versions.setdefault(name, 0)
    if (known := st.session_state.get(f"{name} #{number}")) is not None and _rounded(known) != _rounded(value):
        number = versions[name] = number + 1
    key = f"{name} #{number}"
    if key not in st.session_state:
        st.session_state[key] = value

    def chosen() -> None:
        if st.session_state[_VERSIONS][name] == number:
            go(st.session_state[key])

    return {"key": key, "on_change": chosen}


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value
