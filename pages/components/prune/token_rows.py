"""The other half of the edit: how far the rows of the concept's own tokens are reset, and which tokens these are."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import changed
from pages.components.marked_text import escaped
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import digest
from unlearning_core.runs.token_rows import row_inputs, run_concept_tokens, run_token_rows

if TYPE_CHECKING:
    from unlearning_core.activations.concept_tokens import ConceptTokens
    from unlearning_core.edits.token_rows import TokenRows
    from unlearning_core.models.loading import LoadedModel

_NAMED = 8
"""Tokens that keep their rows and are named."""


def rows_of_cut(
    run: Run, loaded: "LoadedModel", settings: RowSettings
) -> "tuple[TokenRows | None, ConceptTokens | None]":
    """The rows that these settings move in the run's base, and the list of tokens; neither where they move none."""
    if not settings.strength:
        return None, None
    context = RunContext(run)
    listed = row_inputs(context, replace(settings, strength=1.0, kept=()))
    found = _counted(digest([listed, run.fingerprint("label"), context.base_fingerprint]), context, loaded, settings)
    found = found.without(settings.kept)
    return run_token_rows(context, loaded, settings, found), found


@st.cache_data(max_entries=8, show_spinner="Counting which tokens belong to the concept alone")
def _counted(key: str, _context: RunContext, _loaded: Any, _settings: RowSettings) -> "ConceptTokens":
    return run_concept_tokens(_context, _loaded.tokenizer, replace(_settings, kept=()))


def size_of_rows(found: "ConceptTokens | None", place: DeltaGenerator) -> None:
    """How many tokens are reset and what they cover, in `place`."""
    if found is None:
        return
    place.metric("Tokens reset", f"{len(found.ids):,}")
    place.caption(f"{100 * found.covered:.3g} % of the concept's tokens")


def token_list(run: Run, found: "ConceptTokens | None", settings: RowSettings) -> None:
    """The tokens with their counts, each to be switched off; what is switched is kept with the run."""
    if found is None:
        st.caption("Move the slider of the token rows to see which tokens belong to the concept alone.")
        return
    table = found.table
    own = table[table["own"]]
    if own.empty:
        st.info(
            "No token belongs to the concept alone: its words share all their tokens with others, so no row can be "
            "reset. The cut neurons have to do it.", icon=":material/info:",
        )  # fmt: skip
    else:
        _switches(run, own)
        shown = [name for name in _COLUMNS if settings.broad_text or name != "broad_outside"]
        readable = own[shown].assign(token=own["token"].map(_as_read))
        st.dataframe(readable, hide_index=True, height=220, column_config=_COLUMNS)
    left = table[~table["own"] & (table["inside"] > 0)]
    shared = left["share"] < settings.share
    for why, some in (("Shared with other words", left[shared]), ("Too rare to tell", left[~shared])):
        if names := [escaped(_as_read(token)) for token in some["token"][:_NAMED]]:
            more = f" and {len(some) - _NAMED:,} more" if len(some) > _NAMED else ""
            st.caption(f"{why}, so their rows stay: {', '.join(names)}{more}.")


_COLUMNS = {
    "token": st.column_config.TextColumn("Token", help="␣ is a space before it."),
    "inside": st.column_config.NumberColumn("In the concept", help="Times in this run's text, inside concept words."),
    "outside": st.column_config.NumberColumn("In other text", help="Times in this run's text, outside them."),
    "broad_outside": st.column_config.NumberColumn(
        "In everyday text", format="%.1f", help="Times in words outside it, of a million words of everyday text."
    ),
    "share": st.column_config.NumberColumn(
        "Share", format="percent", help="What lies inside, the lower of both texts."
    ),
}


def _as_read(token: str) -> str:
    """A token of a vocabulary with its space as a sign that can be seen."""
    return token.replace("Ġ", "␣").replace("▁", "␣")


def _switches(run: Run, own: pd.DataFrame) -> None:
    tokens = own["token"].tolist()
    on = own.loc[own["reset"], "token"].tolist()
    key = f"tokens {run.id} {digest([tokens, on])[:12]}"

    def switch() -> None:
        kept = [token for token in tokens if token not in st.session_state[key]]
        rows = run.config.neural_probing.token_rows
        run.save_config(changed(run.config, neural_probing={"token_rows": rows.model_dump() | {"kept": kept}}))

    st.pills(
        "These are reset; a token that is switched off keeps its row", tokens, default=on, selection_mode="multi",
        format_func=_as_read, key=key, on_change=switch,
    )  # fmt: skip
