"""What the models of a run are evaluated on: the texts and questions that its settings name, or that its text gives.

Attack texts must be such as nothing before has used. Where the settings name none, they are the sentences with the
concept that were neither ranked nor measured on; where these are too few, half of the held-out ones are set aside, and
are then not measured on in the evaluation.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelling import LabelledText, label_text, same_text_key
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.evaluation.fill_ins import fill_ins
from unlearning_core.evaluation.question_sets import Question, read_question_set
from unlearning_core.evaluation.suite import Material, Part
from unlearning_core.files import ROOT
from unlearning_core.methods.registry import CONTROL, NEVER_KNEW, methods_of
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.other_sense import learnt_source, measured_texts

if TYPE_CHECKING:
    from unlearning_core.evaluation.truth_ratio import TruthQuestion

ENGLISH = ROOT / "data" / "english" / "other_text.jsonl"
"""Text of another kind, shipped: paragraphs on many subjects."""

LEAST_ATTACK = 64
"""Texts with which an attack can be made; where fewer are left over, held-out ones are set aside for it."""


def material_of(context: RunContext) -> Material:
    """Read all of it.

    Raises:
        InputError: the sentences are not labelled yet, or a file cannot be read; names the setting or the file.
    """
    proof, twin = context.config.proof, context.config.never_knew
    held_out = context.sentences("held_out").items
    named = _texts(context, proof.attack_texts)
    if named:
        attack, sentences = _labelled(context, named), held_out
    else:
        attack, sentences = _set_aside(context, held_out)
    statements = _statements(context) or [item for item in sentences if item.spans]
    measured = {same_text_key(item.text) for item in (*sentences, *statements)}
    return Material(
        matcher=context.matcher,
        sentences=tuple(sentences),
        statements=tuple(statements),
        retain=tuple(_not_about(context, twin.retain_texts, sentences, near=False)),
        neighbour=tuple(_not_about(context, twin.neighbour_texts, sentences, near=True)),
        other_sense=tuple(measured_texts(context)),
        other_text=tuple(_without_concept(context, _texts(context, proof.other_texts or _shipped(context)))),
        questions=tuple(_questions(context, statements)),
        truth=tuple(_truth(context)) if twin.questions else (),
        prompts=tuple(dict.fromkeys([*context.test_prompts, *_texts(context, proof.prompts)])),
        attack=tuple(item for item in attack if item.spans and same_text_key(item.text) not in measured),
        attack_other=tuple(_attack_other(context, measured)),
    )


def material_inputs(context: RunContext, fields: Sequence[str]) -> dict[str, Any]:
    """What these fields of the material depend on, beside the labelled sentences; JSON-able."""
    config, proof = context.config, context.config.proof
    twin = config.never_knew
    attack = [proof.attack_texts, config.neural_probing.sentences if proof.attack_texts is None else None]
    of_statements = [twin.forget_texts if twin.model else None]
    sources: dict[str, list[str | None]] = {
        "sentences": attack,  # what is set aside for attacks is not measured on
        "statements": [*of_statements, *attack],
        "retain": [twin.retain_texts if twin.model else None, *attack],
        "neighbour": [twin.neighbour_texts if twin.model else None, *attack],
        "other_sense": [proof.other_sense_texts, learnt_source(config)],
        "other_text": [proof.other_texts or _shipped(context)],
        "questions": [proof.questions, *([*of_statements, *attack] if proof.questions is None else [])],
        "truth": [twin.questions if twin.model else None],
        "prompts": [proof.prompts],
        "attack": attack,
        "attack_other": [proof.attack_other_texts],
    }
    found: dict[str, Any] = {
        field: [context.text_fingerprint(source) for source in sources[field] if source] for field in fields
    }
    if "prompts" in fields:
        found["test_prompts"] = config.test_prompts
    if {"statements", "truth", "retain", "neighbour"} & set(fields):
        found["only"] = [twin.texts_only, twin.questions_only]
    return found


def _texts(context: RunContext, source: str | None) -> list[str]:
    return list(read_texts(context.source(source))) if source else []


def _shipped(context: RunContext) -> str | None:
    """The shipped text of another kind, for a concept in its language."""
    return str(ENGLISH) if context.concept.language.startswith("en") and ENGLISH.is_file() else None


def _labelled(context: RunContext, texts: Iterable[str]) -> list[LabelledText]:
    return [label_text(text, context.matcher) for text in texts]


def _without_concept(context: RunContext, texts: Iterable[str]) -> list[str]:
    return [text for text in texts if not context.matcher.spans(text)]


def _statements(context: RunContext) -> list[LabelledText]:
    """The texts about the concept that the settings name for the never-knew model."""
    twin = context.config.never_knew
    if twin.model is None or twin.forget_texts is None:
        return []
    texts = read_texts(context.source(twin.forget_texts), only=twin.texts_only)
    return [item for item in _labelled(context, texts) if item.spans]


def _not_about(context: RunContext, named: str | None, sentences: Sequence[LabelledText], *, near: bool) -> list[str]:
    """Texts that the settings name for the never-knew model, else the held-out sentences without the concept.

    A sentence without the concept's words may still be about it ("It has four legs."): a model that never knew it loses
    there too. Only whole texts that are known not to be about it say what the rest has lost.
    """
    twin = context.config.never_knew
    if twin.model is not None and named is not None:
        return _without_concept(context, read_texts(context.source(named), only=twin.texts_only))
    return [item.text for item in sentences if not item.spans and bool(item.neighbours) == near]


def _truth(context: RunContext) -> "list[TruthQuestion]":
    from unlearning_core.evaluation.truth_ratio import read_questions

    twin = context.config.never_knew
    return read_questions(Path(context.source(str(twin.questions))), twin.questions_only) if twin.model else []


def _questions(context: RunContext, statements: Sequence[LabelledText]) -> list[Question]:
    """The questions of the settings; where they name none, the statements as sentences to complete."""
    source = context.config.proof.questions
    return read_question_set(Path(context.source(source))) if source else fill_ins(statements)


def _set_aside(context: RunContext, held_out: list[LabelledText]) -> tuple[list[LabelledText], list[LabelledText]]:
    """(what an attacker may train on, what is measured on), of the run's own sentences."""
    from unlearning_core.runs.stages.label import labelled_source

    used = {same_text_key(item.text) for part in ("train", "held_out") for item in context.sentences(part).items}
    unused = [item for item in labelled_source(context).with_concept if same_text_key(item.text) not in used]
    if len(unused) >= LEAST_ATTACK:
        return unused, held_out
    with_concept = [item for item in held_out if item.spans]
    away = {same_text_key(item.text) for item in with_concept[1::2]}
    measured = [item for item in held_out if same_text_key(item.text) not in away]
    return [*unused, *with_concept[1::2]], measured


def _attack_other(context: RunContext, measured: set[int]) -> list[str]:
    """Text without the concept to train on: named, or the run's own sentences that were ranked against."""
    named = context.config.proof.attack_other_texts
    texts = _texts(context, named) if named else [item.text for item in context.sentences("train").without]
    return [
        text
        for text in _without_concept(context, texts)
        if not any(same_text_key(sentence) in measured for sentence in as_sentences([text]))
    ]


def cannot(part: Part, state: str, context: RunContext) -> str | None:
    """Why the part cannot be measured of that state of the run, or None."""
    has = {"never_knew": context.config.never_knew.model is not None, "mask": cutting(context, state) is not None}
    return part.possible(material(context), has)


def material(context: RunContext) -> Material:
    """The run's material, read once; empty while its sentences are not labelled."""
    known: Material | None = context.__dict__.get("_material")
    if known is None:
        if context.run.fingerprint("label") is None:
            return Material(context.matcher)
        known = context.__dict__["_material"] = material_of(context)
    return known


def cutting(context: RunContext, state: str) -> str | None:
    """The method whose recipe says what is cut in that state, or None where nothing is."""
    found = None
    if state in ("base", CONTROL, NEVER_KNEW):
        return None
    for method, _ in methods_of(context.config):
        found = method.name if "recipe" in method.leaves else found
        if method.state == state:
            break
    return found
