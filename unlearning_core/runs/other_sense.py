"""Texts with the concept's words in another sense: which of them a distillation learns, and which are measured on.

No text is both. Where the settings name the same texts for the two, each takes every second one.
"""

import json
from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import same_text_key
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import write_text
from unlearning_core.methods.registry import methods_of
from unlearning_core.runs.context import RunContext


def learnt_source(config: ExperimentConfig) -> str | None:
    """The texts in another sense that a retraining of this config learns from, as the settings name them."""
    distils = config.retraining.objective == "distill" and any(
        method.name == "retrain" for method, _ in methods_of(config)
    )
    return config.retraining.other_sense_texts if distils else None


def other_sense_inputs(context: RunContext) -> dict[str, Any]:
    """What a retraining depends on of them; nothing where it learns from none."""
    if learnt_source(context.config) is None:
        return {}
    named = (learnt_source(context.config), context.config.proof.other_sense_texts)
    return {"other_sense": [context.text_fingerprint(source) for source in named]}


def measured_texts(context: RunContext) -> list[str]:
    """Those that the models are measured on."""
    texts = _texts(context, context.config.proof.other_sense_texts)
    return texts[1::2] if _shared(context) else texts


def write_learnt(context: RunContext) -> Path | None:
    """The file of those that a retraining learns from, without any that is measured on.

    A sentence of theirs may stand in both: texts that use a word in a rare sense have few ways to say it.

    Raises:
        InputError: the texts cannot be read, or none is left.
    """
    source = learnt_source(context.config)
    if source is None:
        return None
    measured = {same_text_key(item.text) for item in context.sentences("held_out").items}
    whole = {same_text_key(text) for text in measured_texts(context)}
    texts = [
        text
        for text in _texts(context, source)[:: 2 if _shared(context) else 1]
        if same_text_key(text) not in whole
        and not any(same_text_key(sentence) in measured for sentence in split_sentences(text))
    ]
    if not texts:
        raise InputError(
            f"retraining.other_sense_texts: every text of {source} is measured on, so there is none to learn from. "
            "Give more texts, or remove the setting."
        )
    path = context.run.work_folder("other_sense") / "texts.jsonl"
    write_text(path, "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    return path.resolve()


def _shared(context: RunContext) -> bool:
    """Whether the settings name the same texts to learn from and to measure on."""
    learnt, measured = learnt_source(context.config), context.config.proof.other_sense_texts
    if learnt is None or measured is None:
        return False
    return bool(context.text_fingerprint(learnt) == context.text_fingerprint(measured))


def _texts(context: RunContext, source: str | None) -> list[str]:
    return list(read_texts(context.source(source))) if source else []
