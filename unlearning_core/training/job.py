"""What is to be retrained, on which text and how: all a worker process needs, as JSON."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.files import write_json

PRECISIONS = ("auto", "float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class TrainingJob:
    """One retraining.

    Attributes:
        model_folder: the pruned model with its tokenizer, as `save_pretrained` writes them.
        train_path: text without the concept; whatever `concepts.texts.read_texts` reads.
        output_folder: gets `model/` (the result), `events.jsonl`, `status.json`, `checkpoints/` and `worker.log`.
        recipe_folder: says which neurons are cut; None when none are.
        validation_path: text that the evaluation loss is measured on; None leaves that out.
        epochs: passes over the text; may be a fraction.
        max_steps: optimizer steps, instead of `epochs`.
        learning_rate: peak of a linear warm-up and decay.
        weight_decay: of AdamW.
        batch_size: texts an optimizer step, over all processes together.
        max_length: tokens a sequence; a longer text goes on in the next sequence. None: the model's own limit, at
            most 512.
        warmup_ratio: share of the steps in which the learning rate rises.
        seed: of the order of the texts and of dropout.
        keep_pruned: keep what was cut at zero after every step; False lets it grow back.
        dtype: what the maths is done in: "auto", "float32" or "bfloat16" (weights stay float32 while they learn, and
            are saved in the dtype they came in).
        device: "auto", "cpu", "cuda" or "mps".
        eval_every: optimizer steps between evaluations; None: about four times in all.
        eval_texts: at most this many validation sequences are measured.
        checkpoint_every: optimizer steps between checkpoints; None: every two minutes.
        watched_path: a few labelled sentences (concepts.labelled_files) on which concept and retain loss are measured
            as the model learns; None leaves that out.
        prompts: continued at the same moments, to see the model learn.
        sample_tokens: new tokens a prompt.
        measure_every: optimizer steps between these measurements; None: as often as `measure_share` allows.
        measure_share: of the time of the training steps, at most this much goes into the measurements between the
            first and the last one.
        limit: at most this many training texts.
    """

    model_folder: str
    train_path: str
    output_folder: str
    recipe_folder: str | None = None
    validation_path: str | None = None
    epochs: float = 1.0
    max_steps: int | None = None
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    batch_size: int = 8
    max_length: int | None = None
    warmup_ratio: float = 0.05
    seed: int = 42
    keep_pruned: bool = True
    dtype: str = "auto"
    device: str = "auto"
    eval_every: int | None = None
    eval_texts: int = 64
    checkpoint_every: int | None = None
    probe_set_path: str | None = None
    prompts: tuple[str, ...] = ()
    sample_tokens: int = 24
    measure_every: int | None = None
    measure_share: float = 0.05
    limit: int | None = None

    def __post_init__(self) -> None:
        """Take paths and lists as they come from a person or from JSON; what is out of range says so.

        Raises:
            InputError: a figure is out of range; names the field, the value and the range.
        """
        for name in _PATHS:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else str(value))
        object.__setattr__(self, "prompts", tuple(self.prompts))
        for name, low, high, what in _RANGES:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise InputError(f"{name} is {value!r}; expected {what}. Change it and start the retraining again.")
        for name, choices in (("dtype", PRECISIONS), ("device", DEVICES)):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}; choose one of: {', '.join(choices)}.")

    @property
    def folder(self) -> Path:
        """`output_folder` as a path."""
        return Path(self.output_folder)

    @property
    def final_folder(self) -> Path:
        """Where the retrained model is saved, whole or not at all."""
        return self.folder / "model"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are kept until the model is saved."""
        return self.folder / "checkpoints"

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self) | {"prompts": list(self.prompts)}

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> "TrainingJob":
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or is not a training job.
        """
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
            unknown = sorted(set(value) - {field.name for field in fields(cls)})
            if unknown:
                raise InputError(f"{path} has the unknown field {unknown[0]!r}; remove it.")
            return cls(**value)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path} is not a training job ({error}). Write one with TrainingJob.save.") from error


_PATHS = ("model_folder", "train_path", "output_folder", "recipe_folder", "validation_path", "probe_set_path")
_WHOLE = 2**31
_RANGES = (
    ("epochs", 1e-6, 10_000, "more than 0 and at most 10000 passes over the text"),
    ("max_steps", 1, _WHOLE, "1 or more optimizer steps"),
    ("learning_rate", 1e-12, 1.0, "more than 0 and at most 1 (5e-5 is usual)"),
    ("weight_decay", 0.0, 10.0, "0 to 10"),
    ("batch_size", 1, 65_536, "1 to 65536 texts"),
    ("max_length", 2, 1_048_576, "2 or more tokens"),
    ("warmup_ratio", 0.0, 0.999, "0 to 0.999"),
    ("seed", 0, 2**32 - 1, "0 to 4294967295"),
    ("eval_every", 1, _WHOLE, "1 or more optimizer steps"),
    ("eval_texts", 1, _WHOLE, "1 or more sequences"),
    ("checkpoint_every", 1, _WHOLE, "1 or more optimizer steps"),
    ("sample_tokens", 1, 4096, "1 to 4096 tokens"),
    ("measure_every", 1, _WHOLE, "1 or more optimizer steps"),
    ("measure_share", 0.0, 1.0, "0 to 1"),
    ("limit", 1, _WHOLE, "1 or more texts"),
)
_OPTIONAL = {"max_steps", "max_length", "eval_every", "checkpoint_every", "measure_every", "limit"}
