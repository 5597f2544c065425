"""Keeping the cut that is on screen, for the page's own button and for the guided demo's."""

from pages.components.current_run import changed
from pages.components.navigation import PRUNE
from pages.components.prune.cut_settings import history
from pages.components.work import bring_up_to_date, refuse_if_busy
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import kept_cut
from unlearning_core.runs.prompts import tried_prompts, try_prompts
from unlearning_core.runs.run import Run


def shown_cut(run: Run) -> CutSettings:
    """The cut that the sliders show; the neurons of the run are ranked."""
    return history(run, int(run.ranking()["layer"].max()) + 1).now


def shown_instead(run: Run) -> tuple[CutSettings, CutSettings] | None:
    """(the cut on screen, the cut of the settings) where these are two; None where they are one."""
    shown, kept = shown_cut(run), kept_cut(RunContext(run))
    return None if shown == kept else (shown, kept)


def keep_shown(run: Run, bar: ProgressCallback) -> None:
    """Save the edit that the sliders show and the prompts that are tried, bake it and measure.

    Raises:
        InputError: a process in the background works on the run, or the settings leave no neuron to cut.
    """
    refuse_if_busy(run)
    cut = shown_cut(run)
    cut.candidates(run.ranking())  # raises, before anything is saved, where nothing may be cut
    prompts = tried_prompts(run)
    # Prompts that follow the concept stay those that are measured: the base need not write again.
    typed = {} if prompts == RunContext(run).test_prompts else {"test_prompts": prompts}
    asked = {
        "prune_ratio": cut.ratio,
        "per_layer": cut.per_layer,
        "protected_layers": list(cut.protected_layers),
        "layer_ratios": dict(cut.layer_ratios),
    }
    rows = run.config.neural_probing.token_rows.model_dump() | {"strength": cut.token_rows.strength}
    # A person has chosen: the config's target, if it has one, searches no longer.
    probing = asked | {"token_rows": rows}
    run.save_config(changed(run.config, neural_probing=probing, search={"forget": None}, **typed))
    try_prompts(run, prompts)
    bring_up_to_date(run, str(PRUNE.stage), bar)
