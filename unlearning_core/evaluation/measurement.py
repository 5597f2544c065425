"""What was measured on held-out sentences: losses and accuracies at the concept's tokens and at all others.

Where sentences have neighbours (concepts/neighbours.py), those others come in two parts as well: the neighbours' own
tokens, and the rest. Needs no torch; `likelihood.py` makes measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.reading import read_table

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["concept", "retain", "neighbour", "rest"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The last two are what the retain tokens are made of, where there are neighbours."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """One state of a model on held-out sentences.

    Attributes:
        sentences: a row a sentence, in the order given: `text`, and for each kind KIND_tokens, the predicted tokens of
            the kind, KIND_nats, their summed negative log-likelihood, and KIND_hits, how many of them were the most
            probable token.
    """

    sentences: pd.DataFrame = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Measurement:
        """Read the table back; raises InputError where the file is damaged or another table."""
        kinds = [f"{kind}_{what}" for kind in KINDS[:2] for what in ("tokens", "nats", "hits")]
        mend = "Delete the file and resume the run: it is measured again."
        found = cls(read_table(path, {"text": "text", **dict.fromkeys(kinds, "numbers")}, mend=mend))
        if found.has_neighbours:
            of_neighbours = [f"{kind}_{what}" for kind in KINDS[2:] for what in ("tokens", "nats", "hits")]
            read_table(path, dict.fromkeys(of_neighbours, "numbers"), mend=mend)
        return found

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of tokens that were told apart."""
        return KINDS if self.has_neighbours else KINDS[:2]

    @property
    def has_neighbours(self) -> bool:
        """Whether the retain tokens were also measured in two parts."""
        return "neighbour_tokens" in self.sentences

    @property
    def apart(self) -> Measurement | None:
        """The same on the sentences in which no token of the concept was predicted; None where each has one.

        Beside a word of the concept other words change too when it is unlearnt, as they do in a model that never knew
        it: what the rest pays is read where the concept is not spoken of.
        """
        free = self.sentences[self.sentences["concept_tokens"] == 0]
        return Measurement(free.reset_index(drop=True)) if free["retain_tokens"].sum() else None

    def tokens(self, kind: Kind) -> int:
        """How many tokens of a kind were predicted."""
        return int(self.sentences[f"{kind}_tokens"].sum())

    def nll(self, kind: Kind) -> Estimate:
        """Mean negative log-likelihood of the tokens of a kind, nats a token, clustered by sentence."""
        return self._mean(kind, "nats")

    def accuracy(self, kind: Kind) -> Estimate:
        """Share of the tokens of a kind that were the most probable next token, clustered by sentence."""
        return self._mean(kind, "hits")

    def _mean(self, kind: Kind, column: str) -> Estimate:
        return ratio_estimate(
            self.sentences[f"{kind}_{column}"].to_numpy(), self.sentences[f"{kind}_tokens"].to_numpy()
        )


def nll_delta(base: Measurement, after: Measurement, kind: Kind) -> Estimate:
    """Change of the mean negative log-likelihood from `base` to `after`, nats a token.

    Both are measured on the same tokens, so the standard error is that of the paired differences by sentence: what
    makes a sentence hard for both states cancels.

    Raises:
        InputError: the two were not measured on the same sentences and tokens.
    """
    same_text = base.sentences["text"].tolist() == after.sentences["text"].tolist()
    tokens = base.sentences[f"{kind}_tokens"].to_numpy()
    if not same_text or not np.array_equal(tokens, after.sentences[f"{kind}_tokens"].to_numpy()):
        raise InputError(
            "Two states of the model were measured on different held-out sentences, so their difference means nothing; "
            "measure both again on the same ones."
        )
    change = after.sentences[f"{kind}_nats"].to_numpy() - base.sentences[f"{kind}_nats"].to_numpy()
    return ratio_estimate(change, tokens)


def apart_delta(base: Measurement, after: Measurement) -> Estimate | None:
    """`nll_delta` of the sentences without the concept; None where every sentence holds it."""
    if base.apart is None or after.apart is None:
        return None
    return nll_delta(base.apart, after.apart, "retain")
