"""One row of the tournament: a ranking made on some sentences, cut from its top and measured on others."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.forward import bare_batches, run_bare
from unlearning_core.concepts.labelling import LabelledText, label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError
from unlearning_core.evaluation.curves import area_between, curve, selectivity
from unlearning_core.evaluation.sweep import SweepSettings, sweep
from unlearning_core.models.ground_truth import GroundTruth
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.rankers.marks import applies, mark, recall
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import get_ranker
from unlearning_core.runs.stages.rank import SAMPLED_ROWS

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.activations.alignment import Alignment
    from unlearning_core.activations.collect import Activations
    from unlearning_core.evaluation.likelihood import Meter
    from unlearning_core.models.loading import LoadedModel

HELD_OUT = 0.4
"""Share of the sentences that no ranking sees."""

FEWEST = 10
"""Sentences with the concept that both sides need: on fewer a row would be noise."""

TOP_SHARE, TOP_FEWEST = 0.01, 10
"""A row keeps its first neurons: this share of them, but so many at least."""

MARKS = ("precision_first", "precision", "average_precision", "recall_at_budget")
"""Of a ranking whose true neurons are known, K of them: the share of true ones among the first 1 % and among the first
K, their average precision, and the share of them in the cut that costs other text 0.05 nats."""


@dataclass(frozen=True)
class Entry:
    """A way to rank: a method, a kind of neuron, and where it is read."""

    ranker: str
    site: str
    alignment: "Alignment"


class Split(NamedTuple):
    """The sentences of one concept: what rankings are made on, and the others, which cuts are measured on."""

    train: list[LabelledText]
    held_out: list[LabelledText]


@dataclass(frozen=True)
class Texts:
    """The sentences of a corpus, labelled with one concept after the other.

    Attributes:
        corpus: text to read.
        limit: texts that are read, at most.
        train: sentences of each kind to rank on, at most.
        held_out: sentences of each kind to measure on, at most.
        seed: of the split and of what is drawn.
    """

    corpus: Path
    limit: int | None
    train: int
    held_out: int
    seed: int

    @cached_property
    def _sentences(self) -> list[str]:
        return list(as_sentences(read_texts(self.corpus, limit=self.limit)))

    def split(self, words: list[str]) -> Split:
        """Sentences with these words or their forms, and others.

        Raises:
            InputError: too few hold one of the words.
        """
        found = label(self._sentences, Matcher(Concept(tuple(words))))
        train, held_out = found.split(HELD_OUT, self.seed)
        if min(len(part.with_concept) for part in (train, held_out)) < FEWEST:
            raise InputError(
                f"Only {len(found.with_concept)} sentences of {self.corpus} hold one of the words {', '.join(words)}; "
                f"at least {FEWEST} are needed to rank on and as many to measure on. Give more words, or a corpus in "
                "which they occur."
            )
        sides = zip((train, held_out), (self.train, self.held_out), strict=True)
        return Split(*(side.take(most, most, self.seed).items for side, most in sides))


@dataclass(frozen=True)
class Contest:
    """One model and one concept: what all entries share is done once.

    Attributes:
        loaded: the model.
        split: the sentences.
        ratios: the shares that are cut.
        seed: of the rankings.
        truth: the neurons that are known to carry the concept, where the model was trained so.
    """

    loaded: "LoadedModel"
    split: Split
    ratios: tuple[float, ...]
    seed: int
    truth: GroundTruth | None = None
    _passes: "dict[tuple[str, str, bool], tuple[Activations, float]]" = field(default_factory=dict)

    def row(self, entry: Entry, progress: ProgressCallback = silent) -> dict[str, Any]:
        """Rank, cut, measure; the figures of a row, JSON-able.

        Raises:
            InputError: the method is not available here, or not for this model, site or alignment.
            WorkFailed: the model's output is not a number.
        """
        ranker, forward = get_ranker(entry.ranker), self._forward_seconds
        activations, seconds = self._activations(entry, ranker.needs_rows)
        begun = time.perf_counter()
        norm = self.loaded.map.outgoing_norm(entry.site)
        given = RankingInput(activations, norm, self.seed, progress, self.loaded, self.split.train)
        ranking = rank(given, ranker)
        seconds += time.perf_counter() - begun
        # No order ends early: a mean over fewer ratios would not compare with one over all.
        settings = SweepSettings(ratios=self.ratios, draws=1, stop_at=float("inf"))
        found = curve(sweep(self._meter, ranking, settings, orders=("top",), progress=progress), "top")
        at_budget = selectivity(found)
        top = ranking.head(max(TOP_FEWEST, round(TOP_SHARE * len(ranking))))
        width = activations.statistics.shape[1]
        curves = ("ratios", "forget", "forget_stderr", "retain", "retain_stderr")
        return {name: getattr(found, name)[1:].tolist() for name in curves} | {
            "neurons": found.neurons[1:].astype(int).tolist(),
            "selectivity": at_budget.value,
            "selectivity_stderr": at_budget.stderr,
            "budget_reached": at_budget.reached,
            "area": area_between(found),
            "seconds": seconds,
            "times_forward": seconds / forward,
            "top": (top["layer"] * width + top["index"]).tolist(),
            **self._marks(ranking, len(top), round(found.at("neurons", at_budget.ratio))),
        }

    def _marks(self, ranking: "pd.DataFrame", first: int, at_budget: int) -> dict[str, float | None]:
        """The ranking against the truth: shares, or None where the truth is not known or is about another site.

        Args:
            first: neurons at the top of which most must be true ones if anything was found.
            at_budget: neurons in the cut that the budget allows.
        """
        if self.truth is None or not applies(ranking, self.truth):
            return dict.fromkeys(MARKS)
        marks, among_first = mark(ranking, self.truth), recall(ranking, self.truth, first) * len(self.truth.neurons)
        reached = recall(ranking, self.truth, at_budget)
        values = (among_first / first, marks.precision, marks.average_precision, reached)
        return dict(zip(MARKS, values, strict=True))

    @cached_property
    def _meter(self) -> "Meter":
        from unlearning_core.evaluation.likelihood import Meter

        return Meter(self.loaded, self.split.held_out)

    @cached_property
    def _forward_seconds(self) -> float:
        """What calling the model on the ranking's sentences costs, in ready-made batches, keeping nothing."""
        from unlearning_core.activations.collect import default_token_budget

        batches = bare_batches(self.loaded, self.split.train, default_token_budget(self.loaded.model.device.type))
        seconds = []
        for _ in range(2):  # the first call pays for allocations
            begun = time.perf_counter()
            run_bare(self.loaded.model, batches)
            seconds.append(time.perf_counter() - begun)
        return min(seconds)

    def _activations(self, entry: Entry, rows: bool) -> "tuple[Activations, float]":
        """The pass that the entry ranks from, and its seconds; one pass serves every ranker of a site and alignment."""
        from unlearning_core.activations.collect import collect

        key = (entry.site, entry.alignment, rows)
        if key not in self._passes:
            begun = time.perf_counter()
            of_entry: dict[str, Any] = {"site": entry.site, "alignment": entry.alignment}
            sampled = SAMPLED_ROWS if rows else 0
            activations = collect(self.loaded, self.split.train, **of_entry, rows=sampled, seed=self.seed)
            self._passes[key] = (activations, time.perf_counter() - begun)
        return self._passes[key]
