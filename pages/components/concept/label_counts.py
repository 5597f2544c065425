"""What labelling has found, on the Concept page: counts, words, files of them; and what the filter drops elsewhere."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.marked_text import escaped, highlighted
from pages.components.progress import run_and_redraw
from pages.components.rows import metric_row
from unlearning_core.concepts import tokens_labels
from unlearning_core.concepts.reading import listed
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

FEW = 20
"""Sentences of a kind below which a ranking changes with every sentence."""


def counts(facts: dict[str, Any]) -> None:
    """The numbers that matter: how many sentences were found, with the concept and without; and what is too little."""
    concept, near = facts["with_concept"], facts.get("neighbours")
    metric_row(
        ("Sentences found", f"{facts['sentences']:,}"),
        ("With the concept", f"{concept:,}"),
        ("Without it", f"{facts['sentences'] - concept:,}"),
    )
    few = min(facts["train"])
    if few < FEW:
        kind = "with" if few == facts["train"][0] else "without"
        st.warning(f"Only {few} sentences {kind} the concept are there to rank on: expect an unsteady ranking.")
    if facts["missing_words"]:
        # Some of a long list always lack; where most do, the text is about something else.
        most = 2 * len(facts["missing_words"]) > len(facts["words"])
        (st.warning if most else st.caption)("These words never occur: " + escaped(listed(facts["missing_words"])))
    if near and near["missing_words"]:
        st.warning("These neighbours never occur: " + escaped(listed(near["missing_words"])))
    if near and near["train"] < FEW:
        st.warning(
            f"Only {near['train']} sentences with a neighbour and without the concept are there to rank on: too "
            "few to spare the neighbours. Give text about them."
        )


def further_counts(facts: dict[str, Any]) -> None:
    """How the sentences are split, what was dropped, and what the source was understood as."""
    near = facts.get("neighbours")
    metrics: list[tuple[str, ...]] = []
    if near:
        split = f"Among those used {near['train']:,} to rank on and {near['held_out']:,} to measure on."
        metrics.append(("Without it, with a neighbour", f"{near['sentences']:,}", split))
    metrics += [
        ("Balance", f"{100 * (facts['with_concept'] / facts['sentences']):.0f} %", "Share that holds the concept."),
        ("Duplicates dropped", f"{facts['duplicates']:,}"),
    ]
    if facts.get("left_out"):
        metrics.append(("Left out by hand", f"{facts['left_out']:,}"))
    for title, part in (("For ranking", "train"), ("Held out for testing", "held_out")):
        metrics.append((title, "{} + {}".format(*facts[part]), "with + without it"))
    metric_row(*metrics)
    if "understood" in facts:
        st.caption(escaped(visitor.sentence(facts["understood"])))


def words_table(facts: dict[str, Any], whose: str) -> None:
    """How often each word occurs, and in which forms."""
    _table(facts, "times", "forms that match", f"Occurrences and forms of {whose}", 700)


def _table(facts: dict[str, Any], times: str, matched: str, alt: str, height: int, most: int | None = None) -> None:
    """Words by how often they were found, each with its first `most` forms; higher than `height`, it scrolls."""
    found, forms = sorted(facts["words"].items(), key=lambda pair: -pair[1]), facts.get("forms", {})
    st.dataframe(
        {
            "word": [word for word, _ in found],
            times: [count for _, count in found],
            matched: [
                ", ".join(f"{form} {count}" for form, count in list(forms.get(word, {}).items())[:most])
                for word, _ in found
            ],
        },
        hide_index=True, height="content" if 36 * len(found) < height else height, alt=alt,
    )  # fmt: skip


def label_files(run: Run) -> dict[str, bytes]:
    """The labelled sentences by file name, in the format of `python -m unlearning_core label`."""
    items = [item for part in ("train", "held_out") for item in run.sentences(part).items]
    label = run.config.neural_probing.activations_label or "concept"
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in label)
    with tempfile.TemporaryDirectory() as folder:
        written = tokens_labels.write(Path(folder) / name, items, run.config.neural_probing.target_label)
        return {path.name: path.read_bytes() for path in (written.tokens, written.labels, written.inverse)}


def show_filter(run: Run) -> None:
    """Which text the model will be retrained on, and once it was asked for what the filter drops of it."""
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
    if reports is None and st.button("See what the filter drops", icon=":material/filter_alt:"):
        run_and_redraw("Filtering the text", lambda bar: make_reports(RunContext(run, bar)), only_one=run.id)
    for report in reports or ():
        _show_report(report)


def _show_report(report: dict[str, Any]) -> None:
    parts = [report["train"], report["validation"]]
    kept, dropped, blank = (sum(part[name] for part in parts) for name in ("kept", "dropped", "blank"))
    metric_row(
        ("Texts kept", f"{kept:,}"),
        ("Texts dropped", f"{dropped:,}"),
        ("Share dropped", f"{100 * (dropped / (kept + dropped)):.1f} %"),
        ("For validation", f"{report['validation']['kept']:,}", "Of those kept."),
        *([("Blank", f"{blank:,}")] if blank else []),
    )
    if not dropped:
        st.caption("No text holds a word of the concept.")
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        _table(report, "texts dropped", "forms in them", "Texts dropped by concept word", 380, most=6)
        st.caption("A text counts once for each word in it.")
    with right, st.container(height=380):
        for example in report["examples"]:
            st.markdown(_marked(example))
        st.caption("Up to three dropped texts a word, cut to what stands around it.")


def _marked(example: Mapping[str, str]) -> str:
    start = example["text"].find(f"**{example['found']}**")
    plain = example["text"].replace(f"**{example['found']}**", example["found"], 1)
    return highlighted(plain, [(start, start + len(example["found"]))])
