"""Errors on a page name the fields that are on it, not the keys of a config file."""

import re
from pathlib import Path

import pytest

from pages.components.field_names import FIELDS, in_page_words
from unlearning_core.config.reading import build_config, known_keys
from unlearning_core.errors import InputError

CONCEPT_PAGE = Path(__file__).resolve().parents[2] / "pages" / "components" / "concept"


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "Give more text about neighbours (neural_probing.neighbour_corpus), or raise neural_probing.held_out.",
            "Give more text about neighbours (“Text about neighbours” (page Concept)), or raise “Share held out” "
            "(page Concept).",
        ),
        (
            "Use a smaller retraining.batch_size or max_length.",
            "Use a smaller “batch size” (settings of the retraining) or “max length”.",
        ),
        (
            "Set neural_probing.token_rows.strength to 0.",
            "Set “token rows strength” (settings of the neurons) to 0.",
        ),
        (
            "/runs/retraining.json and /a/search.json, /home/some_one/max_length/x.txt: snake_case is a word.",
            "/runs/retraining.json and /a/search.json, /home/some_one/max_length/x.txt: snake_case is a word.",
        ),
    ],
)
def test_keys_become_names_of_fields_and_files_stay(sentence: str, said: str) -> None:
    assert in_page_words(sentence) == said


def test_what_a_wrong_setting_says_holds_no_key() -> None:
    with pytest.raises(InputError) as refused:
        build_config({"retraining": {"learning_rate": -1}, "neural_probing": {"held_out": 7}}, origin="These settings")
    said = in_page_words(str(refused.value))
    assert "“learning rate” (settings of the retraining)" in said
    assert "“Share held out” (page Concept)" in said
    assert not re.search(r"[a-z]_[a-z]|\w\.[a-z]", said)


def test_every_field_is_a_key_and_stands_on_the_page() -> None:
    shown = "\n".join(path.read_text(encoding="utf-8") for path in [*CONCEPT_PAGE.glob("*.py")])
    shown += (CONCEPT_PAGE.parents[1] / "concept.py").read_text(encoding="utf-8")
    for key, title in FIELDS.items():
        assert key in known_keys(("neural_probing",))
        assert f'"{title}"' in shown


def test_no_page_shows_a_sentence_of_the_library_with_the_keys_in_it() -> None:
    pages = CONCEPT_PAGE.parents[1]
    shows = re.compile(r"st\.(?:warning|error|info)\([^\n]*escaped\((?:str\(error\)|[\w\"'\[\]]*message[\"'\]]*)\)")
    found = [(path.name, line) for path in pages.rglob("*.py") for line in shows.findall(path.read_text("utf-8"))]
    assert not found
