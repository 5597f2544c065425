"""The settings that a recipe search begins with, from a model, a concept's words and text about it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unlearning_core.concepts.labelling import label_text
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.words import Concept
from unlearning_core.config.reading import build_config, find_path, override, read_config_values, starter_file
from unlearning_core.config.reading import starter_names as starters
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.evaluation.prompts import prompts_about
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.prompts import OF_THE_OLD_CONCEPT
from unlearning_core.runs.store import digest

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

REAL_ENGLISH = "smollm2"
"""The starter whose experiment is that of every model which has none of its own."""

OWN_SHARE = 0.01
"""Share cut by default of a model that is no starter: SmolLM2's would cut nothing of a small one."""

LEAST = 150
"""Sentences with the concept, and without it, from which a text that is at hand is enough."""

WRITTEN, SHARE_WRITTEN = 300, 0.8
"""Sentences that the model writes where no text is at hand, and how many of them with the concept: text without it is
at hand for every model (what SmolLM2 wrote about other things)."""

LEAST_NEIGHBOURS = 12
"""Sentences with a neighbour, and without the concept, that the text must have for neighbours to be measured."""


def own_concept(model: str, concept: str) -> bool:
    """Whether the concept is the one that the experiment of this model is about already, by its name."""
    named = values_of(model)["neural_probing"].get("activations_label")
    return bool(named) and concept.strip().casefold() == str(named).casefold()


def values_of(model: str) -> dict[str, Any]:
    """The ready-made experiment that fits a model, with that model in it."""
    own = model in starters()
    values = read_config_values(starter_file(model if own else REAL_ENGLISH))
    if not own:
        values["base_model"] = {"base_model_path": find_path(model, Path.cwd())}
        values["neural_probing"]["prune_ratio"] = OWN_SHARE
    return values


def built(values: dict[str, Any], assignments: Sequence[str]) -> ExperimentConfig:
    """Settings with a person's own in place of the proposed ones; raises InputError as `build_config`."""
    return build_config(override(values, assignments), origin="The proposed settings", folder=Path.cwd())


def about(
    model: str, concept: Concept, name: str, neighbours: Sequence[str], text: str, retain: str | None
) -> dict[str, Any]:
    """The experiment of a model with another concept in the place of its own.

    Args:
        name: what the concept is called.
        neighbours: words that must stay; those the text says too little about are left out, or all of them.
        text: with and without the concept: file, folder or dataset.
        retain: more text without it, or None.

    Raises:
        InputError: the text has no sentence with the concept.
    """
    values = values_of(model)
    texts = [sentence for source in (text, retain) if source for sentence in as_sentences(read_texts(source))]
    matcher = Matcher(concept)
    with_concept = [label_text(sentence, matcher) for sentence in texts if matcher.matches(sentence)]
    without = [sentence for sentence in texts if not matcher.matches(sentence)]
    if len(with_concept) < 2:
        raise InputError(
            f"{text} has {len(with_concept)} sentences with {', '.join(concept.words[:5])}; a concept needs some "
            "dozens. Give text about it with --sentences, or other words."
        )
    values["neural_probing"] |= {
        "concept_definition": list(concept.words), "activations_label": name, "language": concept.language,
        "sentences": text, "retain_corpus": retain,
        "neighbours": known_neighbours(neighbours, without, concept.language) or None,
    }  # fmt: skip
    values["never_knew"] = {}
    for section, changes in OF_THE_OLD_CONCEPT.items():
        values[section] = values[section] | changes if isinstance(changes, dict) else changes
    few = [label_text(sentence, matcher) for sentence in without[:50]]
    values["test_prompts"] = prompts_about([*with_concept[:200], *few])
    return values


def known_neighbours(words: Sequence[str], sentences: Sequence[str], language: str) -> list[str]:
    """The words that occur in the sentences; none where too few sentences have any of them."""
    if not words:
        return []
    matcher = Matcher(Concept(tuple(words), language=language))
    found = [{span.word.casefold() for span in matcher.spans(sentence)} for sentence in sentences]
    said = set().union(*found) if found else set()
    return [word for word in words if word.casefold() in said] if sum(map(bool, found)) >= LEAST_NEIGHBOURS else []


class Text(NamedTuple):
    """The text that a concept is labelled in.

    Attributes:
        source: with and without the concept: file, folder or dataset.
        retain: more text without it, or None.
    """

    source: str
    retain: str | None


def text_about(
    model: str,
    concept: Concept,
    given: str | None,
    root: Path,
    load: "Callable[[], LoadedModel]",
    progress: ProgressCallback,
    say: Callable[[str], object],
) -> Text:
    """The text that a person gave; without it what is at hand for the model; without that what the model writes.

    Args:
        root: of the runs, where written text is kept.
        load: gives the model to write with.
        say: is told which text it is, and why, in sentences; the writing may take long.

    Raises:
        WorkFailed: the model writes nothing usable about the concept.
    """
    if given is not None:
        return Text(given, None)
    at_hand, why = text_at_hand(model, concept)
    if why:
        say(why)
    if at_hand is not None:
        say(f"Text: {at_hand}")
        return Text(at_hand, None)
    text = Text(written_text(load, model, concept, root, progress), text_without(model))
    say(f"Text: {text.source}, written by the model; more without the concept: {text.retain or 'none'}")
    return text


def text_at_hand(model: str, concept: Concept) -> tuple[str | None, str]:
    """The text of the model's own experiment where it says enough about the concept, else None; and why, in a sentence.

    The sentence is empty for a model that has no text of its own.
    """
    if model not in starters():
        return None, ""
    source = find_path(values_of(model)["neural_probing"]["sentences"], Path.cwd())
    matcher, counts = Matcher(concept), {True: 0, False: 0}
    for sentence in as_sentences(read_texts(source)):
        counts[matcher.matches(sentence)] += 1
        if min(counts.values()) >= LEAST:
            return source, f"The text that comes with {model} says enough about it."
    few = f"{counts[True]} sentences with it and {counts[False]} without"
    return None, f"The text that comes with {model} has {few}, of the {LEAST} of each that it takes: it is not used."


def text_without(model: str) -> str | None:
    """Text about other things that goes with a written one: what SmolLM2 wrote; None for a world of its own."""
    if model in starters() and model != REAL_ENGLISH:
        return None
    return find_path(values_of(REAL_ENGLISH)["neural_probing"]["sentences"], Path.cwd())


def written_text(
    load: "Callable[[], LoadedModel]", model: str, concept: Concept, root: Path, progress: ProgressCallback
) -> str:
    """Text about the concept that the model writes, kept under `root`; a stopped writing goes on.

    Raises:
        WorkFailed: the model writes nothing usable.
    """
    from unlearning_core.writing.writer import WriterSettings, write_sentences

    alone = text_without(model) is None
    settings = WriterSettings(
        model, concept.words, WRITTEN, concept_share=0.5 if alone else SHARE_WRITTEN, extra_tokens="refuse"
    )
    key = digest([model, concept.words, concept.language, WRITTEN, settings.concept_share])[:16]
    target = root.resolve() / ".written" / f"{key}.jsonl"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_sentences(load(), concept, target, settings, progress)
    return str(target)
