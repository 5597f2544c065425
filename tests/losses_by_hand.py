"""Losses of sentences, every one alone through the whole model, then float64 numpy and a loop over tokens."""

from collections.abc import Sequence

import numpy as np
import torch

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.models.loading import LoadedModel


def losses_by_hand(loaded: LoadedModel, items: Sequence[LabelledText]) -> dict[str, np.ndarray]:
    """By kind of tokens [sentences, 3]: tokens, nats and hits."""
    found = {kind: np.zeros((len(items), 3)) for kind in ("concept", "retain", "neighbour", "rest")}
    for row, item in enumerate(items):
        encoding = loaded.tokenizer(item.text, return_offsets_mapping=True)
        ids = encoding["input_ids"]
        with torch.no_grad():
            logits = loaded.model(torch.tensor([ids])).logits[0].double().numpy()
        for place in range(1, len(ids)):
            start, end = encoding["offset_mapping"][place]
            kinds = ["retain", "rest"]
            if any(start < stop and end > first for first, stop in item.neighbours):
                kinds = ["retain", "neighbour"]
            if any(start < stop and end > first for first, stop in item.spans):
                kinds = ["concept"]
            line = logits[place - 1]
            nats = line.max() + np.log(np.exp(line - line.max()).sum()) - line[ids[place]]
            for kind in kinds:
                found[kind][row] += (1, nats, line.argmax() == ids[place])
    return found
