"""What a recipe comes to: how much of the concept it forgets, and what that costs, on a run's held-out sentences.

A cut with its token rows is measured by hooks on the base, as the preview is, without a copy of the model. A retrained
model is measured by the stages of its run. Both are read on the same sentences, and asked the same questions.

A loss on the concept's words is not forgetting: a recipe that moves the rows of these words alone makes them as
unlikely as can be and may still answer. So forgotten is the mean of two shares: the gap that is closed, and the
questions that the base answers and the model does not any more (without questions the gap alone). A cost below 0 counts
as 0: a model that recovers on its own kind of text reads it better than before, which no recipe has earned.
"""

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unlearning_core.config.schema import ThresholdSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.measurement import Measurement, apart_delta, nll_delta
from unlearning_core.evaluation.question_sets import Question, read_question_set
from unlearning_core.evaluation.suite import Material
from unlearning_core.files import write_text
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import cut_settings
from unlearning_core.runs.run import Run
from unlearning_core.runs.sweep import SENTENCES
from unlearning_core.runs.token_rows import run_concept_tokens
from unlearning_core.runs.tuning.space import Choice

if TYPE_CHECKING:
    from unlearning_core.activations.concept_tokens import ConceptTokens
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.evaluation.likelihood import Meter
    from unlearning_core.models.loading import LoadedModel

QUESTIONS = 24
"""That every recipe is asked, at most."""

ASKED = "questions.jsonl"
"""They, in the run's folder."""

Forgotten = Literal["never_knew", "unrelated"]
"""Where forgotten is: the loss of the never-knew model, or the base's behind unrelated text."""


@dataclass(frozen=True)
class Outcome:
    """What a recipe comes to on held-out sentences, against the base.

    Attributes:
        gap: share of the way from the base's loss on the concept's words to where they are forgotten; may pass 1.
        cost: change of the loss of sentences without the concept, nats a token (`apart_delta`).
        concept: change of the loss on the concept's words, nats a token.
        neighbour: change of the loss on neighbours, nats a token; NaN where there are none.
        answered: share of the questions about the concept that the base answers which are still answered; NaN where
            none are asked.
    """

    gap: float
    gap_stderr: float
    cost: float
    cost_stderr: float
    concept: float
    neighbour: float = math.nan
    answered: float = math.nan

    def forgotten(self, most: float = 1.0) -> float:
        """The mean of the gap, which counts to `most`, and of the share of questions that are not answered any more."""
        gap = min(most, self.gap)
        return gap if math.isnan(self.answered) else (gap + 1.0 - self.answered) / 2

    @property
    def paid(self) -> float:
        """`cost`, at least 0."""
        return max(0.0, self.cost)

    def enough(self, asked: ThresholdSection) -> bool:
        """Whether it forgets what the verdict asks for, as far as it is measured here."""
        return self.gap >= asked.gap_closed and not self.answered > asked.questions_answered

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form; what is not a number becomes None."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Outcome":
        """Back from `to_dict`."""
        known = {field.name: values.get(field.name) for field in fields(cls)}
        return cls(**{name: math.nan if value is None else value for name, value in known.items()})


@dataclass(frozen=True)
class Scale:
    """What outcomes are read against.

    Attributes:
        base: the base model on the sentences.
        reference: mean loss of the concept's words where they are forgotten, nats a token.
        forgotten: what that is the loss of.
    """

    base: Measurement
    reference: float
    forgotten: Forgotten

    def outcome(self, after: Measurement, answered: float) -> Outcome:
        """What a state of the model comes to that was measured on these sentences, or on more.

        `answered` is the share of the questions that it still answers.

        Raises:
            InputError: it was measured on other sentences, or each of them holds the concept.
        """
        asked = self.base.sentences["text"]
        rows = after.sentences[after.sentences["text"].isin(set(asked))].reset_index(drop=True)
        after = Measurement(rows)
        concept, cost = nll_delta(self.base, after, "concept"), apart_delta(self.base, after)
        if cost is None:
            raise InputError(
                "Every held-out sentence holds the concept, so what a recipe costs cannot be measured. Give more text "
                "without it (neural_probing.retain_corpus)."
            )
        whole = self.reference - self.base.nll("concept").value
        both = self.base.has_neighbours and after.has_neighbours and self.base.tokens("neighbour")
        near = nll_delta(self.base, after, "neighbour").value if both else math.nan
        return Outcome(
            concept.value / whole, concept.stderr / whole, cost.value, cost.stderr, concept.value, near, answered
        )  # fmt: skip


class CutMeter:
    """Measures cuts of a run's ranking; its model, sentences and concept tokens are looked up once."""

    def __init__(self, context: RunContext, sentences: int = SENTENCES) -> None:
        """`sentences` held-out ones with, and as many without the concept at most; the run must be ranked."""
        self._context = context
        self._items = context.sentences("held_out").take(sentences, sentences, context.config.seed).items

    @cached_property
    def _meter(self) -> "Meter":
        from unlearning_core.evaluation.likelihood import Meter

        return Meter(self._context.model("base"), self._items)

    @cached_property
    def scale(self) -> Scale:
        """The base, and where the concept is forgotten.

        Raises:
            InputError: the concept's words are not less likely there than in the base, so there is nothing to forget.
        """
        base, twin = self._meter.base, self._context.config.never_knew.model
        reference = self._of_never_knew() if twin is not None else self._behind_unrelated()
        if not reference > base.nll("concept").value:
            raise InputError(
                f"The model predicts the concept's words no better ({base.nll('concept').value:.2f} nats a token) than "
                f"{'the one that never knew them' if twin is not None else 'behind text about something else'} "
                f"({reference:.2f}), so there is nothing to forget. Give sentences that say more about the concept."
            )
        return Scale(base, reference, "never_knew" if twin is not None else "unrelated")

    def _of_never_knew(self) -> float:
        from unlearning_core.evaluation.likelihood import measure

        twin = self._context.model(NEVER_KNEW, beside=("base",))
        found = measure(twin, self._items).nll("concept").value
        self._context.model("base")  # alone again
        return found

    def _behind_unrelated(self) -> float:
        from unlearning_core.evaluation.likelihood import Meter
        from unlearning_core.evaluation.text_losses import behind_unrelated

        material = Material(self._context.matcher, sentences=tuple(self._items))
        statements = [item for item in self._items if item.spans]
        items = behind_unrelated(statements, material, self._context.config.seed)
        if not items:
            raise InputError("No held-out sentence is without the concept. Give more text (neural_probing.sentences).")
        return Meter(self._context.model("base"), items, needed=["concept"]).measure().nll("concept").value

    @cached_property
    def tokens(self) -> "ConceptTokens":
        """The tokens of the concept, whatever the strength."""
        asked = cut_settings(self._context.config).token_rows
        return run_concept_tokens(self._context, self._context.model("base").tokenizer, asked)

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """Questions about the concept that the base answers and does not guess, chosen by the rule of the quiz.

        None where the settings name no questions: sentences to complete with the concept's word say what the loss says.
        """
        from unlearning_core.evaluation.quiz import choose_questions

        proof, context = self._context.config.proof, self._context
        if proof.questions is None:
            return ()
        path = context.run.tuning_folder / ASKED
        if path.is_file():
            return tuple(read_question_set(path))
        found = choose_questions(
            context.model("base"), read_question_set(Path(context.source(proof.questions))), context.matcher, proof,
            context.progress, most=QUESTIONS, subjects=("concept",),
        )  # fmt: skip
        write_text(path, "".join(json.dumps(asdict(question), ensure_ascii=False) + "\n" for question in found))
        return tuple(found)

    def answered(self, loaded: "LoadedModel", recipe: "Recipe | None" = None) -> float:
        """The share of the questions that a model answers, under the edits of a recipe; NaN where none are asked."""
        from unlearning_core.evaluation.quiz import ask

        if not self.questions:
            return math.nan
        marks = ask(loaded, self.questions, self._meter.loaded, self._context.config.proof, recipe=recipe)
        return sum(mark.right for mark in marks) / len(marks)

    def retrained(self, run: Run, state: str) -> Outcome:
        """What the model of a run in that state comes to; the run has measured it on all held-out sentences."""
        found = run.measurement(state)
        assert found is not None
        answered = self.answered(RunContext(run).model(state)) if self.questions else math.nan
        return self.scale.outcome(found, answered)

    def measure(self, choice: Choice) -> tuple[Outcome, int]:
        """The cut of a recipe before it is retrained, and how many neurons it takes."""
        from unlearning_core.edits.recipe import Recipe
        from unlearning_core.edits.row_weights import make_token_rows

        loaded, own = self._meter.loaded, cut_settings(self._context.config)
        cut = replace(own, ratio=choice.share, per_layer=choice.per_layer, protected_layers=choice.protected)
        mask = cut.mask(self._context.ranking, loaded.map.shapes)
        rows = None
        if choice.strength and len(self.tokens.ids):
            rows = make_token_rows(loaded.model, self.tokens.ids, self.tokens.unseen, choice.strength)
        recipe = Recipe(mask, self._context.config.base_model.base_model_path, {}, choice.share, rows=rows)
        answered = self.answered(loaded, recipe)
        return self.scale.outcome(self._meter.measure(mask, rows=rows), answered), mask.cut
