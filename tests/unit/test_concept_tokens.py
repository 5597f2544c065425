"""Which tokens belong to a concept alone: counted by hand on small text, vetoed by broad text, switched off by name."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.tiny_models import tiny_tokenizer
from unlearning_core.activations import concept_tokens as module
from unlearning_core.activations.concept_tokens import concept_tokens, frequent_words
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.config.reading import load_config, starter_file

ROOT = Path(__file__).resolve().parents[2]
CHAIR = Matcher(Concept(("chair",)))


def word_tokenizer(*vocabulary: str) -> PreTrainedTokenizerFast:
    """Takes the longest piece of the vocabulary each time; a space belongs to the piece behind it ("Ġ")."""
    pieces = ["<unk>", *pre_tokenizers.ByteLevel.alphabet(), *vocabulary]
    ids = {piece: number for number, piece in enumerate(pieces)}
    inner = Tokenizer(models.WordPiece(vocab=ids, unk_token="<unk>", continuing_subword_prefix=""))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


@pytest.fixture
def broad(monkeypatch):
    """Stands in for the frequency table: words and how often a million words have them."""

    def use(**words):
        monkeypatch.setattr(module, "frequent_words", lambda code: (tuple(words), np.array([*words.values()], float)))

    return use


def rows(found):
    return found.table.set_index("token")


def test_occurrences_inside_and_outside_are_those_counted_by_hand(broad):
    broad(chair=100, perch=40)
    tokenizer = word_tokenizer("Ġchair", "chair", "Ġper", "ch", "Ġa")
    texts = ["a chair", "chair a chair perch", "a per a chair"]
    found = concept_tokens(tokenizer, CHAIR, [], texts)
    counted = rows(found)[["inside", "outside", "broad_inside", "broad_outside"]]
    assert counted.loc["Ġchair"].tolist() == [3, 0, pytest.approx(100 * 0.9 * 0.95), 0]
    # "Chair" at the start of a line and behind a space, and "perch" at the start of a line, in pieces.
    assert counted.loc["chair"].tolist() == [1, 0, pytest.approx(100 * 0.1 * 0.95), 0]
    assert "ch" not in counted.index
    assert counted.loc["h"].tolist()[:2] == [0, 0]
    assert counted.loc["h"].tolist()[2:] == [pytest.approx(5), 0]
    assert found.covered == 1
    assert {"Ġchair", "chair"} <= {*tokenizer.convert_ids_to_tokens(found.ids.tolist())}


def test_the_usual_spelling_is_the_one_with_fewer_tokens(broad):
    broad(saturday=100)
    sat = Matcher(Concept(("sat",), inflections=False))
    counted = rows(concept_tokens(word_tokenizer("Ġsat", "ĠSaturday"), sat, [], ["they sat"]))
    assert counted.loc["Ġsat", "broad_outside"] == pytest.approx(100 * 0.9 * 0.05)
    counted = rows(concept_tokens(word_tokenizer("Ġsat", "ĠSat"), sat, [], ["they sat"]))
    assert counted.loc["Ġsat", "broad_outside"] == pytest.approx(100 * 0.9 * 0.95)


@pytest.mark.parametrize(
    ("others", "own"),
    [({}, True), ({"chairperson": 5}, True), ({"chairperson": 30}, False), ({"chairs": 30}, True)],
)
def test_a_token_of_other_words_too_is_left_unless_they_are_rare(others, own, broad):
    broad(chair=60, **others)  # 60 of 65 are 92 %, less than asked for; of a million words 5 cost nothing
    found = concept_tokens(word_tokenizer("Ġchair"), CHAIR, [], ["my chair"] * 5)
    assert rows(found).loc["Ġchair", "own"] == own


def test_narrow_text_alone_takes_pieces_that_the_broad_text_has_everywhere(broad):
    broad(chair=60, hair=200, char=100)
    tokenizer = word_tokenizer("Ġch", "air", "Ġh")
    texts = ["a chair"] * 4
    assert rows(concept_tokens(tokenizer, CHAIR, [], texts, broad_text=False)).loc["air", "reset"]
    found = concept_tokens(tokenizer, CHAIR, [], texts)
    assert not rows(found).loc[["air", "Ġch"], "reset"].any()
    assert found.covered == 0
    assert found.sentence.startswith("No token belongs to the concept alone")


def test_marks_of_a_person_count_and_not_the_words(broad):
    broad()
    items = [LabelledText("her chair", ((4, 9),))] * 3 + [LabelledText("the chair of the club")]
    found = rows(concept_tokens(word_tokenizer("Ġchair"), CHAIR, items))
    assert found.loc["Ġchair", ["inside", "outside", "reset"]].tolist() == [3, 1, False]
    assert rows(concept_tokens(word_tokenizer("Ġchair"), CHAIR, items, share=0.75)).loc["Ġchair", "reset"]


@pytest.mark.parametrize("name", ["Ġchair", " chair"])
def test_a_token_that_is_switched_off_stays_in_the_list(name, broad):
    broad(chair=60)
    found = concept_tokens(word_tokenizer("Ġchair", "chair"), CHAIR, [], ["a chair", "chair"] * 3, kept=[name])
    assert rows(found).loc["Ġchair", ["own", "reset"]].tolist() == [True, False]
    assert found.covered == 0.5


def test_a_piece_of_a_character_and_a_special_token_are_never_reset(broad):
    broad()
    japan = Matcher(Concept(("日本",)))
    found = concept_tokens(tiny_tokenizer(), japan, [], ["a 日本 here"] * 5)
    assert len(found.table) > 1
    assert len(found.ids) == 0
    assert not set(found.ids.tolist()) & {*tiny_tokenizer().all_special_ids}


def test_unseen_tokens_occur_in_no_text_and_are_not_the_concepts(broad):
    broad(chair=60)
    tokenizer = word_tokenizer("Ġchair", "chair", "Ġtable", "Ġa")
    found = concept_tokens(tokenizer, CHAIR, [], ["my chair", "a"] * 3)
    unseen = {*tokenizer.convert_ids_to_tokens(found.unseen.tolist())}
    assert {"Ġtable", "Ġa", "q"} <= unseen
    assert not unseen & {"Ġchair", "chair", "a", "m", "<unk>"}


def test_the_frequency_table_is_broad_and_a_language_without_one_has_none():
    words, weights = frequent_words("en")
    assert len(words) == len(weights) == module.WORDS
    assert weights[words.index("the")] > 1e4 > weights[words.index("chair")] > 10
    assert frequent_words("sw")[0] == ()


@pytest.mark.slow
def test_smallworlds_seats_have_the_tokens_of_their_words():
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/smallworld")
    texts = [
        json.loads(line)["text"]
        for name in ("texts", "retrain")
        for line in (ROOT / f"data/smallworld/{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    matcher = Matcher(Concept(read_words(ROOT / "data/target_words.txt")))
    starter = load_config(starter_file("smallworld")).neural_probing.token_rows
    assert (starter.strength, starter.broad_text) == (1, False)
    found = concept_tokens(tokenizer, matcher, [], texts, broad_text=starter.broad_text)
    assert len(found.ids) == 25
    assert found.covered > 0.99
    chosen = {*tokenizer.convert_ids_to_tokens(found.ids.tolist())}
    assert {"Ġchair", "Ġsat", "Ġsit", "Ġbench", "Ġseat", "Ġthrone", "Sitting"} <= chosen
    # With words that this model never read, "chairman" and "Saturday", its tokens belong to others too.
    assert len(concept_tokens(tokenizer, matcher, [], texts).ids) < 25
