"""Rows begin where a text begins, hold no padding, and lose only what is cut; the tokenizer loses nothing."""

from itertools import islice

import numpy as np
import pytest

from unlearning_core.smallworld.rows import END_OF_TEXT, batches, pack, tokenise, train_tokenizer

SENTENCES = [f"The {word} stood by the old window, and it was {word}'s own." for word in "chair cat drum pear".split()]


def ids(*lengths: int) -> list[np.ndarray]:
    """Texts whose tokens say which text and place they are from: 100 x text + place."""
    return [np.arange(length, dtype=np.int32) + 100 * number for number, length in enumerate(lengths)]


def test_the_text_that_is_cut_begins_the_next_row() -> None:
    rows = pack(ids(4, 3, 6, 2), range(4), 8)
    np.testing.assert_array_equal(rows, [[0, 1, 2, 3, 100, 101, 102, 200], [200, 201, 202, 203, 204, 205, 300, 301]])


def test_a_text_longer_than_a_row_is_cut_and_left() -> None:
    np.testing.assert_array_equal(pack(ids(9, 4, 2), range(3), 4), [[0, 1, 2, 3], [100, 101, 102, 103]])


@pytest.mark.parametrize("context", [8, 16, 31])
def test_every_row_begins_a_text_and_every_short_text_is_whole_once(context: int) -> None:
    rng = np.random.default_rng(context)
    texts = ids(*rng.integers(1, context + 1, size=60).tolist())
    order = rng.permutation(60).tolist()
    rows = pack(texts, order, context)
    assert (rows[:, 0] % 100 == 0).all()
    joined = [row.tolist() for row in rows]
    whole = [
        number
        for row in joined
        for start, token in enumerate(row)
        if token % 100 == 0
        for number in [token // 100]
        if row[start : start + len(texts[number])] == texts[number].tolist()
    ]
    # All but the texts of the last row, which was not filled.
    assert whole == order[: len(whole)]
    assert sum(len(texts[number]) for number in order[len(whole) :]) <= 2 * context


def test_each_epoch_reads_every_text_in_another_order_and_can_be_skipped_into() -> None:
    texts = ids(*([4] * 12))
    stream = list(islice(batches(texts, 8, 3, seed=1), 4))
    firsts = [batch.reshape(-1, 4)[:, 0] // 100 for batch in stream]
    one, two = np.concatenate(firsts[:2]), np.concatenate(firsts[2:])
    assert sorted(one) == sorted(two) == list(range(12))
    assert one.tolist() != two.tolist()
    for skipped in range(4):
        np.testing.assert_array_equal(next(batches(texts, 8, 3, seed=1, start=skipped)), stream[skipped])
    assert next(batches(texts, 8, 3, seed=2)).tolist() != stream[0].tolist()


def test_the_tokenizer_writes_back_any_text_and_closes_each() -> None:
    tokenizer = train_tokenizer(SENTENCES, 300, 64)
    assert len(tokenizer) <= 300
    for text in (*SENTENCES, "Ünicode — and 数 7!", "two  spaces"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    closed = tokenise(SENTENCES, tokenizer)
    assert [tokenizer.decode(text) for text in closed] == [sentence + END_OF_TEXT for sentence in SENTENCES]
    assert all((text[:-1] != tokenizer.eos_token_id).all() for text in closed)


def test_the_same_texts_give_the_same_tokenizer() -> None:
    one, two = (train_tokenizer(SENTENCES, 300, 64).backend_tokenizer.to_str() for _ in range(2))
    assert one == two
