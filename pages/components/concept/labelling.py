"""Labelling from the Concept page: settings are saved and the sentences labelled anew, without any model."""

from collections.abc import Mapping, Sequence
from typing import Any

from pages.components.current_run import changed
from pages.components.progress import run_and_redraw
from pages.components.work import bring_up_to_date, refuse_if_busy
from unlearning_core.runs.run import Run

KINDS = {"words": "dropped_words", "senses": "dropped_senses", "sentences": "dropped_sentences"}
"""What can be left out by hand, and its key in neural_probing."""


def relabel(run: Run, message: str, **sections: Any) -> None:
    """Change keys of the run's settings and label; then the page is drawn anew and says `message`.

    Raises:
        InputError: a process works on the run, or a setting is out of range.
    """
    refuse_if_busy(run)
    run.save_config(changed(run.config, **sections))
    run_and_redraw(
        "Labelling sentences", lambda bar: bring_up_to_date(run, "label", bar, with_model=False), only_one=run.id,
        message=message,
    )  # fmt: skip


def leave_out(run: Run, kind: str, entries: Sequence[Any]) -> None:
    """Add to what is left out by hand (`kind` of KINDS), and label."""
    key = KINDS[kind]
    known = list(getattr(run.config.neural_probing, key))
    new = [entry for entry in entries if entry not in known]
    message = "It is left out. The steps after this one start from the sentences as they are now."
    relabel(run, message, neural_probing={key: known + new})


def take_back(run: Run, chosen: Mapping[str, Sequence[int]]) -> None:
    """Take corrections back, named by kind and place in the settings, and label."""
    probing = run.config.neural_probing
    left = {
        key: [entry for place, entry in enumerate(getattr(probing, key)) if place not in chosen.get(kind, ())]
        for kind, key in KINDS.items()
    }
    relabel(run, "It is back among the sentences.", neural_probing=left)
