"""The token rows of a run: which tokens belong to its concept alone, by its own text, and the edit that moves them."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelling import same_text_key
from unlearning_core.concepts.texts import read_texts
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.runs.checks import TextSetting, texts_named
from unlearning_core.runs.context import RunContext

if TYPE_CHECKING:
    from unlearning_core.activations.concept_tokens import ConceptTokens
    from unlearning_core.edits.token_rows import TokenRows
    from unlearning_core.models.loading import LoadedModel

TEXTS = 10_000
"""Of each text that the run names so many are read at most, beside its training sentences."""


def row_inputs(context: RunContext, settings: RowSettings) -> dict[str, Any] | None:
    """What the moved rows depend on, beside the labelled sentences and the model; None where none are moved."""
    from unlearning_core.activations.concept_tokens import RULES_VERSION

    if not settings.strength:
        return None
    sources = _sources(context)
    return {
        "settings": asdict(settings),
        "texts": [[context.text_fingerprint(source.value), source.options] for source in sources],
        "words": [list(context.concept.words), context.concept.inflections, context.concept.language],
        "version": RULES_VERSION,
        **context.rules(*(source.value for source in sources)),
    }


def run_concept_tokens(context: RunContext, tokenizer: Any, settings: RowSettings) -> "ConceptTokens":
    """The tokens of the run's concept, counted on its training sentences and on other text that it names.

    Raises:
        InputError: the sentences are not labelled yet, a text cannot be read, or the tokenizer gives no offsets.
    """
    from unlearning_core.activations.concept_tokens import concept_tokens

    return concept_tokens(
        tokenizer,
        context.matcher,
        context.sentences("train").items,
        _more_text(context),
        share=settings.share,
        broad_text=settings.broad_text,
        kept=settings.kept,
    )


def run_token_rows(
    context: RunContext, loaded: "LoadedModel", settings: RowSettings, found: "ConceptTokens | None" = None
) -> "TokenRows | None":
    """The edit of that model, or None where the settings ask for none or no token is the concept's alone.

    Args:
        found: what `run_concept_tokens` gives, if it is at hand.

    Raises:
        InputError: what `run_concept_tokens` and `make_token_rows` do.
    """
    from unlearning_core.edits.row_weights import make_token_rows

    if not settings.strength:
        return None
    found = found or run_concept_tokens(context, loaded.tokenizer, settings)
    return make_token_rows(loaded.model, found.ids, found.unseen, settings.strength) if len(found.ids) else None


def _sources(context: RunContext) -> list[TextSetting]:
    """The texts of the run: those that its sentences come from, and those that it retrains on."""
    named = [text for text in texts_named(context.config) if text.stage in ("label", "filter")]
    return [*{text.value: text for text in named}.values()]


def _more_text(context: RunContext) -> Iterator[str]:
    """The first texts of each source, unfiltered, without those that are labelled: most of these are measured on."""
    labelled = {same_text_key(item.text) for part in ("train", "held_out") for item in context.sentences(part).items}
    for source in _sources(context):
        texts = read_texts(context.source(source.value), limit=TEXTS, **source.options)
        yield from (text for text in texts if same_text_key(text) not in labelled)
