"""Which token belongs to which word and class, on tokenizers of every kind; expectations are written out by hand."""

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import tiny_tokenizer
from unlearning_core.activations.alignment import Aggregation, Alignment, Encoded, encode, readings
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError

SENTENCES = [
    "She put the chair beside the wooden table and sat down on the chair.",
    "Two armchairs, a café and an old bench; nobody sat there.",
]


def metaspace_tokenizer(bos: bool) -> Any:
    """A BPE with sentencepiece's visible space, an unknown token and, as Llama has it, a begin-of-text token."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    core.train_from_iterator(SENTENCES, trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def word_tokenizer() -> Any:
    """Whole lower-cased words; what it has not seen becomes the unknown token."""
    core = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1, "chair": 2, "sat": 3}, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


def labelled(text: str, *words: str) -> LabelledText:
    """Mark the first occurrence of each of `words`."""
    return LabelledText(text, tuple((text.index(word), text.index(word) + len(word)) for word in words))


def one(tokenizer: Any, item: LabelledText) -> Encoded:
    (encoded,) = encode(tokenizer, [item])
    return encoded


@pytest.mark.parametrize("tokenizer", [tiny_tokenizer(), metaspace_tokenizer(True), metaspace_tokenizer(False)])
@pytest.mark.parametrize("text", SENTENCES)
def test_the_tokens_of_each_word_spell_it(tokenizer: Any, text: str) -> None:
    encoded = one(tokenizer, LabelledText(text))
    for number, word in enumerate(text.split(" ")):
        ids = encoded.input_ids[encoded.word == number]
        assert tokenizer.decode(ids).strip() == word
    assert (encoded.word[encoded.special] == -1).all()
    assert encoded.special.sum() == (2 if tokenizer("x").input_ids[0] == tokenizer.bos_token_id else 0)


@pytest.mark.parametrize("tokenizer", [tiny_tokenizer(), metaspace_tokenizer(True), metaspace_tokenizer(False)])
def test_exactly_the_pieces_of_a_concept_word_are_concept_tokens(tokenizer: Any) -> None:
    encoded = one(tokenizer, labelled(SENTENCES[1], "café"))
    assert tokenizer.decode(encoded.input_ids[encoded.concept]).strip() == "café"
    assert encoded.word_concept.tolist() == [False] * 3 + [True] + [False] * 7


def test_a_word_stuck_to_punctuation_is_a_concept_word_but_the_comma_is_no_concept_token() -> None:
    tokenizer = tiny_tokenizer()
    encoded = one(tokenizer, labelled("Two sofas, please", "sofas"))
    assert tokenizer.decode(encoded.input_ids[encoded.concept]) == " sofas"
    comma = [tokenizer.decode([i]) for i in encoded.input_ids].index(",")
    assert not encoded.concept[comma]
    assert encoded.word[comma] == 1
    assert encoded.word_concept.tolist() == [False, True, False]


def test_a_character_of_several_bytes_stays_in_its_word() -> None:
    tokenizer = tiny_tokenizer()
    encoded = one(tokenizer, labelled("a 椅子 there", "椅子"))
    assert encoded.concept.sum() >= 6, "three bytes a character, none of them merged in a tiny vocabulary"
    assert (encoded.word[encoded.concept] == 1).all()
    assert tokenizer.decode(encoded.input_ids[encoded.concept]).strip() == "椅子"


def test_an_unknown_word_keeps_its_place_and_is_no_special_token() -> None:
    encoded = one(word_tokenizer(), labelled("the quux CHAIR sat", "CHAIR", "quux"))
    assert encoded.input_ids.tolist() == [1, 0, 2, 3]
    assert encoded.word.tolist() == [0, 1, 2, 3]
    assert encoded.concept.tolist() == [False, True, True, False]
    assert not encoded.special.any()


def test_an_unknown_character_stays_in_its_word() -> None:
    tokenizer = metaspace_tokenizer(False)
    encoded = one(tokenizer, labelled("the ß chair", "ß"))
    assert tokenizer.unk_token_id in encoded.input_ids[encoded.word == 1]
    assert encoded.concept.sum() == 1


def test_double_spaces_belong_to_no_word() -> None:
    tokenizer = tiny_tokenizer()
    encoded = one(tokenizer, labelled("the  chair", "chair"))
    assert encoded.word_concept.tolist() == [False, False, True]
    assert not (encoded.word == 1).any()


def test_a_phrase_marks_all_its_words() -> None:
    encoded = one(tiny_tokenizer(), labelled("an old park bench here", "park bench"))
    assert encoded.word_concept.tolist() == [False, False, True, True, False]


def test_a_text_beyond_the_context_is_cut() -> None:
    (encoded,) = encode(tiny_tokenizer(), [LabelledText(SENTENCES[0])], max_length=5)
    assert len(encoded) == 5


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(InputError, match=r"tokenizer\.json"):
        encode(Slow(), [LabelledText("a")])


def made(word: list[int], concept_words: list[bool], special: list[int] | None = None) -> Encoded:
    """An encoded text with the given word of each token."""
    words = np.array(word)
    of_concept = np.array(concept_words)
    flags = np.isin(np.arange(len(word)), special or [])
    return Encoded(np.arange(len(word)), words, (words >= 0) & of_concept[words], of_concept, flags)


# begin-of-text, word 0, word 1 (concept, three tokens), word 2, end-of-text
TEXT = made([-1, 0, 1, 1, 1, 2, -1], [False, True, False], special=[0, 6])


@pytest.mark.parametrize(
    ("alignment", "aggregation", "skip_first", "rows"),
    [
        ("at", "token", True, [([1], 0), ([2], 1), ([3], 1), ([4], 1), ([5], 0)]),
        ("before", "token", True, [([1], 1), ([2], 1), ([3], 1), ([4], 0)]),
        ("before", "token", False, [([0], 0), ([1], 1), ([2], 1), ([3], 1), ([4], 0)]),
        ("at", "average", True, [([1], 0), ([2, 3, 4], 1), ([5], 0)]),
        ("at", "first", True, [([1], 0), ([2], 1), ([5], 0)]),
        ("at", "last", True, [([1], 0), ([4], 1), ([5], 0)]),
        ("before", "average", True, [([1, 2, 3], 1), ([4], 0)]),
        ("before", "average", False, [([0], 0), ([1, 2, 3], 1), ([4], 0)]),
        ("before", "first", True, [([1], 1), ([4], 0)]),
        ("before", "last", True, [([3], 1), ([4], 0)]),
    ],
)
def test_rows_read_the_positions_they_should(
    alignment: Alignment, aggregation: Aggregation, skip_first: bool, rows: list[tuple[list[int], int]]
) -> None:
    found = readings(TEXT, alignment, aggregation, skip_first)
    assert [
        (found.positions[found.segments == row].tolist(), int(label)) for row, label in enumerate(found.classes)
    ] == rows


def test_position_0_of_a_text_without_begin_token_is_its_first_word() -> None:
    text = made([0, 0, 1], [True, False])
    assert readings(text, "at", "token", True).positions.tolist() == [1, 2]
    assert readings(text, "at", "token", False).positions.tolist() == [0, 1, 2]
    averaged = readings(text, "at", "average", True)
    assert averaged.positions.tolist() == [1, 2]
    assert averaged.classes.tolist() == [1, 0]
    assert readings(text, "at", "first", True).classes.tolist() == [0], "the word at position 0 has no row left"


def test_nothing_is_read_from_a_text_of_one_token_before() -> None:
    assert len(readings(made([0], [True]), "before", "token").classes) == 0
