"""What the files of a run must look like: it may have come from anybody, in a zip, or from a disk that failed.

Each form is a type that `read_json` of unlearning_core.reading compares with; keys beyond those named are let be, so
that a later version may add some.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.evaluation.question_sets import About
from unlearning_core.evaluation.question_sets import Form as QuestionForm

Whole = Annotated[int, Field(strict=True, ge=0, le=1 << 62)]
Number = Annotated[float, Field(strict=True)]
Name = Annotated[str, Field(pattern=r"^[\w.:-]{1,80}$")]
LONGEST_NAME = 60
"""Characters of the name that a person gives a run."""

Metrics = dict[str, dict[str, Number | None]]
"""`metrics.json`: value by state and metric."""

Counts = dict[str, Whole]
Forms = dict[str, Counts]
Pair = Annotated[list[Whole], Field(min_length=2, max_length=2)]


class Form(BaseModel):
    """What an object must hold; other keys are let be."""

    model_config = ConfigDict(extra="allow")


class WrittenText(Form):
    """One text that a state of the model wrote."""

    prompt: str
    text: str
    sample: int
    seed: int | None = None


Written = list[WrittenText]
Generations = dict[str, Written]
"""`generations.json`: texts by state."""

History = list[dict[str, Number | None]]
"""`course.json`: the figures of each step of a ranking's own training."""


class ConceptWords(Form):
    """How often each word and form occurs, and which words never do."""

    words: Counts
    forms: Forms | None = None
    missing_words: list[str]


class ConceptFacts(ConceptWords):
    """`concept.json`: what labelling counted; pairs are sentences with and without the concept."""

    sentences: Annotated[int, Field(strict=True, ge=1)]
    with_concept: Whole
    duplicates: Whole
    left_out: Whole | None = None
    train: Pair
    held_out: Pair
    corrections: dict[str, list[Whole]] | None = None
    neighbours: ConceptWords | None = None


class Judged(Form):
    """What the verdict on one state says."""

    verdict: str
    sentence: str
    checks: list[dict[str, Any]]


class Verdict(Form):
    """`verdict.json`: what an evaluation came to, the last state's verdict and every state's."""

    verdict: str
    quick: bool
    states: dict[str, Judged]


class Chosen(Form):
    """The cut that a search chose."""

    ratio: Annotated[float, Field(ge=0, le=1)]


class Found(Form):
    """`search.json`: what a search for a cut found."""

    sentence: str
    chosen: Chosen


class Dropped(Form):
    """A source's report of the filter: texts kept and dropped, the words for which, and examples."""

    train: dict[str, Any]
    validation: dict[str, Any]
    words: Counts
    forms: Forms | None = None
    examples: list[dict[str, Any]]


Reports = list[Dropped]


class StoredFile(Form):
    """One file of an artifact."""

    size: Whole
    hash: str | None


Files = dict[str, StoredFile]


class Record(Form):
    """`artifact.json`: what a result is."""

    files: Files
    summary: dict[str, Any]
    details: dict[str, Any] | None = None
    seconds: Number


class StageState(Form):
    """What a manifest knows of one stage."""

    state: str | None = None
    fingerprint: str | None = None
    seconds: Number | None = None
    summary: dict[str, Any] | None = None
    files: Files | None = None
    taken_from: str | None = None


class Kept(Form):
    """A further artifact that a run keeps."""

    kind: str
    fingerprint: str


class ManifestForm(Form):
    """`status.json` of a run."""

    state: str
    stage: str | None = None
    message: str | None = None
    created: str | None = None
    stages: dict[str, StageState]
    kept: list[Kept] | None = None
    sources: dict[str, dict[str, Any]] | None = None


class ModelFacts(Form):
    """The note `model`: facts of the base model, as `ModelInfo.to_dict` gives them."""

    source: str
    model_type: Name
    layers: Whole
    shapes: dict[Literal["mlp", "head", "residual"], Pair]
    parameters: Whole
    bytes_in_memory: Whole
    dtype: Name
    device: Name = "cpu"
    licence: str | None = None
    revision: str | None = None
    download_bytes: Whole = 0
    bytes_available: Whole | None = None
    context: Whole | None = None
    vocabulary: Whole | None = None


class MeasuredRate(Form):
    """How fast a training went (`Rate` of unlearning_core.training.rate)."""

    model_config = ConfigDict(extra="forbid")

    tokens_per_second: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
    beside_seconds: Number
    batch_size: Whole
    steps: Whole
    source: str | None = None


class RateNote(Form):
    """The note `rate`: a measured rate and the conditions that it holds under."""

    conditions: dict[str, str]
    rate: MeasuredRate


class QuizMark(Form):
    """What a state answered to a question of the quiz (`Mark` of unlearning_core.evaluation.quiz)."""

    model_config = ConfigDict(extra="forbid")

    answer: str
    right: Annotated[bool, Field(strict=True)]


class QuizState(Form):
    """Its answers, and which result of the run it was."""

    of: str | None
    marks: list[QuizMark]


class QuizQuestion(Form):
    """A question as a question set has it."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    answers: Annotated[list[str], Field(min_length=1)]
    form: QuestionForm
    about: About
    member: str
    fact: str
    phrasing: str


class QuizNote(Form):
    """The note `quiz`: the questions that the base answers right, and each state's answers."""

    of: str
    questions: list[QuizQuestion]
    states: dict[str, QuizState]


NOTES: dict[str, Any] = {
    "model": ModelFacts,
    "rate": RateNote,
    "pinned_neurons": list[tuple[str, Whole, Whole]],
    "guide": dict[str, Any],
    "prompts": list[str],
    "name": Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_NAME)],
    "quiz": QuizNote,
    "tuning": dict[str, Any],
    "trial": dict[str, Any],
}
"""The form of each note that a run may have."""


class RowsAsked(Form):
    """What a recipe's `ranking` says of the token rows."""

    strength: Annotated[float, Field(ge=0, le=1)]
    share: Annotated[float, Field(gt=0, le=1)]
    kept: list[str]
    broad_text: bool


class Ranked(Form):
    """What a recipe's `ranking` says of the cut."""

    protected_layers: list[Whole] = []
    excluded_neurons: list[tuple[str, Whole, Whole]] = []
    picked_neurons: list[tuple[str, Whole, Whole]] = []
    layer_ratios: dict[Annotated[str, Field(pattern=r"^\d{1,6}$")], Annotated[float, Field(ge=0, le=1)]] = {}
    words: list[str] = []
    token_rows: RowsAsked | None = None


RANKING = {
    "site": "text", "layer": "whole numbers", "index": "whole numbers", "score": "numbers", "rank": "whole numbers",
    "protected": "true or false",
}  # fmt: skip
"""Columns of `ranking.parquet`, and what stands in them."""

MASSIVE = {
    "site": "text", "layer": "whole numbers", "index": "whole numbers", "contribution": "numbers", "typical": "numbers",
}  # fmt: skip
"""Columns of `massive.parquet`."""
