"""The token rows of a run: which tokens belong to its concept alone, by its own text, and the edit that moves them."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelling import same_text_key
from unlearning_core.concepts.texts import read_texts
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.filtered import named_texts

if TYPE_CHECKING:
    from unlearning_core.activations.concept_tokens import ConceptTokens
    from unlearning_core.edits.token_rows import TokenRows
    from unlearning_core.models.loading import LoadedModel

TEXTS = 10_000
"""Of the text that the run retrains on so many are read, beside its training sentences."""


def row_inputs(context: RunContext, settings: RowSettings) -> dict[str, Any] | None:
    """What the moved rows depend on, beside the labelled sentences and the model; None where none are moved."""
    from unlearning_core.activations.concept_tokens import RULES_VERSION

    if not settings.strength:
        return None
    training = context.config.retraining
    reading = {"dataset_split", "dataset_column", "dataset_reading"}
    return {
        "settings": asdict(settings),
        "texts": [context.text_fingerprint(source) for source in named_texts(context)],
        "reading": training.model_dump(include=reading, exclude_defaults=True),
        "words": [list(context.concept.words), context.concept.inflections, context.concept.language],
        "version": RULES_VERSION,
        **context.rules(*named_texts(context)),
    }


def run_concept_tokens(context: RunContext, tokenizer: Any, settings: RowSettings) -> "ConceptTokens":
    """The tokens of the run's concept, counted on its training sentences and on the text that it retrains on.

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


def run_token_rows(context: RunContext, loaded: "LoadedModel", settings: RowSettings) -> "TokenRows | None":
    """The edit of that model, or None where the settings ask for none or no token is the concept's alone.

    Raises:
        InputError: what `run_concept_tokens` and `make_token_rows` do.
    """
    from unlearning_core.edits.row_weights import make_token_rows

    if not settings.strength:
        return None
    found = run_concept_tokens(context, loaded.tokenizer, settings)
    return make_token_rows(loaded.model, found.ids, found.unseen, settings.strength) if len(found.ids) else None


def _more_text(context: RunContext) -> Iterator[str]:
    """The first texts of those that the run retrains on, unfiltered, without any that the models are measured on."""
    training = context.config.retraining
    measured = {same_text_key(item.text) for item in context.sentences("held_out").items}
    for source in named_texts(context):
        texts = read_texts(
            context.source(source),
            split=training.dataset_split,
            column=training.dataset_column,
            **training.dataset_reading.model_dump(),
        )
        yield from (text for text in islice(texts, TEXTS) if same_text_key(text) not in measured)
