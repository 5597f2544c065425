"""Batches: every text once, little padding, the same every time, rows sorted by class and by how much they average."""

import numpy as np

from unlearning_core.activations.alignment import Encoded, readings
from unlearning_core.activations.batches import batches, length_sorted
from unlearning_core.activations.reservoir import Reservoir, merged, row_keys


def made(generator: np.random.Generator, length: int) -> Encoded:
    word = np.sort(generator.integers(0, max(1, length // 2), length))
    _, word = np.unique(word, return_inverse=True)
    of_concept = generator.random(int(word.max(initial=0)) + 1) < 0.3
    ids = generator.integers(1, 100, length)
    return Encoded(ids, word, of_concept[word], of_concept, np.zeros(length, bool))


def texts(count: int = 40) -> list[Encoded]:
    generator = np.random.default_rng(0)
    return [made(generator, int(length)) for length in generator.integers(1, 30, count)]


def test_each_text_is_in_one_group_and_groups_keep_the_budget() -> None:
    lengths = [7, 0, 3, 50, 3, 9, 1, 12]
    groups = length_sorted(lengths, 20)
    assert sorted(np.concatenate(groups).tolist()) == [0, 2, 3, 4, 5, 6, 7], "an empty text has no place"
    for group in groups:
        longest = max(lengths[i] for i in group)
        assert len(group) == 1 or len(group) * longest <= 20
    assert [lengths[i] for i in np.concatenate(groups)] == sorted((x for x in lengths if x), reverse=True)


def test_padding_is_under_five_percent_on_sentences_of_mixed_length() -> None:
    lengths = np.random.default_rng(1).integers(5, 60, 2000).tolist()
    groups = length_sorted(lengths, 2048)
    padded = sum(len(group) * max(lengths[i] for i in group) for group in groups)
    assert sum(lengths) / padded > 0.95


def test_a_batch_holds_its_texts_and_nothing_else() -> None:
    encoded = texts()
    seen = []
    for batch in batches(encoded, 64, "at", "token", skip_first=False):
        for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True):
            assert (np.diff(mask) <= 0).all(), "padding is on the right"
            seen.append(tuple(ids[mask == 1]))
        assert batch.tokens == batch.attention_mask.sum()
    assert sorted(seen) == sorted(tuple(text.input_ids) for text in encoded)


def test_rows_read_what_each_text_says_and_stand_in_order() -> None:
    encoded = texts()
    for aggregation in ("token", "average", "first", "last"):
        for alignment in ("at", "before"):
            expected, found = [], []
            for text in encoded:
                own = readings(text, alignment, aggregation)
                for row, label in enumerate(own.classes):
                    expected.append((int(label), tuple(text.input_ids[own.positions[own.segments == row]])))
            for batch in batches(encoded, 64, alignment, aggregation):
                flat = batch.input_ids.ravel()
                labels = [0] * batch.retain + [1] * batch.concept
                for label, reads, count in zip(labels, batch.reads, batch.read_count, strict=True):
                    found.append((label, tuple(flat[reads[:count]])))
                    assert (reads[count:] == -1).all()
                for part in (batch.read_count[: batch.retain], batch.read_count[batch.retain :]):
                    assert (np.diff(part) <= 0).all(), "rows that average most come first"
            assert sorted(found) == sorted(expected)


def test_a_reservoir_holds_the_same_rows_whatever_the_order_of_the_batches() -> None:
    generator = np.random.default_rng(5)
    text, number = np.repeat(np.arange(60), 8), np.tile(np.arange(8), 60)
    classes = (generator.random(480) < 0.2).astype(int)
    values = generator.normal(size=(480, 2, 3)).astype(np.float32)

    def sample(order: np.ndarray) -> Reservoir:
        reservoir = Reservoir(40, 2, 3, seed=9)
        for part in np.array_split(order, 7):
            part = part[np.argsort(classes[part], kind="stable")]
            chosen, slots = reservoir.admit(text[part], number[part], int((classes[part] == 0).sum()))
            reservoir.buffer[slots] = values[part][chosen]
        return reservoir

    one, other = sample(np.arange(480)).rows(), sample(generator.permutation(480)).rows()
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.y, other.y)
    assert np.bincount(one.y).tolist() == [20, 20]
    keys = row_keys(9, text, number)
    for label in (0, 1):
        smallest = np.argsort(np.where(classes == label, keys, np.iinfo(np.uint64).max))[:20]
        assert {tuple(row) for row in values[smallest].reshape(20, -1)} == {
            tuple(row) for row in one.X[one.y == label].reshape(20, -1)
        }
    halves = [sample(part).rows(trim=False) for part in np.array_split(generator.permutation(480), 2)]
    whole = merged(halves, 20)
    np.testing.assert_array_equal(whole.X, one.X)
    np.testing.assert_array_equal(whole.y, one.y)


def test_a_reservoir_keeps_to_its_bytes() -> None:
    reservoir = Reservoir(10_000, 4, 256, seed=0, max_bytes=2**20)
    assert reservoir.buffer.nbytes <= 2**20
    assert reservoir.buffer.nbytes > 2**19


def test_row_keys_are_uniform_and_depend_on_the_seed() -> None:
    text, number = np.repeat(np.arange(500), 20), np.tile(np.arange(20), 500)
    share = row_keys(1, text, number) / 2**64
    assert abs(share.mean() - 0.5) < 0.01
    assert abs(np.histogram(share, 10, (0, 1))[0] - 1000).max() < 120
    assert len(set(row_keys(1, text, number).tolist())) == 10_000
    assert not np.array_equal(row_keys(1, text, number), row_keys(2, text, number))
