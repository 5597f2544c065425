"""The model writes its own sentences: with and without the concept, resumable, and refusing what cannot work."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny_models import save_tiny
from unlearning_core.concepts.labelling import label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.progress import Progress
from unlearning_core.writing.writer import WriterSettings, write_sentences, writing_dtype

CONCEPT = Concept(("chair", "sit"))
SETTINGS = WriterSettings("smollm2", CONCEPT.words, count=2, seed=3, batch_size=3, max_new_tokens=50)


@pytest.fixture(scope="module")
def starter() -> LoadedModel:
    """The real starter model, which `make test` installs."""
    return load_model("smollm2", dtype=writing_dtype())


def test_a_stopped_run_goes_on_to_the_sentences_of_an_uninterrupted_one(starter: LoadedModel, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole.jsonl", tmp_path / "halves.jsonl"
    report = write_sentences(starter, CONCEPT, whole, SETTINGS)
    assert report["sentences"] == SETTINGS.count
    assert report["with_concept"] == SETTINGS.count / 2

    batches = 0

    def stop_after_one(update: Progress) -> None:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        write_sentences(starter, CONCEPT, halves, SETTINGS, stop_after_one)
    assert not halves.exists()
    journal = halves.with_name("halves.jsonl.journal.jsonl")
    with journal.open("a") as file:
        file.write('{"batch": 1, "sent')  # torn by a kill
    write_sentences(starter, CONCEPT, halves, SETTINGS)
    assert halves.read_text() == whole.read_text()
    assert not journal.exists()

    labelled = label(read_texts(whole), Matcher(CONCEPT))
    assert labelled.duplicates == 0
    marked = [json.loads(line)["concept"] for line in whole.read_text().splitlines()]
    assert marked == [bool(item.spans) for item in labelled.items]


def test_a_journal_of_other_settings_is_not_gone_on_with(starter: LoadedModel, tmp_path: Path) -> None:
    output = tmp_path / "s.jsonl"
    output.with_name("s.jsonl.journal.jsonl").write_text('{"settings": {}}\n')
    with pytest.raises(InputError, match="other settings"):
        write_sentences(starter, CONCEPT, output, SETTINGS)


def test_a_model_that_writes_noise_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    noise = load_model(str(save_tiny("llama", tmp_path / "model")))
    settings = replace(SETTINGS, batch_size=2, max_new_tokens=20)
    with pytest.raises(WorkFailed, match="no usable sentence in 12 batches"):
        write_sentences(noise, CONCEPT, tmp_path / "s.txt", settings)
    assert not (tmp_path / "s.txt").exists()


def test_a_context_too_short_for_a_reply_is_a_sentence(tmp_path: Path) -> None:
    short = load_model(str(save_tiny("gpt2", tmp_path / "model", n_positions=32)))
    with pytest.raises(InputError, match="reads 32 tokens"):
        write_sentences(short, CONCEPT, tmp_path / "s.txt", SETTINGS)
