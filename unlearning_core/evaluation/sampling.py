"""Drawing the next token with random numbers that the caller brings, so that every sample can be drawn again."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from transformers import LogitsProcessor

from unlearning_core.errors import WorkFailed


def draw(
    logits: Float[torch.Tensor, "rows vocabulary"],
    uniforms: Float[np.ndarray, " rows"],
    temperature: float,
    top_p: float,
) -> Int[torch.Tensor, " rows"]:
    """One token a row from softmax(logits / temperature) within its nucleus, by inverting the cumulative distribution.

    Nucleus: "The Curious Case of Neural Text Degeneration", Holtzman et al. 2020.

    Args:
        uniforms: each in [0, 1).

    Returns:
        Token ids, on the logits' device.
    """
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    if top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        probabilities = torch.zeros_like(probabilities).scatter_(1, order, ordered * (before < top_p))
    # float64: a cumulative sum of 50,000 float32 terms is off by more than the rarest tokens are worth.
    precise = torch.float32 if logits.device.type == "mps" else torch.float64
    cumulative = probabilities.to(precise).cumsum(dim=-1)
    target = torch.as_tensor(uniforms, dtype=precise, device=logits.device)[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, target, right=True)[:, 0]
    # Rounding may leave the target on the total itself: then the last token that has any probability is meant.
    last = cumulative.shape[1] - 1 - (probabilities > 0).flip(1).to(torch.int8).argmax(dim=1)
    return torch.minimum(chosen, last)


@dataclass(eq=False)
class Sampler(LogitsProcessor):
    """Leaves each row's drawn token as its only choice; a greedy row keeps its logits.

    `uniforms` is [rows, new tokens] in [0, 1), or [rows, 0] for greedy; `prompt_length` has the padding included.
    """

    uniforms: np.ndarray
    prompt_length: int
    temperature: float
    top_p: float

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Args: input_ids [rows, tokens so far], scores [rows, vocabulary] logits of the next token."""
        if not torch.isfinite(scores.max(dim=-1).values).all():
            raise WorkFailed(
                "The model's output is not a number (NaN or infinite), so no text can be generated from it."
            )
        if not self.uniforms.size:
            return scores
        uniform = self.uniforms[:, input_ids.shape[1] - self.prompt_length]
        chosen = draw(scores, uniform, self.temperature, self.top_p)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)  # type: ignore[return-value]
