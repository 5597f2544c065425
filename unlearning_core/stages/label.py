"""Label: mark the concept's words in the source, split the sentences, cap both parts."""

from dataclasses import asdict
from typing import Any

from unlearning_core.concepts.labelling import LabelledSet, LabelledText, label, label_text, same_text_key
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.tokens_labels import read as read_tokens_labels
from unlearning_core.errors import InputError
from unlearning_core.files import write_json
from unlearning_core.stages.stage import Summary, identity
from unlearning_core.work import Work


def label_inputs(work: Work) -> Any:
    probing = work.config.neural_probing
    return {
        "concept": asdict(work.concept),
        "sources": [
            identity(source)
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
        "evaluation": work.config.evaluation.model_dump(),
        "seed": work.config.seed,
    }  # fmt: skip


def label_sentences(work: Work) -> Summary:
    """Mark the concept's words in the source, split by sentence, and cap both parts."""
    probing, seed = work.config.neural_probing, work.config.seed
    labelled = labelled_source(work)
    train, held_out = labelled.split(probing.held_out, seed)
    most = work.config.evaluation.max_sentences
    train = train.take(probing.max_concept_sentences, probing.max_retain_sentences, seed)
    held_out = held_out.take(most, most, seed)
    work.save_sentences("train", train)
    work.save_sentences("held_out", held_out)
    summary = {
        "sentences": len(labelled.items),
        "with_concept": len(labelled.with_concept),
        "duplicates": labelled.duplicates,
        "missing_words": labelled.missing,
        "train": [len(train.with_concept), len(train.without)],
        "held_out": [len(held_out.with_concept), len(held_out.without)],
    }
    write_json(work.run.folder / "data" / "concept.json", {"words": labelled.counts} | summary)
    return summary


def labelled_source(work: Work) -> LabelledSet:
    """All sentences of the config's source, labelled; raises InputError when the config names none."""
    probing = work.config.neural_probing
    if probing.tokens_input_path and probing.labels_input_path:
        labelled = read_tokens_labels(probing.tokens_input_path, probing.labels_input_path, probing.target_label)
        labelled = _with_matches(labelled, work)
    elif probing.sentences:
        texts = read_texts(
            probing.sentences, split=probing.sentences_split, column=probing.sentences_column, progress=work.progress
        )
        labelled = label(as_sentences(texts), work.matcher, work.progress)
    else:
        raise InputError(
            "The config names no text: give neural_probing.sentences, or neural_probing.tokens_input_path with "
            "labels_input_path. No text at hand? `python -m unlearning_core sentences` lets the model write it."
        )
    if probing.retain_corpus:
        seen = {same_text_key(item.text) for item in labelled.items}
        more = (label_text(text, work.matcher) for text in as_sentences(read_texts(probing.retain_corpus)))
        added = [item for item in more if not item.spans and same_text_key(item.text) not in seen]
        labelled = LabelledSet([*labelled.items, *added], labelled.duplicates, labelled.vocabulary)
    return labelled


def _with_matches(labelled: LabelledSet, work: Work) -> LabelledSet:
    """Add to a labels file what it leaves among the negatives: further matches and inflected forms of the words."""
    items = []
    for item in labelled.items:
        found = label_text(item.text, work.matcher)
        new = [
            (span, word)
            for span, word in zip(found.spans, found.words, strict=True)
            if all(span[1] <= start or end <= span[0] for start, end in item.spans)
        ]
        pairs = sorted([*zip(item.spans, item.words, strict=True), *new])
        items.append(LabelledText(item.text, tuple(span for span, _ in pairs), tuple(word for _, word in pairs)))
    return LabelledSet(items, labelled.duplicates, work.concept.words)
