"""The matcher, the files and the splitter on real text, when it lies beside the checkout."""

from collections import Counter
from pathlib import Path

import pytest

from unlearning_core.concepts import tokens_labels
from unlearning_core.concepts.labelling import label
from unlearning_core.concepts.lemmas import readings
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.concepts.words import Concept, read_words

SEATS = "chair seat sofa couch armchair recliner bench stool loveseat ottoman settee throne sit"
ANIMALS = (
    "animal dog cat bird horse fish cow pig sheep goose mouse wolf lion tiger bear rabbit duck hen chicken snake frog "
    "monkey elephant fox deer ox kitten puppy pet calf"
)
VERBS = "go run lie leave see find take give speak write drive break lose hold bring buy think make get begin fly eat"


def tagged_words(shared: Path) -> Counter[tuple[str, str, str]]:
    """(form, lemma, part of speech) of the content words of the treebank, lower case, with how often."""
    words: Counter[tuple[str, str, str]] = Counter()
    for part in ("dev", "test"):
        for line in (shared / f"corpora/ud_english_ewt/en_ewt-ud-{part}.conllu").read_text().splitlines():
            cells = line.split("\t")
            content = len(cells) == 10 and cells[3] in ("NOUN", "VERB", "ADJ", "ADV", "PROPN", "AUX")
            if content and cells[0].isdigit() and cells[1].isalpha():
                words[cells[1].casefold(), cells[2].casefold(), cells[3]] += 1
    return words


@pytest.mark.parametrize(
    ("words", "precision", "recall"), [(SEATS, 0.7, 1.0), (ANIMALS, 0.95, 1.0), (VERBS, 0.97, 0.99)]
)
def test_forms_of_a_concept_in_the_treebank(shared: Path | None, words: str, precision: float, recall: float) -> None:
    if shared is None:
        return
    matcher, lemmas = Matcher(Concept(tuple(words.split()))), set(words.split())
    right = wrong = missed = 0
    for (form, lemma, part), count in tagged_words(shared).items():
        if part == "PROPN":
            continue
        matches = matcher.matches(form)
        right += count * (matches and lemma in lemmas)
        wrong += count * (matches and lemma not in lemmas)
        missed += count * (not matches and lemma in lemmas)
    assert right / (right + wrong) >= precision
    assert right / (right + missed) >= recall


def test_every_word_of_the_treebank_knows_its_lemma(shared: Path | None) -> None:
    if shared is None:
        return
    words = tagged_words(shared)
    lemmas = {lemma for _, lemma, _ in words}
    right = sum(count for (form, lemma, _), count in words.items() if lemma in readings(form))
    others = sum(count * len(set(readings(form)) & lemmas - {lemma}) for (form, lemma, _), count in words.items())
    assert right / words.total() > 0.98
    assert right / (right + others) > 0.94


def test_the_seed_files_are_read_and_written_back_the_same(shared: Path | None, tmp_path: Path) -> None:
    if shared is None:
        return
    tokens, labels = (shared / f"corpora/seed_tcn/tcn-combined-{kind}-2k.txt" for kind in ("tokens", "labels"))
    lines = tokens_labels.read(tokens, labels, keep_duplicates=True)
    written = tokens_labels.write(tmp_path / "seed", lines)
    assert written.tokens.read_bytes() == tokens.read_bytes()
    assert written.labels.read_bytes() == labels.read_bytes()
    once = tokens_labels.read(tokens, labels)
    assert len(once.items) + once.duplicates == len(lines.items) == 2500


def test_everything_the_seed_labelled_is_labelled_and_more(shared: Path | None) -> None:
    if shared is None:
        return
    corpus = shared / "corpora/seed_tcn"
    seed = tokens_labels.read(corpus / "tcn-combined-tokens-2k.txt", corpus / "tcn-combined-labels-2k.txt")
    matcher = Matcher(Concept(read_words(corpus / "target_words.txt")))
    ours = {item.text: set(item.spans) for item in label((item.text for item in seed.items), matcher).items}
    assert all(set(item.spans) <= ours[item.text] for item in seed.items)
    assert sum(map(len, ours.values())) > sum(len(item.spans) for item in seed.items)


def test_location_labels_are_read(shared: Path | None) -> None:
    if shared is None:
        return
    files = [shared / f"corpora/neuroplasticity/location_{kind}.txt" for kind in ("tokens", "labels")]
    located = tokens_labels.read(*files, "SEM:named_entity:location", keep_duplicates=True)
    expected = files[1].read_text().split().count("SEM:named_entity:location")
    assert sum(len(item.spans) for item in located.items) == expected


def test_sentences_of_the_treebank_are_not_torn_apart(shared: Path | None) -> None:
    if shared is None:
        return
    lines = (shared / "corpora/ud_english_ewt/en_ewt-ud-test.conllu").read_text().splitlines()
    sentences = [line.removeprefix("# text = ") for line in lines if line.startswith("# text = ")]
    torn = sum(len(split_sentences(sentence, 10_000)) > 1 for sentence in sentences)
    assert torn / len(sentences) < 0.03
