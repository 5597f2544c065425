"""Sentences, words and senses taken out by hand: what goes, what stays where it was, and that a run remembers it."""

import json
import re
from pathlib import Path

import pytest

from unlearning_core.cli.app import main
from unlearning_core.concepts.corrections import Corrections, forms_of, without
from unlearning_core.concepts.labelling import LabelledSet, label, same_text_key
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.reading import build_config
from unlearning_core.errors import InputError
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run

CONCEPT = Concept(("sit", "chair", "bench"))
TEXTS = (
    "She sat on the chair.",
    "The chair opened the meeting.",
    "He chairs two meetings a week.",
    "They were sitting still.",
    "The meeting was long.",
    "A bench in the park.",
)


def labelled() -> LabelledSet:
    return label(TEXTS, Matcher(CONCEPT))


def left(corrections: Corrections, whole: LabelledSet | None = None) -> list[str]:
    whole = whole or labelled()
    return [item.text for item in without(whole, corrections.find(whole.items, CONCEPT).keys).items]


@pytest.mark.parametrize(
    ("corrections", "gone"),
    [
        (Corrections(), ()),
        (Corrections(sentences=("the  CHAIR opened the meeting. ",)), (1,)),
        (Corrections(sentences=("Nowhere to be found.",)), ()),
        (Corrections(words=("sit",)), (0, 3)),
        (Corrections(words=("Sat",)), (0,)),
        (Corrections(words=("chair",)), (0, 1, 2)),
        (Corrections(words=("park",)), ()),
        (Corrections(senses=(("chair", "meeting"),)), (1, 2)),
        (Corrections(senses=(("chairs", "meeting"),)), (2,)),
        (Corrections(senses=(("park", "bench"),)), ()),
        (Corrections(("A bench in the park.",), ("sitting",), (("chair", "meeting"),)), (1, 2, 3, 5)),
    ],
)
def test_what_is_named_goes_and_all_else_stays(corrections: Corrections, gone: tuple[int, ...]) -> None:
    assert left(corrections) == [text for number, text in enumerate(TEXTS) if number not in gone]


def test_each_correction_says_how_many_sentences_it_takes() -> None:
    corrections = Corrections(("A bench in the park.", "Not there."), ("sit", "stool"), (("chair", "meeting"),))
    found = corrections.find(labelled().items, CONCEPT)
    assert (found.sentences, found.words, found.senses) == ((1, 0), (2, 0), (2,))
    assert found.keys == {same_text_key(TEXTS[number]) for number in (0, 1, 2, 3, 5)}


def test_without_inflections_the_other_word_is_taken_as_it_is_written() -> None:
    exact = Concept(("chair", "chairs"), inflections=False)
    found = Corrections(senses=(("chairs", "meeting"),)).find(label(TEXTS, Matcher(exact)).items, exact)
    assert found.keys == frozenset()


def test_a_sense_without_its_other_word_is_refused() -> None:
    with pytest.raises(InputError, match="stands together with 'chair' is ' '"):
        left(Corrections(senses=(("chair", " "),)))


def test_forms_are_counted_by_the_word_they_belong_to() -> None:
    assert forms_of(labelled().items) == {
        "sit": {"sat": 1, "sitting": 1}, "chair": {"chair": 2, "chairs": 1}, "bench": {"bench": 1},
    }  # fmt: skip


def run_of(folder: Path, **probing: object) -> Run:
    things = ("table", "window", "door", "river", "garden", "meeting", "house", "market")
    texts = [f"She saw a {word} by the {thing} there." for word in ("chair", "sofa") for thing in things]
    texts += [f"The {what} near the {thing} was quiet." for what in ("cat", "boat") for thing in things]
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    values = {"concept_definition": ["chair", "sofa"], "sentences": str(folder / "texts.json")} | probing
    return create_run(build_config({"neural_probing": values}), folder / "runs")


def sides(run: Run) -> dict[str, list[str]]:
    return {
        part: [json.loads(line)["text"] for line in (run.folder / "data" / f"{part}.jsonl").read_text().splitlines()]
        for part in ("train", "held_out")
    }


DROPS = {
    "dropped_words": ["sofa"],
    "dropped_senses": [["chair", "meeting"]],
    "dropped_sentences": ["The boat near the river was quiet."],
}
GONE = re.compile(r"sofa|chair.*meeting|boat near the river")


def test_a_correction_moves_no_other_sentence_and_makes_the_label_stage_run_again(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    execute(run, until="label")
    before, was = sides(run), run.status()["stages"]["label"]["fingerprint"]
    probing = run.config.neural_probing.model_dump() | DROPS
    run.save_config(build_config(run.config.model_dump() | {"neural_probing": probing}))
    execute(run, until="label")
    expected = {part: [text for text in texts if not GONE.search(text)] for part, texts in before.items()}
    assert sides(run) == expected
    assert run.status()["stages"]["label"]["fingerprint"] != was
    facts = run.concept_facts()
    assert facts["corrections"] == {"sentences": [1], "words": [8], "senses": [1]}
    assert facts["left_out"] == 10
    assert facts["words"] == {"chair": 7, "sofa": 0}


def test_the_command_line_leaves_out_what_a_run_of_the_dashboard_does(tmp_path: Path) -> None:
    clicked = run_of(tmp_path, **DROPS)
    execute(clicked, until="label")
    headless = create_run(build_config(json.loads((clicked.folder / "config.json").read_text())), tmp_path / "other")
    assert main(["resume", str(headless.folder), "--until", "label"]) == 0
    assert sides(headless) == sides(clicked)
    assert not any(GONE.search(text) for texts in sides(headless).values() for text in texts)


def test_corrections_that_leave_nothing_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave out 16 sentences, and none with the concept is left to rank on"):
        execute(run_of(tmp_path, dropped_words=["chair", "sofa"]), until="label")
