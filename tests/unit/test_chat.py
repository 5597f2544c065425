"""What a model is given when a person talks to it."""

import pytest
from tokenizers.processors import TemplateProcessing

from tests.tiny_models import tiny
from unlearning_core.evaluation.chat import chat_prompt, has_chat_template
from unlearning_core.models.loading import LoadedModel

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TURNS = [("Hello", "Hi there"), ("And you?", "Well")]


@pytest.fixture
def loaded() -> LoadedModel:
    return tiny("llama")


def test_a_model_without_a_template_goes_on_from_the_message_alone(loaded: LoadedModel) -> None:
    assert not has_chat_template(loaded)
    assert chat_prompt(loaded, TURNS, "Q: What is a chair? A:", new_tokens=5) == "Q: What is a chair? A:"


def test_the_template_is_filled_with_all_that_was_said(loaded: LoadedModel) -> None:
    loaded.tokenizer.chat_template = TEMPLATE
    assert has_chat_template(loaded)
    assert chat_prompt(loaded, TURNS, "Where?", new_tokens=5) == (
        "<|endoftext|>[user] Hello\n[assistant] Hi there\n[user] And you?\n[assistant] Well\n[user] Where?\n[assistant]"
    )


def test_a_first_token_that_the_tokenizer_adds_is_not_doubled(loaded: LoadedModel) -> None:
    loaded.tokenizer.chat_template = TEMPLATE
    loaded.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    prompt = chat_prompt(loaded, [], "Where?", new_tokens=5)
    assert loaded.tokenizer(prompt)["input_ids"].count(0) == 1


def test_the_oldest_turns_make_room_for_the_answer(loaded: LoadedModel) -> None:
    loaded.tokenizer.chat_template = TEMPLATE
    short = chat_prompt(loaded, TURNS[1:], "Where?", new_tokens=5)
    length = len(loaded.tokenizer(short)["input_ids"])
    loaded.model.config.max_position_embeddings = length + 5
    assert chat_prompt(loaded, TURNS, "Where?", new_tokens=5) == short
    loaded.model.config.max_position_embeddings = 1
    assert chat_prompt(loaded, TURNS, "Where?", new_tokens=5) == chat_prompt(loaded, [], "Where?", new_tokens=5)
