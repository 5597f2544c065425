"""A quiz for an audience: ten questions about the concept and ten about its neighbours that the base answers right.

The questions are chosen by a rule that knows nothing of any other state, so that what an edit has closed well is not
picked out: those of the set are put in an order (`in_turn`: the seven forms in turn, and of each form the thing that
was asked about least), and the first ten that the base answers right are taken. As in `answers.still_right`, one that
the base answers without hearing the concept's words does not count. The ten stand for the set: a form that an edit
leaves open (chained facts, say) is among them as often as any other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.question_sets import FORMS, About, Question
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.models.loading import LoadedModel

ASKED = 10
"""Questions about the concept, and as many about its neighbours."""

SUBJECTS: tuple[About, ...] = ("concept", "neighbour")
"""What a quiz asks about, in its order."""

_AT_ONCE = 20
"""Questions that the base is asked at once until enough of them are answered right."""


@dataclass(frozen=True)
class Mark:
    """What a model answered to a question, up to the end of its first sentence, and whether that is right."""

    answer: str
    right: bool


def in_turn(questions: Sequence[Question]) -> list[Question]:
    """The questions in the order of a quiz: form after form in turn, the least asked `member` first, then as given."""
    waiting = {form: [question for question in questions if question.form == form] for form in FORMS}
    used: Counter[str] = Counter()
    found = []
    while any(waiting.values()):
        for of_form in filter(None, waiting.values()):
            place = min(range(len(of_form)), key=lambda index: used[of_form[index].member])
            question = of_form.pop(place)
            used[question.member] += 1
            found.append(question)
    return found


def choose_questions(
    base: "LoadedModel",
    questions: Sequence[Question],
    matcher: Matcher,
    settings: ProofSection,
    progress: ProgressCallback = silent,
    *,
    most: int = ASKED,
    subjects: Sequence[About] = SUBJECTS,
) -> list[Question]:
    """The first questions about the concept that the base answers right and does not guess, then the neighbours'.

    At most `most` about each subject; fewer where the set has no more such, none where it has none.

    Raises:
        InputError: a question is empty, fills the model's context, or cannot be put as the settings say.
        WorkFailed: the model's output is not a number.
        Stopped: `progress` raised it.
    """
    found = []
    for about in subjects:
        waiting = in_turn([question for question in questions if question.about == about])
        known: list[Question] = []
        while waiting and len(known) < most:
            known += _known(base, waiting[:_AT_ONCE], matcher, settings, progress)
            del waiting[:_AT_ONCE]
        found += known[:most]
    return found


def ask(
    loaded: "LoadedModel",
    questions: Sequence[Question],
    base: "LoadedModel",
    settings: ProofSection,
    *,
    recipe: "Recipe | None" = None,
    progress: ProgressCallback = silent,
) -> list[Mark]:
    """What the model answers greedily to each question, put as it is put to the base; raises as `choose_questions`.

    Args:
        base: whose chat template says how a question is put.
        recipe: the edits under which `loaded` answers.
    """
    from unlearning_core.evaluation.answers import marked
    from unlearning_core.evaluation.chat import Asking
    from unlearning_core.evaluation.generation import generate

    if not questions:
        return []
    asking = Asking(base, settings.chat, settings.answer_tokens)
    texts = generate(
        loaded,
        [asking.put(question.prompt) for question in questions],
        mask=None if recipe is None else recipe.mask,
        rows=None if recipe is None else recipe.rows,
        temperature=0.0,
        max_new_tokens=settings.answer_tokens,
        progress=lambda update: progress(Progress("asking the quiz", update.done, update.total, update.unit)),
    )
    return [
        Mark(*marked(text.text, question, chat=asking.in_chat(question.prompt)))
        for question, text in zip(questions, texts, strict=True)
    ]


def _known(
    base: "LoadedModel",
    questions: Sequence[Question],
    matcher: Matcher,
    settings: ProofSection,
    progress: ProgressCallback,
) -> list[Question]:
    """Those of the questions that the base answers right, but not with the concept's words blanked."""
    from unlearning_core.evaluation.answers import guessable

    marks = ask(base, questions, base, settings, progress=progress)
    right = [question for question, mark in zip(questions, marks, strict=True) if mark.right]
    pairs = guessable(right, matcher)
    blanked = ask(base, [blank for _, blank in pairs], base, settings, progress=progress)
    guessed = [question for (question, _), mark in zip(pairs, blanked, strict=True) if mark.right]
    return [question for question in right if question not in guessed]
