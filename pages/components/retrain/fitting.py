"""How a training is made to fit a large model, on the Retrain page: what learns, and in which number formats."""

from typing import Any

import streamlit as st

from unlearning_core.runs.run import Run

RANKS = (None, 4, 8, 16, 32, 64, 128)
_OPTIMIZERS = {
    "adamw": "AdamW", "adafactor": "Adafactor", "adamw_8bit": "AdamW, 8 bits",
    "paged_adamw_8bit": "AdamW, 8 bits, paged",
}  # fmt: skip
_PRECISIONS = {"auto": "automatic", "float32": "float32", "bfloat16": "bfloat16"}


def choose_fitting(run: Run) -> dict[str, Any]:
    """Keys of the section retraining."""
    section = run.config.retraining
    st.caption("For a model that is too large to be trained as it is")
    one, two = st.columns(2)
    ranks = [*RANKS, *({section.lora_rank} - {*RANKS})]
    rank = one.selectbox(
        "What learns", ranks, ranks.index(section.lora_rank), key=f"lora {run.id}", format_func=_rank,
        help="Adapters (LoRA) are thin matrices beside the weights, which stay as they are: a fraction of the "
        "memory. They are added to the weights in the end, and the saved model is checked: what was cut is cut.",
    )  # fmt: skip
    if rank is not None:
        one.caption("Adapters want a learning rate about ten times as large as all weights do: 2e-4, say.")
    return {
        "lora_rank": rank,
        "optimizer": two.selectbox(
            "Optimizer", list(_OPTIMIZERS), list(_OPTIMIZERS).index(section.optimizer), key=f"optimizer {run.id}",
            format_func=_OPTIMIZERS.__getitem__,
            help="AdamW keeps 8 bytes for each weight that learns, with 8 bits 2 (needs bitsandbytes), Adafactor "
            "next to none. Paged: what does not fit on the card lies in memory.",
        ),
        "precision": one.selectbox(
            "Number format", list(_PRECISIONS), list(_PRECISIONS).index(section.precision), key=f"format {run.id}",
            format_func=_PRECISIONS.__getitem__,
            help="Of the matrix products. Automatic: bfloat16 where the hardware multiplies in it.",
        ),
        "gradient_checkpointing": two.toggle(
            "Compute blocks twice", section.gradient_checkpointing, key=f"twice {run.id}", wrap=True,
            help="Gradient checkpointing: less memory for long texts and large batches, a third more time.",
        ),
    }  # fmt: skip


def _rank(rank: int | None) -> str:
    return "All weights" if rank is None else f"Adapters of rank {rank}"
