"""The metrics of an evaluation (`unlearn evaluate`), a row each: gone, cost, comes back. Part of the registry.

Each is computed from the frames of a part of the suite (parts.py), of the state itself, of the base, of the model that
never knew, or of the control (the base retrained without a cut). Loads no torch.
"""

from typing import Any

from unlearning_core.evaluation.inside_metrics import INSIDE_ROWS
from unlearning_core.evaluation.metric import Metric, Section, late


def _row(
    section: Section, name: str, title: str, help: str, needs: tuple[str, ...], compute: Any, **more: Any
) -> Metric:
    return Metric(name, title, help, needs, compute, section=section, **{"shown_in": ("proof",), **more})


def _change(name: str, title: str, help: str, texts: str, kind: str, against: str = "base") -> Metric:
    return _row(
        "cost", name, title, help, (f"{against} losses", "losses"),
        late("text_losses", "change", name=texts, kind=kind), unit="nats/token", better="lower",
    )  # fmt: skip


def _divergence(name: str, title: str, help: str, texts: str) -> Metric:
    return _row(
        "cost", name, title, help, ("base losses", "losses"),
        lambda base, after: late("text_losses", "divergence", name=texts)(after), unit="nats/token", better="lower",
    )  # fmt: skip


_GONE = (
    _row(
        "gone", "statement_nll", "Concept loss on statements",
        "How badly the concept's words are predicted in statements about it that were never read.", ("losses",),
        late("text_losses", "loss", name="statements", kind="concept"), unit="nats/token", better="higher",
    ),
    _row(
        "gone", "gap_closed", "Gap to never-knew closed",
        "How far the concept's loss has come from the base's (0) to that of a model that never knew (1).",
        ("base losses", "losses", "reference"), late("text_losses", "gap_closed"), unit="share", better="higher",
        shown_in=("proof", "runs"), column="Gap closed",
    ),
    _row(
        "gone", "questions_answered", "Questions about the concept still answered",
        "Of the questions that the base answers right, the share that still is.", ("base questions", "questions"),
        late("answers", "share_still_right"), unit="share", better="lower", shown_in=("table", "proof", "runs"),
        column="Answered",
    ),
    _row(
        "gone", "questions_exact", "Questions about the concept answered right", "Of all questions asked.",
        ("questions",), late("answers", "share_exact", about="concept"), unit="share", better="lower",
        shown_in=("table", "headline", "proof"),
    ),
    _row(
        "gone", "questions_rouge", "Nearness of the answers to the right ones",
        "ROUGE-L of the answers to questions about the concept: 1 is word for word.", ("questions",),
        late("answers", "mean_rouge", about="concept"), better="lower",
    ),
    _row(
        "gone", "questions_sampled", "Sampled answers that are right",
        "Of answers drawn at temperature 1, the share that is right.", ("questions",),
        late("answers", "share_sampled", about="concept"), unit="share", better="lower",
    ),
    _row(
        "gone", "invited_words_per_100", "Concept words per 100 written after inviting prompts",
        "How often the concept comes up over many prompts and samples.", ("writing",),
        late("continuations", "words_per_100"), better="lower",
    ),
)  # fmt: skip

_COST = (
    _change("retain_text_delta", "Loss on other text (whole texts), change against base",
            "What it cost where the concept plays no part, by whole texts.", "retain", "retain"),
    _change("neighbour_text_delta", "Loss on text about neighbours, change against base",
            "What it cost in text about what is near the concept.", "neighbour", "retain"),
    _change("other_sense_delta", "Loss on the words in another sense, change against base",
            "What it cost where the same words mean something else.", "other_sense", "concept"),
    _change("other_text_delta", "Loss on text of another kind, change against base",
            "What it cost on text unlike that which the neurons were ranked on.", "other_text", "retain"),
    _change("control_retain_delta", "Loss on other text (whole texts), change against the control",
            "What it cost beside the base that was retrained on the same text without a cut.", "retain", "retain",
            "control"),
    _change("control_neighbour_delta", "Loss on text about neighbours, change against the control",
            "The same of neighbours.", "neighbour", "retain", "control"),
    _change("control_other_text_delta", "Loss on text of another kind, change against the control",
            "The same on text of another kind.", "other_text", "retain", "control"),
    _divergence("kl_base_retain", "Divergence from base, other text",
                "How differently the next word is predicted (KL).", "retain"),
    _divergence("kl_base_neighbour", "Divergence from base, neighbours", "The same in text about its neighbours.",
                "neighbour"),
    _divergence("kl_base_other_text", "Divergence from base, text of another kind", "The same there.", "other_text"),
    _row(
        "cost", "neighbour_questions_answered", "Questions about neighbours still answered",
        "Of those that the base answers right, the share that still is.", ("base questions", "questions"),
        late("answers", "share_still_right", about="neighbour"), unit="share", better="higher",
    ),
    _row(
        "cost", "other_questions_answered", "Questions about other things still answered",
        "Of those that the base answers right, the share that still is.", ("base questions", "questions"),
        late("answers", "share_still_right", about="other"), unit="share", better="higher",
    ),
    _row(
        "cost", "repetition", "Repetition", "Share of runs of four words that a text has had before (seq-rep-4).",
        ("writing",), late("continuations", "repetition"), unit="share", better="lower",
    ),
    _row(
        "cost", "distinct_pairs", "Variety", "Share of different pairs of words in what it writes (distinct-2).",
        ("writing",), late("continuations", "distinct_pairs"), unit="share", better="higher", has_stderr=False,
    ),
)  # fmt: skip


def _race(name: str, title: str, help: str, function: str, **more: Any) -> Metric:
    return _row(
        "back", name, title, help, more.pop("needs", ("relearn",)), late("recovery", function, **more.pop("given")),
        has_stderr=False, **more,
    )  # fmt: skip


def _attack(name: str, title: str, help: str) -> Metric:
    """Of an attack on the weights."""
    return _row(
        "back", name, title, help, (name, f"never_knew {name}?"), late("recovery", "won_back"), unit="share",
        better="lower", has_stderr=False,
    )  # fmt: skip


def _asking(name: str, title: str, help: str) -> Metric:
    return _row(
        "back", name, title, help, (f"base {name}", name, f"never_knew {name}?"), late("recovery", "answers_won"),
        unit="share", better="lower", has_stderr=False,
    )  # fmt: skip


_BACK: tuple[Metric, ...] = (
    _race("relearn_steps_50", "Steps of relearning until half is back",
          "At the worst learning rate; one more than were tried stands for never.", "steps_to",
          given={"share": 0.5}, better="higher", shown_in=("proof", "runs"), column="Back in"),
    _race("relearn_gentle_steps_50", "Steps of relearning until half is back, at low learning rates",
          "At learning rates up to 1e-4, at which what was never known takes long.", "gentle_steps_to",
          given={"share": 0.5}, better="higher"),
    _race("relearn_steps_90", "Steps of relearning until nearly all is back",
          "To 90 % of the gap, at the worst learning rate; one more than were tried stands for never.", "steps_to",
          given={"share": 0.9}, better="higher"),
    _race("relearn_samples_50", "Texts read until half is back", "The same in texts, repetitions counted.",
          "samples_to", given={"share": 0.5}, better="higher"),
    _race("relearn_worst_rate", "Learning rate at which it comes back first", "Of those that were tried.",
          "worst_rate", given={"share": 0.5}),
    _race("relearn_share_50", "Steps until half is back, beside never-knew's",
          "As a share of what a model that never knew needs at the same learning rate; the smallest share.",
          "share_of_steps", given={"share": 0.5}, needs=("never_knew relearn", "relearn"), unit="share",
          better="higher"),
    _attack("attack_facts", "Brought back by teaching other facts",
            "Share of the gap on words that were not taught, beyond what a model that never knew learns likewise."),
    _attack("attack_retain", "Brought back by text without the concept", "Share of the gap, beyond never-knew's."),
    _attack("attack_other_text", "Brought back by text of another kind", "Share of the gap, beyond never-knew's."),
    _attack("attack_int8", "Brought back by rounding to int8", "Share of the gap, beyond never-knew's."),
    _attack("attack_int4", "Brought back by rounding to int4", "Share of the gap, beyond never-knew's."),
    _attack("attack_pasted", "Brought back by pasting weights of the base",
            "Share of the gap, at the group of weights that brings most back, beyond never-knew's."),
    _asking("attack_prefix", "Brought back by inviting words",
            "Share of the questions answered in any of several ways, of those that only knowing answers."),
    _asking("attack_sampling", "Brought back by many tries",
            "Share of the questions ever answered right, of those that only knowing answers."),
)  # fmt: skip

PROOF_ROWS: tuple[Metric, ...] = (*_GONE, *INSIDE_ROWS, *_COST, *_BACK)
