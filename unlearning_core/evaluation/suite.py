"""The evaluation suite: is the concept gone, what did that cost, does it come back? What a part of it is and is given.

A *part* measures one state of a model (base, pruned, ..., or the model that never knew) on the suite's *material* and
returns data frames; the metrics (registry.py) and the verdict (verdict.py) are computed from these. Each part of each
state is kept by itself, so that a suite goes on where it was stopped. The parts stand in `parts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.question_sets import Question
from unlearning_core.progress import ProgressCallback

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.edits.mask import Mask
    from unlearning_core.edits.token_rows import TokenRows
    from unlearning_core.evaluation.truth_ratio import TruthQuestion
    from unlearning_core.models.loading import LoadedModel

Frames = dict[str, "pd.DataFrame"]
"""What a part leaves: tables by name. Columns hold numbers, strings and booleans only; one row an example wherever
there are examples, so that every number can be followed to what it was computed from."""

Group = Literal["gone", "cost", "back"]
"""The question that a part answers."""


@dataclass(frozen=True)
class Material:
    """Everything that a model is measured on; the same for all of its states. Any of it may be empty.

    Attributes:
        matcher: finds the concept's words.
        sentences: the run's held-out sentences, with and without the concept, neighbours marked where there are any.
        statements: texts about the concept that no model has read in these words, the concept's words marked; of them
            the concept's loss is measured that the gap, depth and relearning speak of.
        retain: texts that a model which never knew the concept foresees as well as the base: not about it at all.
        neighbour: such texts about what stands near it.
        other_sense: texts that use the concept's words in another sense.
        other_text: texts of another kind than those that the neurons were ranked on.
        questions: about the concept, its neighbours and other things.
        truth: questions with a paraphrased and several wrong answers.
        prompts: beginnings of texts, among them such as invite the concept.
        attack: texts about the concept that nothing before has used: what an attacker trains on.
        attack_other: texts without the concept that nothing before has used.
    """

    matcher: Matcher
    sentences: tuple[LabelledText, ...] = ()
    statements: tuple[LabelledText, ...] = ()
    retain: tuple[str, ...] = ()
    neighbour: tuple[str, ...] = ()
    other_sense: tuple[str, ...] = ()
    other_text: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    truth: tuple[TruthQuestion, ...] = ()
    prompts: tuple[str, ...] = ()
    attack: tuple[LabelledText, ...] = ()
    attack_other: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """The model that is measured, and those that it is compared with.

    Attributes:
        state: "base", "pruned", ..., "never_knew".
        loaded: the model in that state. A part may change its weights only inside a `with` that puts them back
            (or on a copy): the next part is given the same one.
        base: the base model; the same object as `loaded` where that is the state.
        never_knew: the model that never knew, or None where there is none.
        mask: the neurons that the state's recipe cuts, or None.
        seed: of whatever is drawn.
        rows: the token rows that the state's recipe moved, or None.
    """

    state: str
    loaded: LoadedModel
    base: LoadedModel
    never_knew: LoadedModel | None = None
    mask: Mask | None = None
    seed: int = 0
    rows: TokenRows | None = None


Compute = Callable[[Subject, Material, ProofSection, ProgressCallback], Frames]


@dataclass(frozen=True)
class Part:
    """One part of the suite.

    Attributes:
        name: what the stage, the metrics and the command line call it.
        title: what pages and a progress bar call it.
        sentence: what it does, in one sentence that a person who does not program understands.
        group: the question that it answers.
        compute: measures; raises InputError, WorkFailed, Stopped.
        reads: the fields of `Material` that its result depends on.
        settings: the settings (`ProofSection`) that its result depends on.
        possible: whether it can be done with this material; a sentence says why where it cannot be.
        states: which states it measures: all, or only those that a method made and the never-knew model.
        never_knew: whether it compares with the model that never knew, where there is one.
        attack: whether it is one of the attacks, each of which is a card of its own.
        judged: when the verdict counts an attack: always; only where there is a never-knew model, without which it
            reports too much; or never, where it says where the concept lives rather than whether it is gone.
        version: raised when the same inputs give another result.
    """

    name: str
    title: str
    sentence: str
    group: Group
    compute: Compute
    reads: tuple[str, ...]
    settings: tuple[str, ...] = ()
    possible: Callable[[Material, Mapping[str, bool]], str | None] = field(default=lambda material, has: None)
    """Given the material and {"never_knew": ..., "mask": ...}, whether these are there: None, or why it cannot be."""
    states: Literal["all", "edited"] = "all"
    never_knew: bool = False
    attack: bool = False
    judged: Literal["always", "beside never-knew", "never"] = "always"
    version: int = 1
