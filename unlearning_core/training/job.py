"""What is to be retrained, on which text and how: all that a worker process needs, as JSON."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from unlearning_core.errors import InputError
from unlearning_core.jobs.process import Handle, launch

PathText = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, Path) else value)]
_WHOLE = 2**31
_PATHS = ("model_folder", "output_folder", "recipe_folder", "probe_set_path", "quiz_path")

ONE_IN = 6
"""Of the texts that are not about the concept, one in so many uses its words in another sense, where there are such."""


def _number(default: float | None, low: float, high: float, expected: str) -> Any:
    """A field's default, its range with both ends, and what its error says was expected."""
    return Field(default, ge=low, le=high, description=expected)


def _one_of(*names: str) -> Any:
    """A field whose default is the first of `names`; its error lists them all."""
    return Field(names[0], description=f"one of: {', '.join(names)}")


class Distillation(BaseModel):
    """Learning from a teacher instead of from text: the base, which may not foresee the concept's words.

    Attributes:
        teacher_folder: the base model.
        words: the concept's words.
        sentences_path: labelled training sentences (concepts.labelled_files): they say in which forms the words occur,
            and those with the concept are the texts about it.
        noise, noise_scale: share of fresh weights that is mixed in before the first step, and their scale.
        other_sense_path: texts with the words in another sense, in which they stay allowed; None: none.
        other_sense_ridge: how dear it is to move a row for them (other_senses.py).
        concept_texts: texts about the concept that are mixed into a step; their teacher never heard its words.
        concept_weight: what one of them counts against one without the concept.
        depth_weight: weight of what the base's upper layers make of the student's inner state; 0 leaves it out.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    teacher_folder: PathText
    words: tuple[str, ...] = Field((), strict=False)
    sentences_path: PathText | None = None
    noise: float = _number(0.0, 0.0, 1.0, "0 to 1")
    noise_scale: float = _number(0.1, 0.0, 10.0, "0 to 10")
    other_sense_path: PathText | None = None
    other_sense_ridge: float = _number(2e-5, 0.0, 1.0, "0 to 1")
    concept_texts: int = _number(0, 0, 65_536, "0 to 65536 texts")
    concept_weight: float = _number(1.0, 0.0, 1000.0, "0 to 1000")
    depth_weight: float = _number(0.0, 0.0, 1000.0, "0 to 1000")

    @property
    def pace(self) -> str:
        """What decides how long a step takes, beside the model and the text without the concept."""
        told = {
            "depth": self.depth_weight, "other senses": self.other_sense_path,
            f"{self.concept_texts} texts about the concept": self.concept_texts,
        }  # fmt: skip
        return ", ".join(["distill", *(name for name, there in told.items() if there)])

    def beside(self, batch_size: int) -> tuple[int, int]:
        """(texts with the words in another sense, texts about the concept) beside so many texts without it."""
        others = max(1, round(batch_size / (ONE_IN - 1))) if self.other_sense_path is not None else 0
        return others, self.concept_texts

    def settings(self) -> dict[str, Any]:
        """What decides the weights of a step, but for what it points to."""
        paths = {name for name in type(self).model_fields if name.endswith(("_path", "_folder"))}
        return self.model_dump(mode="json", exclude=paths)


class TrainingJob(BaseModel):
    """One retraining.

    Attributes:
        model_folder: the edited model with its tokenizer, as `save_pretrained` writes them.
        train_path: text without the concept; whatever `concepts.texts.read_texts` reads.
        output_folder: gets `model/` (the result), `checkpoints/` and what `jobs.process.launch` writes.
        recipe_folder: says which neurons are cut; None when none are.
        validation_path: text that the evaluation loss is measured on; None leaves that out.
        epochs, max_steps: passes over the text (may be a fraction), or optimizer steps instead.
        learning_rate, warmup_ratio: peak of a linear warm-up and decay; share of the steps in which it rises.
        batch_size: texts an optimizer step, over all processes together.
        max_length: tokens a sequence; a longer text goes on in the next one. None: the model's own limit, at most 512.
        seed: of the order of the texts and of dropout.
        keep_pruned: keep what was changed as it was after every step; False lets it grow back.
        dtype: of the maths (weights stay float32 while they learn, and are saved in the dtype they came in).
        device: "auto" takes a card if there is one.
        gradient_checkpointing: compute each block again on the way back instead of keeping what it held.
        optimizer: "adamw" keeps 8 bytes a weight, "adafactor" about none, those of 8 bits 2 (on a card alone).
        lora_rank: train adapters of this rank in place of the weights (adapters.py); None trains all weights.
        lora_alpha: what they count, over the rank; None: twice the rank.
        eval_every: optimizer steps between evaluations; None: about four times in all.
        eval_texts, limit: at most this many validation sequences and training texts.
        checkpoint_every: optimizer steps between checkpoints; None: every two minutes.
        probe_set_path: a few labelled sentences (concepts.labelled_files) on which concept and retain loss are measured
            as the model learns; None leaves that out.
        prompts, sample_tokens: continued at the same moments, to see the model learn, by so many tokens.
        measure_every: optimizer steps between these measurements; None: as often as `measure_share` allows.
        measure_share: of the time of the training steps, at most this much goes into the measurements in between, and
            as much into the quiz.
        quiz_path: questions (evaluation.question_sets) that are asked before the first step, at the evaluations and
            after the last step; None: none.
        quiz_chat, quiz_tokens: how they are put (evaluation.chat.Asking), and how long an answer may be.
        distillation: learn from a teacher; None: from the text itself.
        report_to: trackers that transformers knows and that are sent the numbers too, by their own settings
            (WANDB_PROJECT and the like); TensorBoard's files lie in `output_folder`/tensorboard unless
            TENSORBOARD_LOGGING_DIR says otherwise.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    model_folder: PathText
    train_path: PathText
    output_folder: PathText
    recipe_folder: PathText | None = None
    validation_path: PathText | None = None
    epochs: float = _number(1.0, 1e-6, 10_000, "more than 0 and at most 10000 passes over the text")
    max_steps: int | None = _number(None, 1, _WHOLE, "1 or more optimizer steps")
    learning_rate: float = _number(5e-5, 1e-12, 1.0, "more than 0 and at most 1 (5e-5 is usual)")
    weight_decay: float = _number(0.01, 0.0, 10.0, "0 to 10")
    batch_size: int = _number(8, 1, 65_536, "1 to 65536 texts")
    max_length: int | None = _number(None, 2, 1_048_576, "2 or more tokens")
    warmup_ratio: float = _number(0.05, 0.0, 0.999, "0 to 0.999")
    seed: int = _number(42, 0, 2**32 - 1, "0 to 4294967295")
    keep_pruned: bool = True
    dtype: Literal["auto", "float32", "bfloat16"] = _one_of("auto", "float32", "bfloat16")
    device: Literal["auto", "cpu", "cuda", "mps"] = _one_of("auto", "cpu", "cuda", "mps")
    gradient_checkpointing: bool = False
    optimizer: Literal["adamw", "adafactor", "adamw_8bit", "paged_adamw_8bit"] = _one_of(
        "adamw", "adafactor", "adamw_8bit", "paged_adamw_8bit"
    )
    lora_rank: int | None = _number(None, 1, 1024, "1 to 1024")
    lora_alpha: float | None = _number(None, 1e-6, 1e6, "more than 0 and at most 1000000")
    eval_every: int | None = _number(None, 1, _WHOLE, "1 or more optimizer steps")
    eval_texts: int = _number(64, 1, _WHOLE, "1 or more sequences")
    checkpoint_every: int | None = _number(None, 1, _WHOLE, "1 or more optimizer steps")
    probe_set_path: PathText | None = None
    prompts: tuple[str, ...] = Field((), strict=False)
    sample_tokens: int = _number(24, 1, 4096, "1 to 4096 tokens")
    measure_every: int | None = _number(None, 1, _WHOLE, "1 or more optimizer steps")
    measure_share: float = _number(0.05, 0.0, 1.0, "0 to 1")
    quiz_path: PathText | None = None
    quiz_chat: Literal["auto", "always", "never"] = _one_of("auto", "always", "never")
    quiz_tokens: int = _number(24, 1, 4096, "1 to 4096 tokens")
    limit: int | None = _number(None, 1, _WHOLE, "1 or more texts")
    distillation: Distillation | None = None
    report_to: tuple[str, ...] = Field((), strict=False)

    def __init__(self, **values: Any) -> None:
        """Check every value; a path may be a string or a Path.

        Raises:
            InputError: a value is out of range, missing or unknown; names the field, the value and what was expected.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_sentence(error.errors()[0])) from error

    @property
    def folder(self) -> Path:
        """`output_folder` as a path."""
        return Path(self.output_folder)

    @property
    def final_folder(self) -> Path:
        """Where the retrained model is saved, whole or not at all."""
        return self.folder / "model"

    @property
    def pace(self) -> str:
        """What decides how long a step takes, beside the model and the text without the concept."""
        learnt = "text" if self.distillation is None else self.distillation.pace
        return learnt if self.lora_rank is None else f"{learnt}, adapters"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are kept until the model is saved."""
        return self.folder / "checkpoints"

    def values(self) -> dict[str, Any]:
        """All fields, ready for JSON, with absolute paths; a text that is no file here is a name on the Hub."""
        values = self.model_dump(mode="json")
        for name in (*_PATHS, "train_path", "validation_path"):
            value = values[name]
            if value is not None and (name in _PATHS or Path(value).exists()):
                values[name] = str(Path(value).resolve())
        for name, value in (values["distillation"] or {}).items():
            if name.endswith(("_path", "_folder")) and value is not None:
                values["distillation"][name] = str(Path(value).resolve())
        return values


def start(job: TrainingJob) -> Handle:
    """Start a worker for `job`; it goes on from the last checkpoint in its folder, if there is one.

    Raises:
        InputError: a worker is at work in that folder already.
    """
    return launch(job.folder, f"{__package__}.train:train_job", job.values(), title="retraining")


def _sentence(problem: Any) -> str:
    names = [str(part) for part in problem["loc"][:2]]
    inside = len(names) > 1 and names[0] == "distillation"
    fields, own, name = (
        (Distillation.model_fields, names[1], ".".join(names))
        if inside
        else (TrainingJob.model_fields, names[0], names[0])
    )
    if own not in fields:
        return f"A training job has no field {name!r}; remove it."
    if problem["type"] == "missing":
        return f"{name} is missing from the training job; give it."
    expected = fields[own].description or problem["msg"]
    return f"{name} is {problem['input']!r}; expected {expected}. Change it and start the retraining again."
