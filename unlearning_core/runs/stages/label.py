"""Label: mark the concept's words in the source, split the sentences, cap both parts."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unlearning_core.concepts.corrections import Corrections, LeftOut, forms_of, without
from unlearning_core.concepts.labelled_files import write_labelled
from unlearning_core.concepts.labelling import LabelledSet, LabelledText, label, label_text, same_text_key
from unlearning_core.concepts.matcher import Matcher, outside
from unlearning_core.concepts.neighbours import as_concept, with_neighbours
from unlearning_core.concepts.reading import Understood
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.tokens_labels import read as read_tokens_labels
from unlearning_core.errors import InputError
from unlearning_core.files import write_json
from unlearning_core.runs.checks import NO_TEXT
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.stages.stage import Summary


def corrections(context: RunContext) -> Corrections:
    """What the config leaves out of the sentences by hand."""
    probing = context.config.neural_probing
    return Corrections(tuple(probing.dropped_sentences), tuple(probing.dropped_words), tuple(probing.dropped_senses))


def label_inputs(context: RunContext) -> Any:
    probing, corrected = context.config.neural_probing, corrections(context)
    inputs = {
        "concept": asdict(context.concept),
        "sources": [
            context.text_fingerprint(source)
            for source in (
                probing.tokens_input_path,
                probing.labels_input_path,
                probing.sentences,
                probing.retain_corpus,
            )
        ],
        "settings": probing.model_dump(
            include={
                "target_label", "sentences_split", "sentences_column", "max_concept_sentences", "max_retain_sentences",
                "held_out",
            }
        ),
        "evaluation": context.config.evaluation.model_dump(),
        "seed": context.config.seed,
    }  # fmt: skip
    inputs |= context.rules(
        probing.sentences, probing.retain_corpus, probing.neighbour_corpus, probing.tokens_input_path
    )
    if said := probing.sentences_reading.model_dump(exclude_defaults=True):
        inputs["sentences_reading"] = said
    keys = {"retain_corpus_split", "retain_corpus_column", "retain_corpus_reading"}
    inputs |= {name: said for name, said in probing.model_dump(include=keys, exclude_defaults=True).items() if said}
    # Only where there are any: runs from before there were corrections or neighbours stay up to date.
    inputs |= {"left out": asdict(corrected)} if corrected else {}
    if not _has_neighbours(context):
        return inputs
    keys = {"neighbour_corpus_split", "neighbour_corpus_column"}
    if probing.neighbour_corpus_reading.model_dump(exclude_defaults=True):
        keys.add("neighbour_corpus_reading")
    return inputs | {
        "neighbours": asdict(context.neighbours) if context.neighbours else None,
        "neighbour_corpus": [context.text_fingerprint(probing.neighbour_corpus), probing.model_dump(include=keys)],
    }


def _has_neighbours(context: RunContext) -> bool:
    return bool(context.neighbours or context.config.neural_probing.neighbour_corpus)


def label_sentences(context: RunContext, folder: Path) -> Summary:
    """Mark the concept's words in the source, split by sentence, leave out what is corrected, and cap both parts.

    The split comes first: a correction moves no other sentence from one side to the other.

    Raises:
        InputError: the source has too little text, the corrections leave no sentence with the concept, or no neighbour
            is among the sentences that are measured on.
    """
    probing, seed = context.config.neural_probing, context.config.seed
    whole, understood = _whole_source(context)
    left_out = corrections(context).find(whole.items, context.concept)
    labelled = without(whole, left_out.keys)
    train, held_out = (without(part, left_out.keys) for part in whole.split(probing.held_out, seed))
    _check_left(train, held_out, left_out)
    most = context.config.evaluation.max_sentences
    train = train.take(probing.max_concept_sentences, probing.max_retain_sentences, seed)
    held_out = held_out.take(most, most, seed)
    write_labelled(folder / "data" / "train.jsonl", train.items)
    write_labelled(folder / "data" / "held_out.jsonl", held_out.items)
    summary = {
        "sentences": len(labelled.items),
        "with_concept": len(labelled.with_concept),
        "duplicates": labelled.duplicates,
        "missing_words": labelled.missing,
        "left_out": len(left_out.keys),
        "train": [len(train.with_concept), len(train.without)],
        "held_out": [len(held_out.with_concept), len(held_out.without)],
    }
    details: dict[str, Any] = {
        "words": labelled.counts, "forms": forms_of(labelled.items), "corrections": _counted(left_out)
    }  # fmt: skip
    if understood is not None:
        details["understood"] = understood.sentence()
    if _has_neighbours(context):
        details["neighbours"] = _neighbour_facts(context, labelled, train, held_out)
    write_json(folder / "data" / "concept.json", details | summary)
    return summary


def _neighbour_facts(
    context: RunContext, labelled: LabelledSet, train: LabelledSet, held_out: LabelledSet
) -> dict[str, Any]:
    """How many sentences have a neighbour and no concept word, and how often each word of theirs occurs anywhere.

    Raises:
        InputError: no sentence that is measured on has one.
    """
    if not any(item.neighbours for item in held_out.items):
        found = sum(bool(item.neighbours) for item in labelled.items)
        raise InputError(
            f"A neighbour stands in {found} of the {len(labelled.items)} sentences, and in none of those that are "
            "measured on. Give more text about neighbours (neural_probing.neighbour_corpus), or raise "
            "neural_probing.held_out."
        )
    words = context.neighbours.words if context.neighbours else ()
    seen = LabelledSet([as_concept(item) for item in labelled.items], vocabulary=words)
    return {
        "sentences": len(labelled.with_neighbour),
        "train": len(train.with_neighbour),
        "held_out": len(held_out.with_neighbour),
        "words": seen.counts if words else {},
        "forms": forms_of(seen.items) if words else {},
        "missing_words": seen.missing,
    }


def _counted(left_out: LeftOut) -> dict[str, list[int]]:
    return {name: list(getattr(left_out, name)) for name in ("sentences", "words", "senses")}


def _check_left(train: LabelledSet, held_out: LabelledSet, left_out: LeftOut) -> None:
    for part, purpose in ((train, "rank on"), (held_out, "measure on")):
        if not part.with_concept:
            raise InputError(
                f"The corrections leave out {len(left_out.keys)} sentences, and none with the concept is left to "
                f"{purpose}. Take some back: neural_probing.dropped_words, dropped_senses or dropped_sentences."
            )


def labelled_source(context: RunContext) -> LabelledSet:
    """The sentences of the config's source, labelled and corrected; raises InputError when the config names none."""
    labelled, _ = _whole_source(context)
    return without(labelled, corrections(context).find(labelled.items, context.concept).keys)


def _whole_source(context: RunContext) -> tuple[LabelledSet, Understood | None]:
    """All sentences, labelled, and what their text was understood as, where it is text."""
    probing, understood = context.config.neural_probing, None
    if probing.tokens_input_path and probing.labels_input_path:
        files = context.source(probing.tokens_input_path), context.source(probing.labels_input_path)
        labelled = read_tokens_labels(*files, probing.target_label)
        labelled = _with_matches(labelled, context)
    elif probing.sentences:
        texts = read_texts(
            context.source(probing.sentences),
            split=probing.sentences_split,
            column=probing.sentences_column,
            **probing.sentences_reading.model_dump(),
            progress=context.progress,
        )
        labelled, understood = label(as_sentences(texts), context.matcher, context.progress), texts.understood
    else:
        raise InputError(NO_TEXT)
    if probing.retain_corpus:
        texts = read_texts(
            context.source(probing.retain_corpus),
            split=probing.retain_corpus_split,
            column=probing.retain_corpus_column,
            **probing.retain_corpus_reading.model_dump(),
        )
        seen = {same_text_key(item.text) for item in labelled.items}
        more = (label_text(text, context.matcher) for text in as_sentences(texts))
        added = [item for item in more if not item.spans and same_text_key(item.text) not in seen]
        labelled = LabelledSet([*labelled.items, *added], labelled.duplicates, labelled.vocabulary)
    return _with_neighbours(labelled, context) if _has_neighbours(context) else labelled, understood


def _with_neighbours(labelled: LabelledSet, context: RunContext) -> LabelledSet:
    probing = context.config.neural_probing
    texts: Iterable[str] = ()
    if probing.neighbour_corpus:
        texts = read_texts(
            context.source(probing.neighbour_corpus),
            split=probing.neighbour_corpus_split,
            column=probing.neighbour_corpus_column,
            **probing.neighbour_corpus_reading.model_dump(),
            progress=context.progress,
        )
    words = Matcher(context.neighbours) if context.neighbours else None
    return with_neighbours(labelled, context.matcher, words, as_sentences(texts))


def _with_matches(labelled: LabelledSet, context: RunContext) -> LabelledSet:
    """Add to a labels file what it leaves among the negatives: further matches and inflected forms of the words."""
    items = []
    for item in labelled.items:
        new = [((span.start, span.end), span.word) for span in outside(context.matcher.spans(item.text), item.spans)]
        pairs = sorted([*zip(item.spans, item.words, strict=True), *new])
        items.append(LabelledText(item.text, tuple(span for span, _ in pairs), tuple(word for _, word in pairs)))
    return LabelledSet(items, labelled.duplicates, context.concept.words)
