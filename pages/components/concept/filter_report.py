"""Text for retraining, on the Concept page: what the filter drops of it, and why."""

from pathlib import Path
from typing import Any

import streamlit as st

from pages.components.concept.label_counts import counted_forms
from pages.components.marked_text import escaped, highlighted
from pages.components.metric_row import metric_row
from pages.components.progress import run_and_redraw
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run


def show_filter(run: Run) -> None:
    """Which text it is, and the report once it was asked for."""
    from unlearning_core.runs.filtered import known_reports, make_reports, named_texts

    context = RunContext(run)
    texts = named_texts(context)
    if not texts:
        st.markdown(
            "The pruned model recovers on the sentences without the concept. Nothing has to be filtered out of them. "
            "Another text can be chosen on the Retrain page."
        )
        return
    names = " and ".join(f"**{escaped(Path(text).name if Path(text).exists() else text)}**" for text in texts)
    st.markdown(
        f"The pruned model recovers on {names}. Every text in it that holds a concept word is dropped whole, so that "
        "the concept is not learnt again. Another text can be chosen on the Retrain page."
    )
    reports = known_reports(context)
    if reports is not None:
        for report in reports:
            _show(report)
    elif st.button("See what the filter drops", icon=":material/filter_alt:"):
        run_and_redraw("Filtering the text", lambda bar: make_reports(RunContext(run, bar)), only_one=run.id)


def _show(report: dict[str, Any]) -> None:
    parts = [report["train"], report["validation"]]
    kept, dropped, blank = (sum(part[name] for part in parts) for name in ("kept", "dropped", "blank"))
    metric_row(
        ("Texts kept", f"{kept:,}"),
        ("Texts dropped", f"{dropped:,}"),
        ("Share dropped", f"{dropped / (kept + dropped):.1%}"),
        ("For validation", f"{report['validation']['kept']:,}", "Of those kept."),
        *([("Blank", f"{blank:,}")] if blank else []),
    )
    if not dropped:
        st.caption("No text holds a word of the concept.")
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        words = sorted(report["words"].items(), key=lambda pair: -pair[1])
        forms = report["forms"]
        st.dataframe(
            {
                "word": [word for word, _ in words],
                "texts dropped": [count for _, count in words],
                "forms in them": [counted_forms(list(forms.get(word, {}).items())[:6]) for word, _ in words],
            },
            hide_index=True,
            height="content" if len(words) < 10 else 380,
            alt="Texts dropped by concept word",
        )
        st.caption("A text counts once for each word in it.")
    with right, st.container(height=380):
        for example in report["examples"]:
            st.markdown(_marked(example))
        st.caption("Up to three dropped texts a word, cut to what stands around it.")


def _marked(example: dict[str, str]) -> str:
    found = f"**{example['found']}**"
    start = example["text"].find(found)
    plain = example["text"].replace(found, example["found"], 1)
    return highlighted(plain, [(start, start + len(example["found"]))])
