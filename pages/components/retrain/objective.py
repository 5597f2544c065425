"""What the model learns from the text, on the Retrain page: the text itself, or what the base says of it."""

from typing import Any

import streamlit as st

from pages.components.place import choose_place
from unlearning_core.config.schema import RetrainingSection
from unlearning_core.runs.run import Run

TITLES = {"text": "The text itself", "distill": "What the base model says of it, without the concept's words"}
_SENTENCES = {
    "text": "Each next word of the text is learnt. It is quick, and it brings back part of what was cut.",
    "distill": "The base model is the teacher, and it may not say a word of the concept, so nothing asks for one: the "
    "model recovers and the concept stays away. It takes longer, and the memory of a second model.",
}

PACE = ("objective", "other_sense_texts", "depth_weight", "concept_texts")
"""Settings that decide how long a step takes."""


def choose_objective(run: Run) -> dict[str, Any]:
    """Keys of the section retraining; what is not asked now stays as it is."""
    section = run.config.retraining
    known = section.model_dump(include={*PACE, "other_sense_ridge", "concept_weight", "noise", "noise_scale"})
    st.subheader("What it learns")
    objective = st.radio(
        "What it learns", list(TITLES), list(TITLES).index(section.objective), format_func=TITLES.__getitem__,
        captions=list(_SENTENCES.values()), label_visibility="collapsed", key=f"objective {run.id}",
    )  # fmt: skip
    if objective == "text":
        return known | {"objective": "text"}
    return known | {"objective": "distill"} | _distilling(run, section)


def _distilling(run: Run, section: RetrainingSection) -> dict[str, Any]:
    place = choose_place(
        run, "Text with the words in another sense (optional)", section.other_sense_texts, f"senses {run.id}",
        help="A file, folder or dataset that uses the concept's words in a sense that may stay, such as the chair of a "
        "meeting. Where token rows are reset, these rows alone learn it, at the very end. Texts that are "
        "measured on are left out; where both settings name the same file, each takes every second text.",
    )  # fmt: skip
    with st.expander("Advanced settings of it"):
        return {"other_sense_texts": place} | _weights(run, section, place)


def _weights(run: Run, section: RetrainingSection, place: str | None) -> dict[str, Any]:
    """What counts how much in a distillation; `place`: of the text in another sense, where there is one."""
    one, two = st.columns(2, vertical_alignment="bottom")
    depth = one.number_input(
        "Depth", 0.0, 1000.0, section.depth_weight, 0.5, key=f"depth {run.id}",
        help="How much it counts that the inside forgets too: the base's upper layers go on from the model's inner "
        "state, and should not find the concept there either. 0: only what the model says counts; 1 is a good start.",
    )  # fmt: skip
    texts = two.number_input(
        "Texts about the concept per step", 0, 65_536, section.concept_texts, key=f"about {run.id}",
        help="Read as if by someone who never heard the words. Only where token rows are reset: else the teacher would "
        "tell about the concept. A quarter to half of the batch size is a good start.",
    )  # fmt: skip
    noise = one.number_input(
        "Noise before it", 0.0, 1.0, section.noise, 0.05, key=f"noise {run.id}",
        help="The share of fresh, random weights that is mixed in before the first step. What is left of the concept "
        "is then harder to bring back, and the model needs more steps to recover. 0: none; 0.1 to 0.6 is usual.",
    )  # fmt: skip
    found: dict[str, Any] = {
        "depth_weight": depth, "concept_texts": int(texts), "noise": noise,
    }  # fmt: skip
    if place:
        found["other_sense_ridge"] = two.number_input(
            "Ridge of the other senses", 0.0, 1.0, section.other_sense_ridge, 1e-6, format="%.0e",
            key=f"ridge {run.id}",
            help="How strongly a reset row is held in place: less gives back more of the words' other senses, and lets "
            "the concept come back sooner.",
        ) or section.other_sense_ridge  # fmt: skip
    if texts:
        found["concept_weight"] = one.number_input(
            "Weight of such a text", 0.0, 1000.0, section.concept_weight, 0.5, key=f"weight {run.id}",
            help="How much one of them counts; a text without the concept counts 1.",
        )  # fmt: skip
    if noise:
        found["noise_scale"] = two.number_input(
            "Scale of the noise", 0.0, 10.0, section.noise_scale, 0.05, key=f"scale {run.id}",
            help="How large the random weights are, compared with those of a model before its training. 0.1 is usual.",
        )  # fmt: skip
    return found
