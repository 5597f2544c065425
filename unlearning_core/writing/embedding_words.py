"""Words as the model's own input embedding has them: which are near to which.

The rows that belong to whole words are compared by their cosine. Raw rows share a mean and a few directions that say
how frequent a word is, which put "the" and "and" near everything; both are taken out first ("All-but-the-Top": Mu and
Viswanath, ICLR 2018, with its D = width / 100 directions). Measured on SmolLM2-135M-Instruct for "weather": raw rows
put "the" and "John" sixth and eleventh; without those directions the first are meteorological, climatic, climate, rain.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import regex
from jaxtyping import Float

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

_WORD = regex.compile(r" (\p{Ll}{3,}|\p{Lo}{2,})")


class EmbeddingWords:
    """The whole words of a model's vocabulary as unit vectors."""

    def __init__(self, loaded: "LoadedModel") -> None:
        """Reads the input embedding; the model is not changed."""
        import torch

        self._tokenizer = loaded.tokenizer
        self._rows = loaded.model.get_input_embeddings().weight.detach()
        names = whole_words(loaded.tokenizer)
        ids = sorted(names)
        self._names = [names[number] for number in ids]
        places = torch.tensor(ids, dtype=torch.long, device=self._rows.device)
        vectors = self._rows.index_select(0, places).float().cpu().numpy()
        self._common = _Common(vectors)
        self._vectors = self._common.without(vectors)

    def of(self, word: str) -> Float[np.ndarray, " width"]:
        """The unit vector of a word or phrase: of the mean of its tokens' rows; zeros where it has no token."""
        import torch

        asked = self._tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        if not asked:
            return np.zeros(self._rows.shape[1], dtype=np.float32)
        mean = self._rows[torch.tensor(asked, device=self._rows.device)].float().mean(0, keepdim=True).cpu().numpy()
        return self._common.without(mean)[0]

    def nearest(self, word: str, most: int = 60) -> list[tuple[str, float]]:
        """The words whose vectors are nearest to that of the word, with the cosine, the nearest first."""
        if not self._names:
            return []
        cosines = self._vectors @ self.of(word)
        order = np.argsort(-cosines, kind="stable")
        found = ((self._names[place], float(cosines[place])) for place in order[: most + 1])
        return [(name, cosine) for name, cosine in found if name != word.casefold()][:most]


class _Common:
    """What all rows share: their mean and their width / 100 strongest directions."""

    def __init__(self, vectors: Float[np.ndarray, "words width"]) -> None:
        width = vectors.shape[1]
        self._mean = vectors.mean(0) if len(vectors) else np.zeros(width, dtype=vectors.dtype)
        centred = vectors - self._mean
        _, directions = np.linalg.eigh(centred.T @ centred)
        self._directions = directions[:, width - max(1, width // 100) :]

    def without(self, vectors: Float[np.ndarray, "words width"]) -> Float[np.ndarray, "words width"]:
        """Unit vectors of the rows without it."""
        centred = vectors - self._mean
        left = centred - centred @ self._directions @ self._directions.T
        return left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-12)


def whole_words(tokenizer: object) -> dict[int, str]:
    """By token id, the word that a token is: one that a space begins and that has letters alone, none a capital."""
    vocabulary: Iterable[int] = tokenizer.get_vocab().values()  # type: ignore[attr-defined]
    ids = sorted(vocabulary)
    texts: list[str] = tokenizer.batch_decode([[token] for token in ids])  # type: ignore[attr-defined]
    found = {}
    for token, text in zip(ids, texts, strict=True):
        if (match := _WORD.fullmatch(text)) is not None:
            found[token] = match[1]
    return found
