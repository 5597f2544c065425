"""The pass of a SmallWorld training that is routed: in each step the rest learns, then the named neurons do."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import GPT2LMHeadModel

from unlearning_core.errors import InputError
from unlearning_core.smallworld.routing import Routing, joined, named_parameters, open_only, split, switch
from unlearning_core.smallworld.rows import batches
from unlearning_core.smallworld.trainer import Texts, Trainer, learning_rate
from unlearning_core.smallworld.training_settings import TrainingSettings


class RoutedTrainer(Trainer):
    """Its batches are pairs: rows of other texts, [rows, context], and rows about the concept, together batch_rows."""

    def __init__(
        self,
        model: GPT2LMHeadModel,
        settings: TrainingSettings,
        steps: int,
        device: str,
        compiled: bool,
        routing: Routing,
    ) -> None:
        split(model, routing.named(settings))
        named = {id(parameter) for parameter in named_parameters(model)}
        self.rest = [parameter for parameter in model.parameters() if id(parameter) not in named]
        self.named = named_parameters(model)
        self.routing = routing
        super().__init__(model, settings, steps, device, compiled)
        self.settle_from = self.end
        self.end += routing.settle

    def plain(self) -> GPT2LMHeadModel:
        """The GPT-2 that the two parts are together."""
        return joined(self.model)

    def _groups(self) -> list[dict[str, Any]]:
        tokens = self.model.transformer.wte.weight
        decayed = [
            [parameter for parameter in part if parameter.dim() >= 2 and parameter is not tokens]
            for part in (self.rest, self.named)
        ]
        others = [[parameter for parameter in part if parameter.dim() < 2] for part in (self.rest, self.named)]
        return [
            *({"params": part, "weight_decay": self.settings.weight_decay} for part in decayed),
            *({"params": part, "weight_decay": 0.0} for part in [*others, [tokens]]),
        ]

    def _batches(self, read: Texts, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        concept, others = read.of(about=True), read.of(about=False)
        if not concept or not others:
            raise InputError(
                f"Of {len(read.ids)} texts {len(concept)} are about {self.routing.family}; routing needs some that are "
                "and some that are not. Use more texts (--texts)."
            )
        count = self.routing.rows(sum(map(len, concept)), sum(map(len, others)), self.settings.batch_rows)
        before, half = max(0, self.settle_from - start), self.settings.batch_rows // 2
        return itertools.chain(
            itertools.islice(self._pairs(others, concept, count, start), before),
            self._pairs(others, concept, half, max(0, start - self.settle_from)),
        )

    def _pairs(
        self, others: list[np.ndarray], concept: list[np.ndarray], count: int, start: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless pairs, `count` rows of each batch about the concept."""
        context, seed = self.settings.context, self.settings.start_seed
        return zip(
            batches(others, context, self.settings.batch_rows - count, seed, start),
            batches(concept, context, count, seed, start),
            strict=True,
        )

    def _set_learning_rate(self, step: int) -> None:
        """In the steps of the named neurons alone the learning rate rises and falls once more."""
        super()._set_learning_rate(step)
        if step >= self.settle_from:
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(
                    step - self.settle_from, self.routing.settle, replace(self.settings, last_step=None)
                )

    def _step(self, step: int, batch: tuple[np.ndarray, np.ndarray]) -> torch.Tensor:
        """Learn from both kinds of rows, each where it may go; returns the loss of the rest, later of all, detached."""
        others, concept = batch
        if step == self.settle_from:
            self.optimizer.state.clear()
        if step >= self.settle_from:
            loss = self._learn_concept(others, concept)
        else:
            open_only(self.model, named=False)
            loss = self._learn(others, self.rest)
            self._learn_concept(others, concept)
        self._apply()
        return loss

    def _learn_concept(self, others: np.ndarray, concept: np.ndarray) -> torch.Tensor:
        """Gradients for the named neurons alone, from rows about the concept and as many of the others."""
        open_only(self.model, named=True)
        return self._learn(np.concatenate([concept, others[: len(concept)]]), self.named)

    def _held_out_losses(self, held_out: Texts) -> dict[str, float]:
        """Of all texts, and of those about the concept and the others apart, with the named neurons on and cut."""
        figures = {"held_out": self._held_out_loss(held_out.ids)}
        for whole, suffix in ((True, ""), (False, "_cut")):
            switch(self.model, whole=whole)
            for about, name in ((True, "concept"), (False, "others")):
                if texts := held_out.of(about):
                    figures[name + suffix] = self._held_out_loss(texts)
        switch(self.model, whole=True)
        return figures
