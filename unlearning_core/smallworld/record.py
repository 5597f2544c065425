"""What a SmallWorld training writes: its checkpoint, to go on from, and `training.json`, to be judged by."""

import math
import platform
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from unlearning_core.errors import InputError
from unlearning_core.files import new_folder, read_object, write_json
from unlearning_core.models.ground_truth import ROUTED
from unlearning_core.smallworld.card import write_card
from unlearning_core.smallworld.routing import Routing
from unlearning_core.smallworld.training_settings import TrainingSettings

TRAINING = "training.json"
"""In the model's folder: settings, loss curve and what the training took."""

_STATE = "state.pt"


def checkpoint_folder(target: Path) -> Path:
    """Where the training that will write `target` keeps its newest state; loads as a model folder."""
    return target.with_name(f"{target.name}.training")


@dataclass
class TrainingState:
    """How far a training is: what a checkpoint keeps beside weights and optimizer."""

    step: int = 0
    seconds: float = 0.0
    loss: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Record:
    """Writes what a training has come to, and finds it again."""

    settings: TrainingSettings
    without: str | None
    routing: Routing | None
    texts: int
    steps: int
    target: Path
    identity: str
    tokenizer: PreTrainedTokenizerFast

    def restore(self, model: GPT2LMHeadModel, optimizer: torch.optim.Optimizer) -> TrainingState:
        """Bring model and optimizer to the newest checkpoint, or leave them as they are; returns how far it is."""
        folder = checkpoint_folder(self.target)
        if not folder.exists():
            return TrainingState()
        record = read_object(folder / TRAINING)
        if record.get("identity") != self.identity:
            raise InputError(
                f"{folder} holds the checkpoint of a training with other settings or texts; delete it or give another "
                "--output-dir."
            )
        self._check_cooldown(folder, record)
        state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return TrainingState(**state["training"])

    def _check_cooldown(self, folder: Path, record: dict[str, Any]) -> None:
        """Refuse a checkpoint whose last steps were taken at another learning rate than this training has there."""
        before, step = record["recipe"].get("last_step"), record["steps"]
        if before == self.settings.last_step:
            return
        begun = [replace(self.settings, last_step=end).cooldown for end in (before, self.settings.last_step)]
        if any(cooldown is not None and step > cooldown for cooldown in begun):
            raise InputError(
                f"last_step is {self.settings.last_step}, but {folder} holds step {step}, where one of the two "
                f"cool-downs (that of the checkpoint has last_step {before}) has begun; give the checkpoint's, or a "
                f"later one than {math.ceil(step / 0.8)} if it has none."
            )

    def save_checkpoint(
        self,
        model: GPT2LMHeadModel,
        optimizer: torch.optim.Optimizer,
        training: TrainingState,
        plain: GPT2LMHeadModel,
    ) -> None:
        """Replace the checkpoint in one step; `plain` is `model` as it is saved at the end."""
        folder = checkpoint_folder(self.target)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "training": vars(training)}
        with new_folder(folder) as fresh:
            self.save_model(fresh, plain, training)
            torch.save(state, fresh / _STATE)

    def save_model(self, folder: Path, model: GPT2LMHeadModel, training: TrainingState) -> None:
        """Weights, configuration, tokenizer, `training.json` and model card."""
        model.save_pretrained(folder)
        for weights in folder.glob("*.safetensors"):
            weights.chmod(0o644)
        self.tokenizer.save_pretrained(folder)
        summary = {
            "recipe": self.settings.recipe(),
            "without": self.without,
            **({"routing": vars(self.routing)} if self.routing else {}),
            "texts_read": self.texts,
            "steps": training.step,
            "steps_planned": self.steps,
            "tokens": training.step * self.settings.batch_rows * self.settings.context,
            "parameters": model.num_parameters(),
            "seconds": round(training.seconds, 1),
            "versions": {
                "python": platform.python_version(),
                **{library.__name__: library.__version__ for library in (torch, transformers, tokenizers)},
            },
            "identity": self.identity,
            "loss": training.loss,
        }
        write_json(folder / TRAINING, summary)
        if self.routing:
            write_json(folder / ROUTED, self._named_neurons(self.routing))
        write_card(folder, summary, len(self.tokenizer))

    def _named_neurons(self, routing: Routing) -> dict[str, Any]:
        layers = routing.named(self.settings)
        named = [[layer, index] for layer, indices in enumerate(layers) for index in indices]
        return {"concept": routing.family, "site": "mlp", "neurons": named}
