"""Compare: base, pruned and retrained side by side, in numbers and in what they write."""

import json

import streamlit as st

from pages._frame import show
from pages._metrics_table import metrics_so_far, show_metrics, show_never_knew
from pages._run_in_url import current_run
from pages._stage_texts import show_generations, write_live
from pages._steps import finished_stages, needs
from pages._working import in_sentences
from unlearning_core.runs import Run
from unlearning_core.work import STEPS


def main() -> None:
    """Draw the page."""
    st.title("Compare")
    st.markdown("How much of the concept is gone, what did it cost, does it come back?")
    run = current_run()
    if not needs(run, "pages/prune.py") or run is None:
        return
    stages = there(run)
    if "retrained" not in stages:
        st.info("The model is not retrained yet: base and pruned are compared.", icon=":material/info:")
        st.page_link("pages/retrain.py", label="Go to Retrain", icon=":material/model_training:")
    with in_sentences():
        metrics = metrics_so_far(run, stages)
        show_metrics(metrics)
        show_never_knew(metrics)
    st.subheader("What they write")
    prompts, typed = st.tabs(["The test prompts", "A prompt of your own"])
    with prompts, in_sentences():
        show_generations(run, {stage: run.read_json(f"measurements/{stage}.json") for stage in stages})
    with typed, in_sentences():
        write_live(run, stages)
    st.subheader("Take it along")
    downloads(run, metrics)


def there(run: Run) -> list[str]:
    """Stages of the model that are measured with the settings as they are now."""
    done = finished_stages(run)
    return [step for step in STEPS if f"measure {step}" in done]


def downloads(run: Run, metrics: dict[str, dict[str, float | None]]) -> None:
    """The files of the run."""
    generations = {stage: run.read_json(f"measurements/{stage}.json") for stage in metrics}
    files: dict[str, str | bytes] = {
        "metrics.json": json.dumps(metrics, indent=2),
        "generations.json": json.dumps(generations, indent=2, ensure_ascii=False),
        "config.json": (run.folder / "config.json").read_bytes(),
        "recipe.json": (run.folder / "recipe" / "recipe.json").read_bytes(),
        "mask.safetensors": (run.folder / "recipe" / "mask.safetensors").read_bytes(),
    }
    with st.container(horizontal=True):
        for name, data in files.items():
            st.download_button(name, data, name, on_click="ignore", icon=":material/download:")
    st.caption(
        "config.json runs the same without a screen: python -m unlearning_core run config.json. The recipe "
        "(recipe.json with mask.safetensors) says which neurons were cut."
    )
    folder = run.folder / "models"
    models = ", ".join(f"{step}: {folder / step}" for step in ("pruned", "retrained") if (folder / step).is_dir())
    st.caption(f"The models, for AutoModelForCausalLM.from_pretrained. {models}")


show(main)
