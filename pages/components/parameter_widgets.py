"""One widget for each parameter of a ranking method, from the method's own description of it."""

import typing
from typing import Any, Literal

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo


def choose_parameters(model: type[BaseModel], known: dict[str, Any], key: str) -> dict[str, Any]:
    """Values by name, beginning with those in `known`."""
    values: dict[str, Any] = {}
    if not model.model_fields:
        return values
    with st.expander("Parameters of the method"):
        for name, field in model.model_fields.items():
            values[name] = _widget(name, field, known.get(name, field.default), f"{key} {name}")
    return values


def _widget(name: str, field: FieldInfo, value: Any, key: str) -> Any:
    title, about = name.replace("_", " ").capitalize(), field.description
    kind = field.annotation
    if typing.get_origin(kind) is Literal:
        options = list(typing.get_args(kind))
        return st.selectbox(title, options, index=options.index(value) if value in options else 0, help=about, key=key)
    if kind is bool:
        return st.toggle(title, bool(value), help=about, key=key, wrap=True)
    if kind is int:
        return int(st.number_input(title, value=int(value), step=1, help=about, key=key))
    if kind is float:
        return st.number_input(title, value=float(value), step=None, format="%g", help=about, key=key)
    return st.text_input(title, str(value), help=about, key=key)
