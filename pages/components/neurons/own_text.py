"""A text of the visitor's own on one neuron: how active it is at each token."""

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.neurons.activation_text import coloured, legend
from unlearning_core.figures.token_layers import token_bars
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

_LONGEST = 2_000
"""Signs of a text that is read."""


def on_own_text(run: Run, loaded: "LoadedModel", neuron: Neuron, usual: float) -> None:
    """A field, and the text in it coloured by the neuron's activation in the base model.

    Args:
        run: whose concept's words are marked.
        loaded: its base model.
        neuron: the neuron.
        usual: the largest absolute activation in the run's sentences: colours are shares of it, or of what is larger.
    """
    from unlearning_core.concepts.labelling import label_text
    from unlearning_core.neurons.passages import Passage, whole
    from unlearning_core.neurons.reading import read_neuron

    text = st.text_area(
        "Text", key=f"own text {run.id}", height=80, max_chars=_LONGEST, placeholder="Grandma sat down on the chair.",
        help="Read by the base model, as it is before anything is cut.",
    )  # fmt: skip
    if not text or not text.strip():
        st.caption("Write a text to see at which of its words the neuron is active.")
        return
    traces = read_neuron(loaded, [label_text(text, RunContext(run).matcher)], neuron)
    if not traces:
        st.caption("The tokenizer finds no token in this text.")
        return
    pieces = whole(loaded.tokenizer, traces[0], skip_first=run.config.neural_probing.skip_first_position)
    values = [piece.value for piece in pieces if piece.value is not None]
    scale = max([usual, *map(abs, values)])
    st.markdown(coloured(Passage(pieces, max(values, default=0.0), ""), scale))
    st.caption(legend(scale))
    st.plotly_chart(token_bars(pieces), key="own text bars", alt="The neuron's activation at each token of the text")
    if pieces[0].value is None:
        st.caption("The first position is not counted: models park their attention there.")
