"""Keeping the cut that is on screen, for the page's own button and for the guided demo's."""

from pages.components.current_run import changed
from pages.components.navigation import PRUNE
from pages.components.prune.cut_settings import history
from pages.components.work import bring_up_to_date, refuse_if_busy
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import kept_cut
from unlearning_core.runs.run import Run


def shown_cut(run: Run) -> CutSettings:
    """The cut that the sliders show; the neurons of the run are ranked."""
    return history(run, int(run.ranking()["layer"].max()) + 1).now


def shown_instead(run: Run) -> tuple[CutSettings, CutSettings] | None:
    """(the cut on screen, the cut of the settings) where these are two; None where they are one."""
    shown, kept = shown_cut(run), kept_cut(RunContext(run))
    return None if shown == kept else (shown, kept)


def keep_shown(run: Run, bar: ProgressCallback) -> None:
    """Save the edit that the sliders show, bake it and measure.

    Raises:
        InputError: a process in the background works on the run.
    """
    refuse_if_busy(run)
    cut = shown_cut(run)
    asked = {"prune_ratio": cut.ratio, "per_layer": cut.per_layer, "protected_layers": list(cut.protected_layers)}
    rows = run.config.neural_probing.token_rows.model_dump() | {"strength": cut.token_rows.strength}
    # A person has chosen: the config's target, if it has one, searches no longer.
    run.save_config(changed(run.config, neural_probing=asked | {"token_rows": rows}, search={"forget": None}))
    bring_up_to_date(run, str(PRUNE.stage), bar)
