"""Questions that a model really writes: lists of them, the same in other words, riddles, questions behind a sentence.

The model is a tiny one that has learnt by heart what it writes after each request and what it answers: what is kept and
what is dropped, and why, is then known beforehand.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.tiny_models import END, save_tiny, tiny_model
from unlearning_core.cli.app import main
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.question_sets import Question, read_question_set
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.models.mapping import map_model
from unlearning_core.writing import prompts
from unlearning_core.writing.questions import WrittenQuestions, write_questions

CONCEPT = Concept(("chair", "throne"))
USED, SITS, COLOUR = "What is a chair used for?", "Who sits on a throne?", "What colour is a chair?"
OTHER_WORDS, RIDDLE = "What do people do on a chair?", "On what does a boy rest at a table?"
TEXTS = ("He bought a chair in the town.", "The old king painted the throne in the hall.")
TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def asked(question: str) -> str:
    return prompts.QUESTION_AND_ANSWER.format(question=question)


def in_chat(question: str) -> str:
    return f"[user] Where does a fish live?\n[assistant] A fish lives in the water.\n[user] {question}\n[assistant]"


def about_nothing(question: str, word: str) -> list[str]:
    return [question.replace(word, nothing) for nothing in prompts.NO_WORDS]


BY_HEART = {
    # Listed: one twice, one that is no question, one without the word, one that is answered alike about nothing.
    prompts.QUESTIONS_ABOUT.format(word="chair"): (
        f" {USED}\n2. {USED}\n3. A chair is old.\n4. {COLOUR}\n5. Where is the boy at night?\n\nQuestions"
    ),
    prompts.QUESTIONS_ABOUT.format(word="throne"): f" {SITS}\n\nQuestions",
    asked(USED): " A chair is used for sitting.\n",
    asked(SITS): " A king sits on a throne.\n",
    asked(COLOUR): " It is red.\n",
    **{asked(each): " It is red.\n" for each in about_nothing(COLOUR, "chair")},
    **{asked(each): " Nobody can say.\n" for each in about_nothing(USED, "chair") + about_nothing(SITS, "throne")},
    # In other words: one that the model answers alike, one that gives the answer away.
    prompts.IN_OTHER_WORDS.format(question=USED): f" {OTHER_WORDS}\n",
    prompts.IN_OTHER_WORDS.format(question=SITS): " Does the king sit on a throne?\n",
    asked(OTHER_WORDS): " They do their sitting there.\n",
    # Riddles: one that leads to the word, one that holds a word of the concept.
    prompts.RIDDLE.format(word="chair"): f" {RIDDLE}\n",
    prompts.RIDDLE.format(word="throne"): " What is more than a chair?\n",
    asked(RIDDLE): " It is a chair.\n",
    # Behind a sentence; that about the king holds the answer and is not put before the question.
    prompts.QUESTION_IN_CONTEXT.format(sentence=TEXTS[0], question=USED): " It is used for sitting.\n",
    # Asked in a chat, the model says something else, and only of the throne.
    in_chat(SITS): " The queen sits on a throne.\n",
    **{in_chat(each): " Nobody can say.\n" for each in about_nothing(SITS, "throne")},
    **{in_chat(each): " Nobody can say.\n" for each in (USED, COLOUR, *about_nothing(USED, "chair"))},
    **{in_chat(each): " Nobody can say.\n" for each in about_nothing(COLOUR, "chair")},
}  # fmt: skip


def word_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which nearly each word of the texts is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=1200, special_tokens=[END], initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, clean_up_tokenization_spaces=False
    )


@pytest.fixture(scope="module")
def writer() -> LoadedModel:
    """A tiny model that knows `BY_HEART`."""
    texts = [prompt + reply for prompt, reply in BY_HEART.items()]
    tokenizer = word_tokenizer(texts)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "max_position_embeddings": 256}
    model = tiny_model("llama", vocab_size=len(tokenizer), **sizes)
    ids = [tokenizer(text)["input_ids"] + [0] for text in texts]
    longest = max(len(one) for one in ids)
    padded = torch.tensor([one + [0] * (longest - len(one)) for one in ids])
    labels = torch.tensor([one + [-100] * (longest - len(one)) for one in ids])
    for row, prompt in zip(labels, BY_HEART, strict=True):
        row[: len(tokenizer(prompt)["input_ids"])] = -100
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        loss = model(input_ids=padded, labels=labels).loss
        loss.backward()
        optimizer.step()
        if loss.item() < 1e-2:
            break
    assert loss.item() < 1e-2
    info: Any = SimpleNamespace(source="by heart")
    return LoadedModel(model=model.eval(), tokenizer=tokenizer, map=map_model(model), info=info)


@pytest.fixture(scope="module")
def written(writer: LoadedModel) -> WrittenQuestions:
    return write_questions(writer, CONCEPT, 8, seed=0, texts=TEXTS)


def test_every_form_is_written_and_kept_with_what_the_model_knows_of_it(written: WrittenQuestions) -> None:
    answer = ("A chair is used for sitting.", "sitting")
    assert written.questions == [
        Question(asked(USED), answer, "direct", "concept", "chair", USED),
        Question(asked(SITS), ("A king sits on a throne.", "king"), "direct", "concept", "throne", SITS),
        Question(asked(OTHER_WORDS), answer, "paraphrased", "concept", "chair", USED),
        Question(asked(RIDDLE), ("chair",), "reversed", "concept", "chair"),
        Question(
            prompts.QUESTION_IN_CONTEXT.format(sentence=TEXTS[0], question=USED),
            answer, "in_context", "concept", "chair", USED,
        ),
    ]  # fmt: skip


def test_what_is_dropped_is_counted_by_its_reason(written: WrittenQuestions) -> None:
    # Each list is written twice, so that all of it but the first is a duplicate.
    assert written.dropped["not a question"] >= 1
    assert written.dropped["duplicate"] >= 1
    assert written.dropped["without the word"] == 1
    assert written.dropped["gives the answer away"] == 1
    assert written.dropped["riddle with the word"] == 1
    assert written.dropped["answer not known"] >= 1


def test_a_model_with_a_chat_template_knows_what_it_answers_in_a_chat(writer: LoadedModel) -> None:
    writer.tokenizer.chat_template = TEMPLATE
    try:
        found = write_questions(writer, CONCEPT, 8, seed=0, texts=TEXTS)
    finally:
        writer.tokenizer.chat_template = None
    direct = [each for each in found.questions if each.form == "direct"]
    assert [(each.prompt, each.answers[1]) for each in direct] == [(asked(SITS), "queen")]


def test_a_model_that_writes_noise_leaves_no_file_and_says_what_was_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny("llama", tmp_path / "model", max_position_embeddings=512)
    with pytest.raises(
        WorkFailed, match=r"none of the questions about chair that it wrote \(dropped: .*not a question"
    ):
        write_questions(load_model(str(folder)), CONCEPT, 2, seed=0)
    words, output = tmp_path / "words.txt", tmp_path / "set.jsonl"
    words.write_text("chair\n")
    assert main(["questions", "--model", str(folder), "--words", str(words), "--output", str(output)]) == 1
    assert "knows the answer to none" in capsys.readouterr().err
    assert not output.exists()


def test_the_command_writes_what_the_model_wrote(
    writer: LoadedModel, written: WrittenQuestions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer.model.save_pretrained(tmp_path / "model")
    writer.tokenizer.save_pretrained(tmp_path / "model")
    words, texts, output = tmp_path / "words.txt", tmp_path / "texts.txt", tmp_path / "new" / "set.jsonl"
    words.write_text("\n".join(CONCEPT.words))
    texts.write_text("\n".join(TEXTS))
    command = ["questions", "--model", str(tmp_path / "model"), "--words", str(words), "--sentences", str(texts)]
    assert main([*command, "--count", "8", "--output", str(output)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:4] == [
        "2 direct, about concept", "1 paraphrased, about concept", "1 reversed, about concept",
        "1 in context, about concept",
    ]  # fmt: skip
    assert printed[-2].startswith("dropped: ")
    assert "1 gives the answer away" in printed[-2]
    assert read_question_set(output) == written.questions
