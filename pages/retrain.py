"""Retrain: let the pruned model recover on text without the concept, in a process of its own that is watched here."""

from typing import Any

import streamlit as st

from pages.components.current_run import changed, current_run
from pages.components.frame import show
from pages.components.model_cache import forget_models
from pages.components.navigation import finished_stages, needs, next_step
from pages.components.retrain.training_text import RETAIN, choose_text
from pages.components.retrain.training_time import find_out, time_before
from pages.components.retrain.training_view import is_busy, outcome, watch
from unlearning_core.config import RetrainingSection
from unlearning_core.errors import InputError
from unlearning_core.runs import background
from unlearning_core.runs.run import Run

PAGE = "pages/retrain.py"
LAST = "report"


def main() -> None:
    """Draw the page."""
    st.title("Retrain")
    st.markdown(
        "The pruned model reads text without the concept and recovers what the cut has cost. It goes on when this "
        "page is closed."
    )
    run = current_run()
    if not needs(run, "pages/prune.py") or run is None:
        return
    if is_busy(run):
        watch(run)
        return
    outcome(run)
    settings = choose_settings(run)
    if time_before(run, settings):
        save(run, settings)
        find_out(run)
    again = (run.folder / "retraining" / "checkpoints").is_dir()
    done = "measure retrained" in finished_stages(run)
    word = "Go on with the retraining" if again and not done else "Start the retraining"
    if st.button(word, type="primary", icon=":material/model_training:"):
        start(run, settings)
    if again and not done:
        st.caption("With the same settings and text it goes on from its last checkpoint, with others from the start.")
    if done:
        next_step(PAGE)


def start(run: Run, settings: dict[str, Any]) -> None:
    """Save the settings and go on with the run in a process of its own."""
    save(run, settings)
    # The training needs the memory that the dashboard's models would keep.
    forget_models()
    run.set_status(state="running", stage=None, message="")
    background.start(run, LAST)
    st.rerun()


def save(run: Run, settings: dict[str, Any]) -> None:
    """Keep the settings in the run.

    Raises:
        InputError: no text is named, or a value is out of range.
    """
    if settings["text"] != RETAIN and not (settings["dataset"] or settings["train_dataset_path"]):
        raise InputError("No text is named. Write the path of a file or folder, or the name of a dataset.")
    section = {name: value for name, value in settings.items() if name != "text"}
    section["learning_rate"] = _number(section["learning_rate"])
    run.save_config(changed(run.config, retraining={"enabled": True} | section))


def choose_settings(run: Run) -> dict[str, Any]:
    """Text and settings as keys of the section retraining."""
    section = run.config.retraining
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Text")
        text = choose_text(run)
    with right:
        st.subheader("Settings")
        numbers = _numbers(run, section)
        keep = st.toggle(
            "Keep cut neurons cut", section.keep_pruned, key=f"keep {run.id}",
            help="On: they are held at zero and the saved model is checked. Off: they may grow back, and with them "
            "what they knew.", wrap=True,
        )  # fmt: skip
        watched = st.toggle(
            "Measure and write while it learns", section.measure_while_learning, key=f"watched {run.id}",
            help="Now and then the loss on 48 held-out sentences is measured and the test prompts are continued, in at "
            "most 5 % of the time. It does not change what the model learns.", wrap=True,
        )  # fmt: skip
    return text | numbers | {"keep_pruned": keep, "measure_while_learning": watched}


def _numbers(run: Run, section: RetrainingSection) -> dict[str, Any]:
    one, two = st.columns(2)
    epochs = one.number_input(
        "Epochs", 0.01, 1000.0, float(section.num_train_epochs), 0.5, key=f"epochs {run.id}",
        help="How often the whole text is read.",
    )  # fmt: skip
    limited = two.number_input(
        "Steps at most", 0, None, section.max_steps or 0, key=f"steps {run.id}",
        help="So many steps instead of whole epochs; 0: as many as the epochs have.",
    )  # fmt: skip
    rate = one.text_input(
        "Learning rate", f"{section.learning_rate:g}", key=f"rate {run.id}",
        help="How far each step moves the weights. 2e-5 is careful, 1e-3 only fits tiny models; too large a rate ruins "
        "the model.",
    )  # fmt: skip
    batch = two.number_input(
        "Texts a step", 1, 4096, section.batch_size, key=f"batch {run.id}",
        help="The batch size: texts read before the weights move once. More is steadier and needs more memory.",
    )  # fmt: skip
    decay = one.number_input(
        "Weight decay", 0.0, 10.0, section.weight_decay, 0.01, key=f"decay {run.id}",
        help="Pulls all weights a little towards zero at each step. 0.01 is usual.",
    )  # fmt: skip
    length = two.number_input(
        "Tokens of a text at most", 2, 65536, section.max_length, key=f"length {run.id}", placeholder="automatic",
        help="A longer text is read in pieces. A token is a word or a piece of one.",
    )  # fmt: skip
    return {
        "num_train_epochs": epochs, "max_steps": int(limited) or None, "learning_rate": rate,
        "batch_size": batch, "weight_decay": decay, "max_length": length,
    }  # fmt: skip


def _number(text: str | None) -> float:
    try:
        return float((text or "").replace(",", "."))
    except ValueError as error:
        raise InputError(f"The learning rate is {text!r}; write a number such as 2e-5.") from error


show(main)
