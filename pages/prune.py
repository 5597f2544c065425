"""Prune: move the ratio, watch what the model writes and what it forgets, keep a cut."""

import streamlit as st

from pages._cut_preview import figures_of_cut, quick_numbers, write_side_by_side
from pages._frame import show
from pages._metrics_table import metrics_so_far, show_metrics
from pages._run_in_url import changed, current_run
from pages._shared_models import base_is_loaded, base_model, execute
from pages._steps import finished_stages, needs, next_step
from pages._working import carry_out, in_sentences, say
from unlearning_core.pruning.mask import Mask
from unlearning_core.runs import Run
from unlearning_core.work import Work

PAGE = "pages/prune.py"
RANGES = {"up to 1 %": (1.0, 0.01), "up to 10 %": (10.0, 0.1), "up to 100 %": (100.0, 1.0)}


def main() -> None:
    """Draw the page."""
    st.title("Prune")
    st.markdown(
        "Cut the first neurons of the ranking. The preview cuts them only while it writes; the model stays whole until "
        "the cut is kept."
    )
    run = current_run()
    if not needs(run, "pages/neurons.py") or run is None:
        return
    if not base_is_loaded(run) and carry_out("Loading the model", lambda bar: base_model(run, bar), only_one=run.id):
        st.rerun()
    with in_sentences():
        preview(run)
    st.divider()
    if st.button("Keep this cut", type="primary", icon=":material/content_cut:"):
        keep(run)
    st.caption("Keeping it writes the recipe and the pruned model, and measures base and pruned on all held-out text.")
    if "measure pruned" in finished_stages(run):
        kept = run.status()["stages"]["prune"]["summary"]
        st.subheader(f"The cut that is kept: {kept['cut']:,} of {kept['of']:,} neurons in {kept['layers']} layers")
        with in_sentences():
            show_metrics(metrics_so_far(run, ("base", "pruned")))
        next_step(PAGE)


@st.fragment
def preview(run: Run) -> None:
    """The slider and everything that follows it; drawn anew on its own."""
    with in_sentences():
        ratio, per_layer = choose_ratio(run)
        ranking = Work(run).ranking
        shapes = base_model(run).map.shapes
        mask = Mask.from_ranking(ranking, shapes, ratio, per_layer=per_layer)
        prompts, tokens, greedy = choose_prompts(run)
        row = st.container(horizontal=True, gap="large")
        cut, forget, retain = (row.container(width="content") for _ in range(3))
        texts, figures = st.container(), st.container()
        with figures:
            figures_of_cut(ranking, mask, cut)
        with texts:
            write_side_by_side(run, mask, prompts, tokens, greedy)
        quick_numbers(run, mask, forget, retain)


def choose_ratio(run: Run) -> tuple[float, bool]:
    """The share of the ranked neurons to cut, and whether every layer gives the same share."""
    probing = run.config.neural_probing
    kept = 100 * probing.prune_ratio
    row = st.container(horizontal=True, gap="large", vertical_alignment="bottom")
    fits = next(name for name, (top, _) in RANGES.items() if kept <= top)
    scale = row.segmented_control("Range", list(RANGES), default=fits, required=True, key=f"range {run.id}") or fits
    top, step = RANGES[scale]
    percent = st.slider(
        "Neurons cut, % of those ranked", 0.0, top, min(kept, top), step, format="%g %%", key=f"ratio {run.id} {scale}"
    )
    per_layer = row.toggle(
        "Same share in every layer", probing.per_layer, key=f"per layer {run.id}",
        help="Off: the ranking alone decides, so some layers lose more than others.", wrap=True,
    )  # fmt: skip
    ratio = round(percent / 100, 6)
    st.session_state["cut to keep"] = (run.id, ratio, per_layer)
    return ratio, per_layer


def choose_prompts(run: Run) -> tuple[list[str], int, bool]:
    """The prompts that are continued, how far, and whether by the likeliest token each time."""
    with st.expander("Prompts"):
        text = st.text_area(
            "One prompt a line", "\n".join(run.config.test_prompts), key=f"prompts {run.id}", height=130
        )
        left, right = st.columns(2)
        tokens = left.slider("Tokens to write", 5, 100, 24, key=f"tokens {run.id}")
        greedy = right.toggle("Always the likeliest token", True, key=f"greedy {run.id}", wrap=True)
    return [line for line in (text or "").splitlines() if line.strip()], tokens, greedy


def keep(run: Run) -> None:
    """Save the ratio that the slider shows, bake the mask and measure."""
    owner, ratio, per_layer = st.session_state.get("cut to keep", ("", 0.0, False))
    if owner != run.id:
        return
    run.save_config(changed(run.config, neural_probing={"prune_ratio": ratio, "per_layer": per_layer}))
    if carry_out("Pruning and measuring", lambda bar: execute(run, "measure pruned", bar), only_one=run.id):
        say("The cut is kept. The pruned model is saved and measured.")
        st.rerun()


show(main)
