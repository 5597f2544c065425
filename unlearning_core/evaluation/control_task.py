"""A linear probe and its control task: what a linear map reads of a representation, beyond what it reads of anything.

The probe is ridge regression on standardised states, its penalty chosen by leave-one-out (scikit-learn's `RidgeCV`),
with labels -1 and 1; what it is right about is counted on groups that it was not fitted on. The control task is that of
Hewitt and Liang 2019 ("Designing and Interpreting Probes with Control Tasks", arXiv 1909.03368): each type is given a
label at random, once and for all its occurrences, so that the labels are as many and as regular as the real ones and
mean nothing. Loads no torch.
"""

import warnings

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

PENALTIES = tuple(10.0**power for power in range(6))


def control_labels(types: Int[np.ndarray, " rows"], draws: int, seed: int) -> Bool[np.ndarray, "rows draws"]:
    """Labels that depend on a row's type alone, at random; of each draw about half of the rows have either.

    Types are gone through in random order, and each gets the label that fewer rows have so far (a coin says which where
    there are equally many), so that a task is not easy because one label is rare.
    """
    kinds, index, counts = np.unique(types, return_inverse=True, return_counts=True)
    labels = np.empty((len(types), draws), bool)
    for draw in range(draws):
        pick = np.random.default_rng((seed, draw))
        of_type, so_far = np.empty(len(kinds), bool), [0, 0]
        for kind in pick.permutation(len(kinds)):
            less = int(so_far[1] < so_far[0]) if so_far[0] != so_far[1] else int(pick.integers(2))
            of_type[kind] = bool(less)
            so_far[less] += int(counts[kind])
        labels[:, draw] = of_type[index]
    return labels


def right_elsewhere(
    states: Float[np.ndarray, "rows width"],
    labels: Bool[np.ndarray, "rows tasks"],
    groups: Shaped[np.ndarray, " rows"],
    folds: int,
) -> Bool[np.ndarray, "rows tasks"]:
    """Whether a ridge probe fitted on the other folds tells the label of each row, for each task.

    Args:
        groups: rows of one group are always in the same fold.
        folds: at most as many as there are groups.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    right = np.zeros(labels.shape, bool)
    signs = np.where(labels, 1.0, -1.0)
    for fitted, tested in GroupKFold(folds).split(states, groups=groups):
        probe = make_pipeline(StandardScaler(), RidgeCV(PENALTIES, alpha_per_target=True))
        with warnings.catch_warnings():  # of a dimension that is the same in all rows
            warnings.simplefilter("ignore")
            probe.fit(states[fitted].astype(np.float64), signs[fitted])
        told = probe.predict(states[tested].astype(np.float64)).reshape(len(tested), -1)
        right[tested] = (told > 0) == labels[tested]
    return right
