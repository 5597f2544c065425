"""What the methods that take a concept away by training have in common: their texts, their budget, their result.

Text to forget are the run's training sentences with the concept; text to keep is the run's filtered text, the one that
`retrain` reads. Of the sentences to forget either the concept's tokens alone count in the loss or all tokens. The
projects count all tokens of an answer about the concept. Here a sentence is mostly not about it, so the default counts
the concept's own tokens; docs/methods.md has both measured.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.methods.method import MethodInput, Summary

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor, nn

    from unlearning_core.models.loading import LoadedModel
    from unlearning_core.training.unlearn import Corpus, Objective, TextBatch

MOST_RETAIN_TEXTS = 5000
"""Texts to keep that are read at most; beyond so many no default budget would come to them."""


class FineTuning(BaseModel):
    """The budget, the same for all of these methods unless a person says otherwise."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(100, ge=1, le=100_000, description="optimizer steps")
    batch_size: int = Field(8, ge=1, le=1024, description="texts to forget a step, and as many to keep")
    learning_rate: float = Field(1e-4, ge=1e-12, le=1, description="peak learning rate")
    max_length: int = Field(128, ge=2, le=1_048_576, description="tokens a text at most; the rest of it is not read")
    forget_on: Literal["concept", "all"] = Field(
        "concept", description="which tokens of a sentence to forget count in the loss: the concept's own, or all"
    )


class WithRetainTerm(FineTuning):
    """The same with a term that keeps the rest."""

    retain_weight: float = Field(4.0, ge=0, le=1000, description="weight of the loss on the text to keep")


ForgetLoss = Callable[["Float[Tensor, ' texts']", "Float[Tensor, ' texts']", "Float[Tensor, ' texts']"], "Tensor"]
"""The loss to minimise on texts to forget, given of each text: summed negative log-likelihood of its counted tokens
(nats), how many tokens count, and the same sum under the model before the training."""

MakeObjective = Callable[["LoadedModel", "Corpus"], "Objective"]


def likelihood_objective(forget_loss: ForgetLoss, retain_weight: float, *, needs_reference: bool) -> MakeObjective:
    """An objective of token likelihoods: `forget_loss` plus the weighted mean loss a token of the text to keep.

    With `needs_reference` the reference is the model as it is before the first step, read once. It is 0 otherwise.
    """

    def make(loaded: "LoadedModel", forget: "Corpus") -> "Objective":
        import torch

        from unlearning_core.training.unlearn import Likelihood

        likelihood: Likelihood = Likelihood(loaded)
        device = loaded.model.get_input_embeddings().weight.device
        before = likelihood.of(forget, device) if needs_reference else torch.zeros(len(forget), device=device)

        def objective(forgotten: "TextBatch", kept: "TextBatch") -> "tuple[Tensor, Tensor]":
            nats = likelihood.nats(forgotten)
            loss = forget_loss(nats, forgotten.counted.sum(1), before[forgotten.indices])
            if not retain_weight:
                return loss, torch.zeros_like(loss)
            return loss, retain_weight * likelihood.nats(kept).sum() / kept.counted.sum()

        return objective

    return make


def fine_tune(
    given: MethodInput,
    parameters: FineTuning,
    make_objective: MakeObjective,
    trained: "Callable[[LoadedModel], Sequence[nn.Parameter]] | None" = None,
) -> Summary:
    """Train the model that is there and save it, in the number format that it came in.

    Args:
        make_objective: called with the model as it is before the first step.
        trained: the parameters that learn; all of them unless said.

    Raises:
        InputError: the sentences hold no token of the concept that anything predicts.
        Stopped: it was asked to stop; a checkpoint is left.
        WorkFailed: the loss is not a number any more, or a cut neuron or a reset token row has grown back.
    """
    from unlearning_core.training.data import CutNeurons
    from unlearning_core.training.unlearn import Budget, Training, fit

    started = time.monotonic()
    loaded = given.load()
    dtype = loaded.model.dtype
    loaded.model.float()
    forget, retain = forget_corpus(given, parameters, loaded), retain_corpus(given, parameters, loaded)
    recipe = given.recipe()
    edits = [CutNeurons(loaded.model, recipe, loaded.map)] if recipe is not None else []
    training = Training(
        loaded=loaded,
        forget=forget,
        retain=retain,
        objective=make_objective(loaded, forget),
        trained=[*(trained(loaded) if trained else loaded.model.parameters())],
        budget=Budget(parameters.steps, parameters.batch_size, parameters.learning_rate),
        seed=given.seed,
        edits=edits,
        folder=given.work,
        made_from=given.fingerprint,
        title=f"making the {given.state} model",
        progress=given.progress,
    )
    done = fit(training)
    loaded.model.to(dtype)
    given.save(loaded)
    if grown := sum(edit.undone(given.model_folder) for edit in edits):
        raise WorkFailed(f"{grown} cut neurons or token rows have grown back in {given.model_folder}. Run it again.")
    return {
        "steps": parameters.steps,
        "forget_loss": _ends(done.forget),
        "retain_loss": _ends(done.retain),
        "forget_texts": len(forget),
        "retain_texts": len(retain),
        "steps_per_second": round(done.steps_here / max(done.seconds, 1e-9), 2),
        "seconds": round(time.monotonic() - started, 1),
    }


def forget_corpus(given: MethodInput, parameters: FineTuning, loaded: "LoadedModel") -> "Corpus":
    """The training sentences with the concept.

    Raises:
        InputError: none of them holds a token that counts.
    """
    from unlearning_core.activations.alignment import encode
    from unlearning_core.training.unlearn import Corpus

    items = given.sentences("train").with_concept
    texts = encode(loaded.tokenizer, items, _length(parameters, loaded))
    counts = [
        (text.concept[1:] if parameters.forget_on == "concept" else True) & ~text.special[1:]
        for text in texts
    ]  # fmt: skip
    there = [number for number, counted in enumerate(counts) if counted.any()]
    if not there:
        raise InputError(
            f"The {len(items)} training sentences with the concept hold no token of it that the model predicts (the "
            "first token of a sentence has nothing before it), so there is nothing to forget. Give more sentences."
        )
    return Corpus([texts[number].input_ids for number in there], [counts[number] for number in there])


def retain_corpus(given: MethodInput, parameters: FineTuning, loaded: "LoadedModel") -> "Corpus":
    """The filtered text, each closed with the end-of-text token; all tokens count.

    Raises:
        InputError: there is none.
    """
    import numpy as np

    from unlearning_core.concepts.texts import read_texts
    from unlearning_core.training.sequences import tokenise
    from unlearning_core.training.unlearn import Corpus

    source = str(given.text() / "train")
    texts = read_texts(source, limit=MOST_RETAIN_TEXTS)
    ids = tokenise(texts, loaded.tokenizer, _length(parameters, loaded), source, progress=given.progress).ids
    return Corpus(ids, [np.ones(len(one) - 1, bool) for one in ids])


def _length(parameters: FineTuning, loaded: "LoadedModel") -> int:
    from unlearning_core.activations.collect import context_length

    return min(parameters.max_length, context_length(loaded) or parameters.max_length)


def _ends(losses: Sequence[float]) -> list[float | None]:
    """The mean over the first and over the last tenth of the steps."""
    some = max(1, len(losses) // 10)
    ends: list[Any] = [losses[:some], losses[-some:]]
    return [round(sum(part) / len(part), 4) if part else None for part in ends]
