"""What a model writes after a prompt: batched, and each sample reproducible on its own.

Sampling draws one uniform number a token from the sample's own generator and inverts the cumulative distribution in
vocabulary order. A sample therefore depends on its prompt, its number and the seed, and on nothing that stands beside
it in the batch. The states of a model see the same uniform numbers, so that a changed word is the model's doing.
"""

import copy
import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.evaluation.prompts import check_prompts, prompt_ids
from unlearning_core.evaluation.sampling import Sampler
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.placement import input_device
from unlearning_core.models.threads import threads_for
from unlearning_core.progress import Progress, ProgressCallback, silent

logger = logging.getLogger(__name__)

OnText = Callable[[int, int, str], None]
"""Called after every token with (index of the prompt, number of the sample, text so far)."""


@dataclass(frozen=True)
class Generation:
    """One text that a model wrote.

    Attributes:
        prompt: what it was given.
        sample: 0, 1, ... within the prompt.
        text: the continuation, without the prompt.
        seed: what this sample's random numbers were drawn from; None for a greedy text.
    """

    prompt: str
    sample: int
    text: str
    seed: int | None


def sample_seed(seed: int, prompt: str, sample: int) -> int:
    """The seed of one sample: the same whichever other prompts and samples are asked for."""
    digest = hashlib.sha256(f"{seed}\n{sample}\n{prompt}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def generate(
    loaded: LoadedModel,
    prompts: Sequence[str],
    *,
    mask: Mask | None = None,
    rows: TokenRows | None = None,
    samples: int = 1,
    temperature: float = 0.8,
    top_p: float = 1.0,
    max_new_tokens: int = 60,
    seed: int = 0,
    batch_size: int = 32,
    on_text: OnText | None = None,
    progress: ProgressCallback = silent,
) -> list[Generation]:
    """Let the model go on from every prompt.

    Args:
        mask, rows: neurons cut and token rows moved while it writes; the model itself is not changed.
        samples: texts a prompt; greedy decoding gives one, whatever this says.
        temperature: divides the logits; 0 is greedy decoding.
        top_p: only the fewest most probable tokens that together reach this probability are drawn from.
        max_new_tokens: at most so many tokens, and never more than the model's context holds.
        batch_size: texts written at once.
        on_text: hears every text grow, for a page that shows it live.
        progress: told after every token; may raise Stopped.

    Returns:
        One generation for each (prompt, sample), prompts in their order, samples within them.

    Raises:
        InputError: no prompt, an empty one, one that fills the model's whole context, or a setting out of range.
        WorkFailed: the model's output is not a number.
    """
    _check(prompts, samples, temperature, top_p, max_new_tokens)
    greedy = temperature == 0
    writer = _Writer(loaded, temperature, top_p, max_new_tokens, on_text, progress)
    lines = writer.rows(prompts, 1 if greedy else samples, None if greedy else seed)
    total = len(lines) * max_new_tokens
    logger.info("Generating %d texts of at most %d tokens for %d prompts", len(lines), max_new_tokens, len(prompts))
    texts: dict[tuple[int, int], str] = {}
    with applied(loaded.model, mask, loaded.map, rows):
        for batch in writer.batches(lines, batch_size):
            written = writer.write(batch, done=len(texts) * max_new_tokens, total=total)
            texts |= {(row.prompt_index, row.sample): text for row, text in zip(batch, written, strict=True)}
    progress(Progress("generating", total, total, "tokens"))
    lines.sort(key=lambda row: (row.prompt_index, row.sample))
    return [Generation(prompts[r.prompt_index], r.sample, texts[r.prompt_index, r.sample], r.seed) for r in lines]


def _check(prompts: Sequence[str], samples: int, temperature: float, top_p: float, max_new_tokens: int) -> None:
    check_prompts(prompts)
    if samples < 1:
        raise InputError(f"samples is {samples}; at least 1 text a prompt is needed.")
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens is {max_new_tokens}; at least 1 is needed.")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise InputError(f"temperature is {temperature}; it must be 0 (greedy) or a positive number such as 0.8.")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p is {top_p}; it must be above 0 and at most 1.")


@dataclass(frozen=True)
class _Row:
    """One sample on its way: where it belongs, its prompt's tokens and its uniform numbers (empty when greedy)."""

    prompt_index: int
    sample: int
    ids: list[int]
    seed: int | None
    uniforms: np.ndarray


@dataclass(frozen=True)
class _Writer:
    """The model and how it is to go on."""

    loaded: LoadedModel
    temperature: float
    top_p: float
    new_tokens: int
    on_text: OnText | None
    progress: ProgressCallback

    @cached_property
    def context(self) -> int | None:
        """How many positions the model can read, or None when its position code has no end (ALiBi)."""
        return getattr(self.loaded.model.config, "max_position_embeddings", None)

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end a text."""
        ids: set[int] = set()
        for holder in (self.loaded.model.generation_config, self.loaded.model.config, self.loaded.tokenizer):
            end = getattr(holder, "eos_token_id", None)
            if end is not None:
                ids.update(end if isinstance(end, (list, tuple)) else [int(end)])
        return sorted(ids)

    def rows(self, prompts: Sequence[str], samples: int, seed: int | None) -> list[_Row]:
        """Every (prompt, sample), the shortest prompts first."""
        rows = []
        for index, prompt in enumerate(prompts):
            ids = prompt_ids(self.loaded.tokenizer, prompt, index + 1, self.ends, self.context)
            for sample in range(samples):
                own = None if seed is None else sample_seed(seed, prompt, sample)
                uniforms = np.empty(0) if own is None else np.random.default_rng(own).random(self.new_tokens)
                rows.append(_Row(index, sample, ids, own, uniforms))
        return sorted(rows, key=lambda row: len(row.ids))

    def batches(self, rows: list[_Row], size: int) -> Iterator[list[_Row]]:
        """Rows of like length; the longest of a batch must leave the shortest all the room that it would have alone."""
        batch: list[_Row] = []
        for row in rows:
            longer = batch and len(row.ids) != len(batch[0].ids)
            crowded = longer and self.context and len(row.ids) + self.new_tokens > self.context
            if len(batch) == size or crowded:
                yield batch
                batch = []
            batch.append(row)
        yield batch

    def write(self, batch: list[_Row], done: int, total: int) -> list[str]:
        """The text of each row; `done` of `total` tokens were written before."""
        longest = max(len(row.ids) for row in batch)
        room = self.context - longest if self.context else self.new_tokens
        filler = self.ends[0] if self.ends else 0
        device = input_device(self.loaded.model)
        ids = torch.tensor([[filler] * (longest - len(row.ids)) + row.ids for row in batch], device=device)
        seen = torch.tensor([[0] * (longest - len(row.ids)) + [1] * len(row.ids) for row in batch], device=device)
        sampler = Sampler(np.stack([row.uniforms for row in batch]), longest, self.temperature, self.top_p)
        with torch.no_grad(), threads_for(len(batch) * self.loaded.model.num_parameters()):
            written = _without_rules(self.loaded.model).generate(
                input_ids=ids,
                attention_mask=seen,
                # The arg max of what the sampler leaves.
                generation_config=GenerationConfig(
                    max_new_tokens=min(self.new_tokens, room), do_sample=False, eos_token_id=self.ends or None,
                    pad_token_id=filler,
                ),
                logits_processor=LogitsProcessorList([sampler]),
                stopping_criteria=StoppingCriteriaList([_Watcher(self, batch, longest, done, total)]),
            )  # fmt: skip
        return [self.decode(row, new) for row, new in zip(batch, written[:, longest:].tolist(), strict=True)]

    def decode(self, row: _Row, new: list[int]) -> str:
        """The text of the new tokens up to the end of text.

        Decoded behind its prompt, because some tokenizers drop a text's leading space.
        """
        new = new[: next((place for place, token in enumerate(new) if token in self.ends), None)]
        text = partial(self.loaded.tokenizer.decode, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        prompt, whole = text(row.ids), text(row.ids + new)
        return whole[len(prompt) :] if whole.startswith(prompt) else text(new)


def _without_rules(model: Any) -> Any:
    """The same model, weights and hooks shared, without what its own generation config adds (penalties, bans).

    `generate` fills every setting that it is not given from the model's config, and the model belongs to everyone.
    """
    twin = copy.copy(model)
    twin.generation_config = GenerationConfig()
    return twin


@dataclass(eq=False)
class _Watcher(StoppingCriteria):
    """Tells the listeners about every new token; stops nothing itself, but a listener may raise Stopped."""

    writer: _Writer
    batch: list[_Row]
    prompt_length: int
    done: int
    total: int
    last: dict[int, str] = field(default_factory=dict)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        new, writer = input_ids[:, self.prompt_length :], self.writer
        writer.progress(Progress("generating", self.done + new.numel(), self.total, "tokens"))
        if writer.on_text is not None:
            for number, (row, ids) in enumerate(zip(self.batch, new.tolist(), strict=True)):
                # A character of several tokens is a replacement sign until its last one is there.
                text = writer.decode(row, ids).rstrip("\ufffd")
                if self.last.get(number) != text:
                    self.last[number] = text
                    writer.on_text(row.prompt_index, row.sample, text)
        return torch.zeros(len(self.batch), dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
