"""The trainer of a distillation: a masked teacher in place of the text's own next tokens.

On text without the concept the base is the teacher, and it may not foresee the concept's words; on text that uses them
in another sense it may. The loss is the forward KL divergence, which never asks for a word that the teacher does not
say: plain training on the same text brings back what was cut. After "Distillation Robustifies Unlearning" (Lee et al.
2025; AddieFoote/distillation-robustify-unlearning, MIT), which distils from a model that was unlearnt before.

With a depth weight the base's own upper layers go on from the inner state of the model that learns, at a layer drawn
for each step, and should come to what the masked teacher says: what no layer of the base can read there is gone.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unlearning_core.models.mapping import map_model
from unlearning_core.training.batching import MixedOrder
from unlearning_core.training.data import TrainingData, as_loaded
from unlearning_core.training.distill_data import CONCEPT, KINDS, OTHER_SENSE, RETAIN, DistillationData
from unlearning_core.training.distiller import Distiller
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.other_senses import learn_other_senses
from unlearning_core.training.teacher import Teacher
from unlearning_core.training.trainer import EditKeepingTrainer

_LAYERS = 7
"""Keeps the numbers that layers are drawn by apart from those of the texts."""


class DistillingTrainer(EditKeepingTrainer):
    """Like `EditKeepingTrainer`, with whose steps, edits, checkpoints and stops it works; without dropout.

    A step's loss is the mean of its texts' kinds by their number of texts, each kind's the mean over its tokens: a
    kind of short texts counts as much as one of long texts.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, job: TrainingJob, data: TrainingData, total: int) -> None:
        """For `total` optimizer steps of `job`, which has a distillation; raises as its parent does."""
        super().__init__(job, data, total)
        self.model_accepts_loss_kwargs = True  # the tokens of a step are counted, whatever the model takes
        found = self._distillation
        texts = [(RETAIN, ids) for ids in data.train.ids]
        texts += [(kind, ids) for kind, sequences in found.others.items() for ids in sequences.ids]
        self.train_dataset: Any = texts
        beside = found.shares(job.batch_size, *self._at_once)[2]
        others = [(len(sequences.ids), beside[kind]) for kind, sequences in found.others.items()]
        self.order = MixedOrder(data.train.lengths, job.batch_size, job.seed, others)
        found.model.to(self.args.device, self.compute_dtype)
        teacher = Teacher(as_loaded(found.model, data.tokenizer, map_model(found.model)), found.rows)
        self._layers = teacher.blocks if found.settings.depth_weight else 0
        self._distiller = Distiller(data.student, teacher, found.mask)
        self._weights: list[float] = []
        self._own_tokens = 0

    @property
    def _distillation(self) -> DistillationData:
        found: DistillationData | None = self.data.distillation
        assert found is not None
        return found

    def _shares(self, at_once: int, world: int) -> tuple[int, int]:
        self._at_once = (at_once, world)
        return self._distillation.shares(self.job.batch_size, at_once, world)[:2]

    def _collate(self, sequences: list[Any]) -> dict[str, Tensor]:
        padded = super()._collate([ids for _, ids in sequences])
        return padded | {"kinds": torch.tensor([kind for kind, _ in sequences])}

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The parts of one step; what a token of each kind counts in it follows from all of them."""
        batches, predicted = super().get_batch_samples(*args, **kwargs)
        counts = torch.zeros(2, KINDS)  # of texts and tokens, by kind
        for batch in batches:
            kinds, tokens = batch["kinds"].cpu(), (batch["labels"][:, 1:] != -100).sum(1).cpu()
            counts += torch.stack([kinds.bincount(minlength=KINDS), kinds.bincount(tokens, KINDS)])
        if self.args.world_size > 1:
            counts = self.accelerator.reduce(counts.to(self.args.device), "sum").cpu()
        texts, tokens = counts
        self._own_tokens = int(tokens[RETAIN])
        weights = texts / texts.sum() / tokens.clamp(min=1)
        weights[CONCEPT] *= self._distillation.settings.concept_weight
        self._weights = weights.tolist()
        return batches, predicted

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """As its parent; the tokens that are told and timed are those of the text without the concept."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.step_tokens = self._own_tokens
        return loss

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """This part's share of the step's loss, nats."""
        model.eval()
        drawn = np.random.default_rng([self.job.seed, _LAYERS, self.state.global_step])
        layer = int(drawn.integers(1, self._layers + 1)) if self._layers else None
        found = self._distiller.distances(model, inputs["input_ids"], inputs["attention_mask"], inputs["kinds"], layer)
        loss = torch.zeros((), device=self.args.device)
        for one in found:
            depth = 0.0 if one.depth is None else self._distillation.settings.depth_weight * one.depth
            loss = loss + self._weights[one.kind] * (one.nats + depth)
        return loss * self.args.world_size  # gradients are averaged over the processes

    def finish(self) -> None:
        """The reset rows learn the words' other senses; the model itself is done."""
        found = self._distillation
        if found.for_rows is None or found.rows is None:
            return
        texts = {OTHER_SENSE: found.for_rows.ids, RETAIN: self.data.train.ids}
        texts |= {kind: own.ids for kind, own in found.others.items()}
        taught = learn_other_senses(
            self.data.student,
            self._distiller,
            found.rows.ids.tolist(),
            texts,
            found.settings.other_sense_ridge,
            self.job.seed,
        )
        found.taught = taught
        for edit in self.data.edits:
            edit.release(taught)
        if taught:
            self.evaluate()  # the last evaluation is that of the model that is saved

    def _evaluated(self, sequences: list[Any]) -> Tensor:
        inputs: dict[str, Any] = self._prepare_inputs(self._collate([(RETAIN, ids) for ids in sequences]))
        with self.autocast():
            (found,) = self._distiller.distances(
                self.model, inputs["input_ids"], inputs["attention_mask"], inputs["kinds"]
            )
        return torch.stack([found.nats.double().cpu(), torch.tensor(found.places)])
