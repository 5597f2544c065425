"""A linear probe: how well a linear map tells, from a model's states, which class each belongs to. Loads no torch.

Ridge regression of each class's indicator on the standardised states (Alain and Bengio 2016, "Understanding
intermediate layers using linear classifier probes"; the penalty by leave-one-out among the rows it is fitted on, as
scikit-learn's `RidgeCV` does); the class with the largest value is what the probe tells.
"""

import numpy as np
from jaxtyping import Bool, Float, Shaped

PENALTIES = tuple(10.0**power for power in range(6))


def right_elsewhere(
    states: Float[np.ndarray, "rows width"],
    labels: Shaped[np.ndarray, "rows tasks"],
    groups: Shaped[np.ndarray, " rows"],
    folds: int,
) -> Bool[np.ndarray, "rows tasks"]:
    """Whether a probe that was fitted on the other folds tells the label of each row, for each task.

    Args:
        groups: rows of one group are always in the same fold.
        folds: at least 2 and at most as many as there are groups.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classes = [np.unique(own) for own in labels.T]
    indicators = np.hstack([own[:, None] == known for own, known in zip(labels.T, classes, strict=True)])
    ends = np.cumsum([len(known) for known in classes])[:-1]
    right = np.zeros(labels.shape, bool)
    for fitted, tested in GroupKFold(folds).split(states, groups=groups):
        probe = make_pipeline(StandardScaler(), RidgeCV(list(PENALTIES), alpha_per_target=True))
        probe.fit(states[fitted].astype(np.float64), indicators[fitted].astype(np.float64))
        told = np.split(probe.predict(states[tested].astype(np.float64)), ends, axis=1)
        for task, (values, known) in enumerate(zip(told, classes, strict=True)):
            right[tested, task] = known[values.argmax(axis=1)] == labels[tested, task]
    return right
