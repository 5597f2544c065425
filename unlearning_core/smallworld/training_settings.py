"""How a SmallWorld model is made: everything that decides its weights, beside the texts themselves."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from unlearning_core.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """Size of the model and all of its training; two models with the same settings differ only by their texts.

    Attributes:
        seed: of the world's texts, of the weights at the start and of the order of the texts.
        training_seed: of the weights at the start and of the order of the texts, where it is not `seed`: the same
            world, vocabulary and held-out texts, learned a second time.
        texts: how many texts the world writes before any are left out.
        epochs: how often each text is read; sets the steps unless `steps` does.
        steps: optimizer steps, or 0 to let `epochs` decide.
        batch_rows: rows of `context` tokens a step.
        context: positions of the model, tokens a row.
        vocabulary: entries of the tokenizer at most.
        width: of the GPT-2 model.
        layers: of the GPT-2 model.
        heads: attention heads a layer.
        learning_rate: at its peak, after the warm-up; a half cosine brings it to zero.
        warmup: fraction of the steps over which the learning rate rises from zero.
        weight_decay: of the matrices; gains and biases have none.
        last_step: end after so many of the steps, the learning rate falling linearly to zero over the last fifth of
            them (a cool-down, as Haegele et al. 2024, arXiv 2405.18392); the steps before are those of the whole
            training, so that one that takes too long can be ended well.
    """

    seed: int = 0
    training_seed: int | None = None
    texts: int = 300_000
    epochs: float = 2.0
    steps: int = 0
    batch_rows: int = 16
    context: int = 256
    vocabulary: int = 4096
    width: int = 192
    layers: int = 6
    heads: int = 3
    learning_rate: float = 2e-3
    warmup: float = 0.03
    weight_decay: float = 0.1
    last_step: int | None = None

    def __post_init__(self) -> None:
        """Raises InputError for a value out of range."""
        for field in fields(self):
            value = getattr(self, field.name)
            zero_allowed = field.name in ("seed", "training_seed", "steps", "warmup", "weight_decay")
            if value is None:
                continue
            if value < 0 or (value == 0 and not zero_allowed):
                raise InputError(
                    f"{field.name} is {value}; expected {'0 or more' if zero_allowed else 'more than 0'}. Correct it "
                    "and run again."
                )
        if self.width % self.heads:
            raise InputError(
                f"width is {self.width}, which {self.heads} heads do not divide; choose a multiple of {self.heads}."
            )

    def recipe(self) -> dict[str, Any]:
        """What was set, JSON-able: an option that was not used is left out, so that it changes no older identity."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def cooldown(self) -> int | None:
        """The step from which the learning rate falls to zero by `last_step`."""
        return None if self.last_step is None else round(0.8 * self.last_step)

    @property
    def start_seed(self) -> int:
        """The seed of the weights at the start and of the order of the texts."""
        return self.seed if self.training_seed is None else self.training_seed
