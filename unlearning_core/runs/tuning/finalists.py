"""Which of the cuts that were tried are retrained, and in which other ways the best of these is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from unlearning_core.config.schema import ThresholdSection
from unlearning_core.evaluation.pareto import bulge
from unlearning_core.runs.tuning.space import Choice, Space
from unlearning_core.runs.tuning.trials import Trial, best, on_front

MOST = 4
"""Cuts of the front that are retrained, before the sampler proposes others."""

ALIKE = 0.03
"""Of two cuts that lie nearer on both axes, scaled to the front, one is retrained."""

NOISE = 0.1
"""Mixed in before the retraining of a variant."""


def finalists(cuts: list[Trial], asked: ThresholdSection) -> list[Choice]:
    """Cuts of the front, first those that forget enough, what bulges most first, no two alike."""
    found = on_front(cuts)
    axes = [trial.axes for trial in found]
    beyond = bulge([forgotten for forgotten, _ in axes], [cost for _, cost in axes])
    span = max([cost for _, cost in axes], default=0.0) or 1.0

    def first(place: int) -> tuple[bool, float]:
        outcome = found[place].outcome
        return not (outcome is not None and outcome.enough(asked)), -beyond[place]

    taken: list[int] = []
    for place in sorted(range(len(found)), key=first):
        near = (
            abs(axes[place][0] - axes[other][0]) < ALIKE and abs(axes[place][1] - axes[other][1]) / span < ALIKE
            for other in taken
        )  # fmt: skip
        if len(taken) < MOST and not any(near):
            taken.append(place)
    return [found[place].choice for place in taken]


def variants(retrained: Sequence[Trial], space: Space, asked: ThresholdSection) -> Iterator[Choice]:
    """The best of the retrained recipes, retrained for twice as long, with noise before, and both."""
    taken = best(list(retrained), asked)
    if taken is None:
        return
    longer = None if space.default.steps is None else 2 * space.default.steps
    if longer is not None:
        yield replace(taken.choice, steps=longer)
    if space.distils:
        yield replace(taken.choice, noise=NOISE)
        if longer is not None:
            yield replace(taken.choice, steps=longer, noise=NOISE)
