"""What a teacher may not foresee: positions by hand, in tokenizers that write spaces into tokens or apart."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import tiny_tokenizer
from unlearning_core.training.concept_masking import concept_mask, word_forms


def letters():
    """Each sign is a token; a space is written as ▁ before every word, the first one too."""
    signs = ["<unk>", "▁", *"abcdefghijklmnopqrstuvwxyzNY.,木椅子"]
    tokenizer = Tokenizer(models.BPE({sign: number for number, sign in enumerate(signs)}, [], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def words(*more):
    """Whole words are tokens, with their space."""
    pieces = ["<unk>", "Ġice", "Ġcream", "ice", "cream", "Ġa", "a", "Ġchair", "chair", "Ġarm", "arm", '"', *more]
    tokenizer = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def masked(tokenizer, mask, text):
    """{(what was read last, what may not follow)} of the completions."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    names = tokenizer.convert_ids_to_tokens
    return [(place, *names([ids[place], token])) for place, token in mask.completions(ids)]


def test_a_word_of_letters_is_masked_where_its_last_letter_would_follow():
    tokenizer = letters()
    mask = concept_mask(tokenizer, ["bench"])
    assert (mask.everywhere.tolist(), mask.at_start.tolist()) == ([], [])
    # ▁a▁bench: the letters b, e, n, c stand at 3 to 6; in "workbench" they go on with another word.
    assert masked(tokenizer, mask, "a bench") == [(6, "c", "h")]
    assert masked(tokenizer, mask, "bench. a bend") == [(4, "c", "h")]
    assert masked(tokenizer, mask, "a workbench") == []


def test_a_phrase_is_masked_at_its_last_token_after_all_others():
    tokenizer = words()
    mask = concept_mask(tokenizer, ["ice cream"])
    assert mask.everywhere.tolist() == []
    assert masked(tokenizer, mask, "a ice cream") == [(1, "Ġice", "Ġcream")]
    assert masked(tokenizer, mask, "ice") == [(0, "ice", "Ġcream")]
    assert masked(tokenizer, mask, "a cream") == []


def test_a_word_that_is_one_token_is_masked_everywhere_and_without_its_space_where_a_word_begins():
    tokenizer = words()
    mask = concept_mask(tokenizer, ["chair"])
    assert tokenizer.convert_ids_to_tokens(mask.everywhere.tolist()) == ["Ġchair"]
    assert tokenizer.convert_ids_to_tokens(mask.at_start.tolist()) == ["chair"]
    ids = tokenizer.convert_tokens_to_ids(["Ġarm", '"', "a"])
    assert mask.starts(ids).tolist() == [False, True, False]


def test_a_reset_token_is_masked_everywhere_and_stands_for_each_word_that_holds_it():
    tokenizer = tiny_tokenizer()
    (chair,) = tokenizer(" chair")["input_ids"]
    armchair = tokenizer(" armchair")["input_ids"]
    assert len(armchair) > 1 or armchair == [tokenizer.convert_tokens_to_ids("Ġarmchair")]
    mask = concept_mask(tokenizer, [" chair".strip(), "chair chair"], [chair])
    assert chair in mask.everywhere
    assert all(chair not in prefix for endings in (mask.anywhere, mask.after_start) for prefix in endings)


def test_a_word_in_a_script_without_spaces_is_masked_wherever_it_is_written():
    tokenizer = letters()
    mask = concept_mask(tokenizer, ["椅子"])
    assert masked(tokenizer, mask, "木椅子") == [(2, "椅", "子")]


@pytest.mark.parametrize("form", ["zebra木x9", "9"])
def test_a_word_with_a_sign_that_the_tokenizer_lacks_masks_nothing(form):
    mask = concept_mask(letters(), [form])
    assert [mask.everywhere.tolist(), mask.at_start.tolist(), mask.anywhere, mask.after_start] == [[], [], {}, {}]


def test_forms_are_the_words_and_what_was_met_in_either_case():
    assert word_forms(["New  York", "chair"], ["CHAIRS", "chair"]) == [
        "CHAIRS", "Chair", "Chairs", "New York", "New york", "chair", "chairs", "new york",
    ]  # fmt: skip


def test_two_masks_differ_in_what_they_say_as_soon_as_one_ending_does():
    tokenizer = letters()
    known = [concept_mask(tokenizer, forms).values() for forms in (["bench"], ["bench", "bend"], ["bench"])]
    assert known[0] == known[2] != known[1]
