"""How long the retraining will take, on the Retrain page, before it is started."""

from typing import Any

import streamlit as st

from pages.components.current_run import by_results
from pages.components.marked_text import escaped
from pages.components.model_cache import forget_models
from pages.components.navigation import finished_stages
from pages.components.progress import run_and_redraw, show_errors
from pages.components.retrain.objective import PACE
from unlearning_core.progress import ProgressCallback, duration
from unlearning_core.runs.run import Run
from unlearning_core.training.rate import TimeEstimate, estimate

_TEXT = (
    "dataset", "train_dataset_path", "val_dataset_path", "dataset_split", "dataset_column", "dataset_reading",
    "max_train_texts",
)  # fmt: skip


def time_before(run: Run, settings: dict[str, Any]) -> bool:
    """Say how long it will take, or offer to find out; whether the person asked for that just now."""
    from unlearning_core.runs.training_time import queue_here

    found = None
    with show_errors():
        found = _estimated(run, settings)
    asked = False
    with st.container(border=True):
        if found is None:
            left, right = st.columns([3, 2], vertical_alignment="center")
            left.markdown("**How long will it take?** The text is filtered, and a few steps are timed if need be.")
            asked = right.button("Estimate the time", icon=":material/timer:", width="stretch")
        else:
            _say(run, found, settings["batch_size"])
        if (queue := queue_here(run)) is not None:
            rest = "" if queue.seconds_left is None else f" ({duration(queue.seconds_left)} left of it)"
            more = f", and {len(queue.runs) - 1} more wait" if len(queue.runs) > 1 else ""
            st.caption(
                f":material/hourglass_top: Another retraining is running on this machine{rest}{more}: on the same "
                "device this one will queue, and start by itself."
            )
    return asked


def find_out(run: Run) -> None:
    """Filter the text and time a few steps, under a bar."""
    from unlearning_core.runs.training_time import prepare_estimate

    def work(bar: ProgressCallback) -> None:
        # The steps need the memory that the dashboard's models would keep.
        forget_models()
        prepare_estimate(run, bar)

    run_and_redraw("Estimating the time", work, only_one=run.id)


def _estimated(run: Run, settings: dict[str, Any]) -> TimeEstimate | None:
    """None while the text has not been filtered for these settings, or no rate is known."""
    from unlearning_core.runs.training_time import known_rate

    known = run.config.retraining.model_dump()
    if "filter" not in finished_stages(run) or any(
        settings[name] != known[name] for name in (*_TEXT, *PACE, "lora_rank")
    ):
        return None
    rate = known_rate(run, settings["batch_size"])
    if rate is None:
        return None
    return estimate(
        _lengths(run, settings["max_length"]), batch_size=settings["batch_size"], epochs=settings["num_train_epochs"],
        max_steps=settings["max_steps"], rate=rate,
    )  # fmt: skip


@st.cache_data(show_spinner="Counting the tokens of the training text", max_entries=16, hash_funcs=by_results("filter"))
def _lengths(run: Run, max_length: int | None) -> list[int]:
    from unlearning_core.runs.training_time import training_lengths

    return training_lengths(run, max_length)


def _say(run: Run, found: TimeEstimate, batch_size: int) -> None:
    from unlearning_core.runs.training_time import seconds_after, steps_done

    rate, after, done = found.rate, seconds_after(run), steps_done(run, found.steps)
    rest = found.seconds * (found.steps - done) / found.steps
    steps = f"the remaining {found.steps - done:,} of {found.steps:,}" if done else f"{found.steps:,}"
    then = f", then {duration(after)} of measuring" if after >= 1 else ""
    st.markdown(f"**About {duration(rest)}** for {steps} steps{then}")
    source = f"measured in {rate.steps} steps"
    if rate.source is not None:
        source = "as it went in this run before" if rate.source == run.id else f"as it went in {escaped(rate.source)}"
    if rate.batch_size != batch_size:
        source += f", there with {rate.batch_size} texts in a batch"
    st.caption(
        f"{found.tokens:,} tokens at {rate.tokens_per_second:,.0f} a second ({source}). It takes longer when the "
        "machine has other work."
    )
