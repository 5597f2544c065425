"""How questions are put to a model with a chat template, and how its answers are read."""

from dataclasses import replace
from typing import Any

import pytest
from tiny_models import tiny

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.answers import ask, first_sentence, marked
from unlearning_core.evaluation.attacks.asking import EXAMPLES, attack_prefix, attack_sampling
from unlearning_core.evaluation.chat import Asking, as_turns
from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.question_sets import Question
from unlearning_core.evaluation.suite import Material, Subject
from unlearning_core.progress import silent
from unlearning_core.writing import prompts

TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
CHAIR, LEAD = "Q: What is a chair? A:", "You can sit on a"
IN_CHAT = "[user] What is a chair?\n[assistant]"
QUESTIONS = (
    Question(CHAIR, ("a seat",), "direct", "concept"),
    Question(LEAD, ("chair",), "fill_in", "concept"),
    Question("Q: What is a boat? A:", ("It floats.",), "direct", "other"),
    Question("The sun is a", ("star",), "direct", "other"),
)
MATERIAL = Material(Matcher(Concept(("chair",))), questions=QUESTIONS)
SETTINGS = ProofSection(answer_tokens=6, question_samples=1, attack_samples=3)


@pytest.fixture
def plain() -> Any:
    return tiny("llama")


@pytest.fixture
def instruct() -> Any:
    loaded = tiny("llama")
    loaded.tokenizer.chat_template = TEMPLATE
    return loaded


@pytest.mark.parametrize(
    ("prompt", "asks"),
    [
        (CHAIR, True),
        ("What is a chair?", True),
        ("Was ist ein Stuhl? Antwort:", True),
        ("椅子是什么？", True),
        ('"What is a chair?"', True),
        ("Name the seat of a king.", True),
        ("Question: Name the seat of a king.\nAnswer:", True),
        (LEAD, False),
        ('"What do you call it?" asked the teacher. "It is called a', False),
        ("The seat of a king is called a ...", False),
        ("Word: dog", False),
    ],
)
def test_questions_and_requests_go_to_the_chat_and_sentences_to_complete_do_not(
    instruct: Any, plain: Any, prompt: str, asks: bool
) -> None:
    assert Asking(instruct, "auto", 6).in_chat(prompt) is asks
    assert Asking(instruct, "always", 6).in_chat(prompt)
    assert not Asking(instruct, "never", 6).in_chat(prompt)
    assert not Asking(plain, "auto", 6).in_chat(prompt)
    assert Asking(plain, "auto", 6).put(prompt) == prompt


def test_always_in_a_chat_needs_a_template(plain: Any) -> None:
    with pytest.raises(InputError, match=r"proof.chat is always.*has no chat template"):
        Asking(plain, "always", 6).put(CHAIR)


@pytest.mark.parametrize(
    ("prompt", "turns"),
    [
        (CHAIR, ([], "What is a chair?")),
        ("What is a chair?", ([], "What is a chair?")),
        (
            prompts.QUESTION_AND_ANSWER.format(question="What is a chair?"),
            ([("Where does a fish live?", "A fish lives in the water.")], "What is a chair?"),
        ),
        (
            prompts.QUESTION_IN_CONTEXT.format(sentence="He saw a chair.", question="What is it?"),
            ([], "He saw a chair.\nWhat is it?"),
        ),
        ("Q: One? A: 1 Q: Two? A: 2 Q: Three? A: ", ([("One?", "1"), ("Two?", "2")], "Three?")),
        ("Q: What is vitamin C? It is said", ([], "Q: What is vitamin C? It is said")),
        ("FAQ: What is it? A:", ([], "FAQ: What is it? A:")),
    ],
)
def test_questions_with_answers_become_turns(prompt: str, turns: tuple[list[tuple[str, str]], str]) -> None:
    assert as_turns(prompt) == turns


def test_words_around_a_question_find_their_place_in_the_chat(instruct: Any, plain: Any) -> None:
    around = {"before": "Please. ", "after": " Sure:", "examples": [("Q: What is a boat? A:", "It floats.")]}
    assert Asking(plain, "auto", 6).put(CHAIR, **around) == f"Q: What is a boat? A: It floats. Please. {CHAIR} Sure:"
    assert Asking(instruct, "auto", 6).put(CHAIR, **around) == (
        "[user] What is a boat?\n[assistant] It floats.\n[user] Please. What is a chair?\n[assistant]Sure:"
    )


def test_every_state_is_asked_by_the_template_of_the_base(instruct: Any, plain: Any) -> None:
    found = ask(Subject("pruned", plain, instruct), MATERIAL, SETTINGS, silent)["answers"]
    greedy = found[found["sample"] == -1].set_index("prompt")["answer"]
    texts = generate(plain, [IN_CHAT, LEAD], temperature=0.0, max_new_tokens=6)
    assert greedy[CHAIR] == first_sentence(texts[0].text, chat=True)
    assert greedy[LEAD] == first_sentence(texts[1].text)
    other = ask(Subject("pruned", instruct, plain), MATERIAL, SETTINGS, silent)["answers"]
    assert other["answer"].tolist() != found["answer"].tolist()
    never = ask(Subject("pruned", plain, instruct), MATERIAL, replace_chat("never"), silent)["answers"]
    assert never.equals(other)


def replace_chat(chat: str) -> ProofSection:
    return SETTINGS.model_copy(update={"chat": chat})


def test_attacks_ask_in_the_same_form_and_once_in_the_other(instruct: Any, plain: Any) -> None:
    found = attack_prefix(Subject("base", plain, instruct), MATERIAL, SETTINGS, silent)["answers"]
    put = found.set_index(["question", "way"])["prompt"]
    assert put[CHAIR, "as it is"] == IN_CHAT
    assert put[CHAIR, "plain text"] == CHAIR
    assert put[CHAIR, "examples"] == f"[user] What is a boat?\n[assistant] It floats.\n{IN_CHAT}"
    assert put[LEAD, "as it is"] == LEAD
    assert put[LEAD, "a chat"] == f"[user] Complete this sentence: {LEAD}\n[assistant]"
    assert put[LEAD, "examples"].startswith("Q: What is a boat? A: It floats. The sun is a star ")
    assert EXAMPLES >= 2

    without = attack_prefix(Subject("base", plain, plain), MATERIAL, SETTINGS, silent)["answers"]
    assert not {"plain text", "a chat"} & set(without["way"])
    assert set(without["prompt"]) >= {CHAIR, LEAD}
    never = attack_prefix(Subject("base", plain, instruct), MATERIAL, replace_chat("never"), silent)["answers"]
    assert never.equals(without)


def test_many_tries_are_made_in_the_chat_too(instruct: Any, plain: Any) -> None:
    found = attack_sampling(Subject("base", plain, instruct), MATERIAL, SETTINGS, silent)["answers"]
    first = found[(found["question"] == CHAIR) & (found["temperature"] == 1.0)]["answer"].tolist()
    texts = generate(plain, [IN_CHAT], temperature=1.0, max_new_tokens=6, samples=1)
    assert first == [first_sentence(texts[0].text, chat=True)]


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("Sure, I am glad to help! A chair is a seat. It has legs.", "Sure, I am glad to help! A chair is a seat."),
        ("That is a great question:\n\n1. A chair is a seat.\n2. No", "That is a great question: A chair is a seat."),
        ("**Here you are:**\nA seat", "**Here you are:** A seat"),
        ("A chair is a seat.\nIt has legs.", "A chair is a seat."),
        ("What a seat it is!", "What a seat it is!"),
        ("Uses of it:", "Uses of it:"),
        ("", ""),
    ],
)
def test_what_announces_an_answer_in_a_chat_is_not_the_answer(written: str, answer: str) -> None:
    assert first_sentence(written, chat=True) == answer


def test_a_sentence_said_again_in_a_chat_is_answered_by_what_follows_it() -> None:
    gap = Question("The chair was old, so she bought a new", ("chair",), "fill_in", "concept")
    again = f"{gap.prompt} chair for it."
    assert marked(again, gap, chat=True) == (again, True)
    assert marked(again, gap) == (again, False)
    assert marked(f"{gap.prompt} table.", gap, chat=True)[1] is False
    asked = replace(gap, prompt="What did she buy?", form="direct")
    assert marked("It was a **chair**.", asked, chat=True)[1] is True
