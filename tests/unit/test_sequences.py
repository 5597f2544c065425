"""Texts become sequences that end with end-of-text, are split rather than cut short, and lose no token."""

from types import SimpleNamespace

import pytest

from tests.tiny_models import END, tiny_tokenizer
from unlearning_core.errors import InputError
from unlearning_core.training.sequences import longest_sequence, tokenise

TEXTS = ["The cat sleeps on a bench.", "She sat down.", "A small boat crossed the river before the rain."]


def test_each_text_ends_with_end_of_text() -> None:
    tokenizer = tiny_tokenizer()
    made = tokenise(TEXTS, tokenizer, 64, "here")
    assert [tokenizer.decode(ids) for ids in made.ids] == [text + END for text in TEXTS]
    assert (made.texts, made.too_short, made.end_of_text) == (3, 0, END)


def test_end_of_text_is_not_doubled() -> None:
    made = tokenise([TEXTS[0] + END], tiny_tokenizer(), 64, "here")
    assert tiny_tokenizer().decode(made.ids[0]) == TEXTS[0] + END


def test_long_text_goes_on_in_the_next_sequence() -> None:
    tokenizer = tiny_tokenizer()
    made = tokenise(TEXTS, tokenizer, 5, "here")
    whole = [token for text in TEXTS for token in [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
    kept = [token for ids in made.ids for token in ids]
    assert max(made.lengths) == 5
    assert len(kept) + made.too_short == len(whole)
    assert sum(int(ids[-1]) == tokenizer.eos_token_id for ids in made.ids) + made.too_short >= 3
    assert sum(token == tokenizer.eos_token_id for ids in made.ids for token in ids[:-1]) == 0


def test_tokenizer_without_end_of_text_appends_nothing() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    made = tokenise(TEXTS[:1], tokenizer, 64, "here")
    assert made.end_of_text is None
    assert tokenizer.decode(made.ids[0]) == TEXTS[0]


def test_nothing_to_train_on_names_the_source() -> None:
    with pytest.raises(InputError, match=r"corpus\.txt holds no text to train on"):
        tokenise([], tiny_tokenizer(), 64, "corpus.txt")
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(InputError, match=r"Each of the 2 texts in corpus\.txt is shorter than two tokens"):
        tokenise(["a", "b"], tokenizer, 64, "corpus.txt")


def test_digest_tells_texts_and_their_borders_apart() -> None:
    tokenizer = tiny_tokenizer()
    one, same, other = (tokenise(t, tokenizer, 64, "").digest() for t in (TEXTS, list(TEXTS), TEXTS[::-1]))
    assert one == same != other
    assert tokenise(TEXTS, tokenizer, 5, "").digest() != one


@pytest.mark.parametrize(
    ("config", "asked", "expected"),
    [
        ({"max_position_embeddings": 2048}, None, 512),
        ({"n_positions": 128}, None, 128),
        ({}, None, 512),
        ({}, 9000, 9000),
    ],
)
def test_length_follows_the_model(config: dict[str, int], asked: int | None, expected: int) -> None:
    assert longest_sequence(SimpleNamespace(**config), asked) == expected


def test_longer_than_the_model_allows_is_a_mistake() -> None:
    with pytest.raises(InputError, match="max_length is 129, but this model has positions for 128 tokens"):
        longest_sequence(SimpleNamespace(n_positions=128), 129)
