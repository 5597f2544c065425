"""Can the concept still be read out of the model's inside, layer by layer, though it is not said?

Two instruments, both on the residual stream at the position that *predicts* a word of the concept (before its first
token), in statements. They need no never-knew model; where there is one, what they read in it is what the context alone
gives away.

- *Logit lens* (nostalgebraist 2020, "interpreting GPT: the logit lens"): the state of each layer goes through the final
  norm and the head as if it were the last one; the right token has a likelihood and a rank there. The last layer is the
  model's own output. A word that is likely in a middle layer and not at the end is suppressed, not gone.
- *Linear probe* (Alain and Bengio 2016): ridge regression on the standardised state of each layer tells whether a word
  of the concept comes next or another word. The others stand after the same token (such as "the"), one for each word of
  the concept. Accuracy is measured on texts that the probe was not fitted on (five folds by text; the penalty is chosen
  by leave-one-out within the other folds).
- *Control task* (Hewitt and Liang 2019, "Designing and Interpreting Probes with Control Tasks"): the same probe for
  labels that each token type was given at random, once and for all, half of the places each. What it gets right
  says how well any grouping of words can be read. Selectivity = accuracy - control accuracy: what is read about the
  concept in particular.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.collect import context_length
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.control_task import control_labels, right_elsewhere
from unlearning_core.evaluation.memorisation import ranks_of
from unlearning_core.evaluation.next_token import NextToken, check_finite, score_logits
from unlearning_core.evaluation.patching import place_batches, residuals
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.targets import Targets, drawn
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

CONTROLS = 8
"""Draws of the control task."""

FOLDS = 5
FEWEST = 20
"""Words of the concept that a probe needs, and as many others."""

logger = logging.getLogger(__name__)


def readout(
    subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback = silent
) -> Frames:
    """Read the concept's next word out of each layer of the subject.

    Returns:
        `lens`: a row a word of the concept and layer (0 to the number of blocks): `example` (number of the text),
        `layer`, `token`, `nats`, its negative log-likelihood, and `rank`, 1 the most probable. Empty for a model whose
        head cannot be applied to other states than its own (`no_lens`).
        `probe`: a row a word (of the concept, or another) and layer: `example`, `layer`, `concept`, `right`, whether
        the probe told so, `control_right`, the share of the control tasks that it got right. Empty where there are too
        few words.

    Raises:
        InputError: no word of the concept in the statements can be predicted.
        WorkFailed: the model's states are not numbers.
    """
    loaded = subject.loaded
    words = _words(loaded, material, subject.seed)
    states = _states(loaded, words.texts, progress)
    return {"lens": _lens(loaded, states, words, progress), "probe": _probe(states, words, subject.seed, progress)}


def no_lens(loaded: LoadedModel, model: NextToken) -> str | None:
    """Why the states of inner layers cannot be read by this model's head, or None."""
    head: Any = loaded.model.get_output_embeddings()
    if loaded.map.final_norm is None:
        return "it has no final norm"
    if not model.by_head:
        return "its logits are not its head's output alone"
    if head.weight.shape[1] != loaded.model.config.get_text_config().hidden_size:
        return "it maps the hidden state to another width before its head"
    return None


def best_layer(found: pd.DataFrame, column: str, choose: Callable[[pd.Series], Any] = pd.Series.idxmax) -> pd.DataFrame:
    """The rows of the layer that is best by the mean of a column, chosen on other texts than those it is read on.

    Texts are halved; the rows of each half are those of the layer that is best on the other one, so that the best of
    many layers is not the luckiest.
    """
    odd = found["example"] % 2 == 1
    means = {half: found[odd == half].groupby("layer")[column].mean() for half in (False, True)}
    parts = [
        found[(odd == half) & (found["layer"] == choose(means[not half]))] for half in means if len(means[not half])
    ]
    return pd.concat(parts)


def lens_nats(found: Frames) -> Estimate | None:
    """Mean negative log-likelihood of the concept's next word at the layer that tells it best, nats, by text."""
    return None if found["lens"].empty else _clustered(best_layer(found["lens"], "nats", pd.Series.idxmin), "nats")


def lens_rank(found: Frames) -> Estimate | None:
    """Median rank of the concept's next word at the layer that tells it best."""
    if found["lens"].empty:
        return None
    return Estimate(float(best_layer(found["lens"], "nats", pd.Series.idxmin)["rank"].median()))


def probe_accuracy(found: Frames) -> Estimate | None:
    """Accuracy of the probe at the layer where it is most selective, by text; chance is 0.5."""
    best = _most_selective(found)
    return None if best is None else _clustered(best, "right")


def probe_selectivity(found: Frames) -> Estimate | None:
    """Accuracy less that of the control tasks at the layer where the difference is largest, by text."""
    best = _most_selective(found)
    return None if best is None else _clustered(best, "selectivity")


def lens_by_layer(found: Frames) -> pd.DataFrame:
    """For a figure: `layer`, mean `nats`, median `rank`."""
    return found["lens"].groupby("layer").agg(nats=("nats", "mean"), rank=("rank", "median")).reset_index()


def probe_by_layer(found: Frames) -> pd.DataFrame:
    """For a figure: `layer`, `accuracy`, `control` (both of 0 to 1)."""
    by = found["probe"].groupby("layer")
    return by.agg(accuracy=("right", "mean"), control=("control_right", "mean")).reset_index()


def _most_selective(found: Frames) -> pd.DataFrame | None:
    probe = found["probe"]
    if probe.empty:
        return None
    return best_layer(probe.assign(selectivity=probe["right"] - probe["control_right"]), "selectivity")


def _clustered(rows: pd.DataFrame, column: str) -> Estimate:
    by = rows.groupby("example")[column]
    return ratio_estimate(by.sum().to_numpy(np.float64), by.count().to_numpy())


@dataclass(frozen=True)
class _Words:
    """The words that are read, text by text in the order of the texts.

    Attributes:
        texts: each text with the first tokens of these words chosen.
        example: number of the text, of each word.
        token: the word's first token.
        concept: whether it is of the concept.
        paired: whether the probe is given it: words of the concept, and as many others after the same tokens.
    """

    texts: list[Targets]
    example: Int[np.ndarray, " words"]
    token: Int[np.ndarray, " words"]
    concept: Bool[np.ndarray, " words"]
    paired: Bool[np.ndarray, " words"]


def _words(loaded: LoadedModel, material: Material, seed: int) -> _Words:
    """Every word of the concept in the statements, and others to tell them from, there and in texts without it.

    A word that only position 0 predicts is left out: models park attention there.
    """
    without = [item for item in material.sentences if not item.spans]
    items = [*material.statements, *drawn(without, len(material.statements), seed)]
    encoded = encode(loaded.tokenizer, items, context_length(loaded))
    rows = []
    for number, text in enumerate(encoded):
        for place in range(2, len(text)):
            starts = text.concept[place] and not text.concept[place - 1]
            if not text.special[place] and (starts or not text.concept[place]):
                rows.append((number, place, int(text.input_ids[place]), bool(starts), int(text.input_ids[place - 1])))
    table = pd.DataFrame(rows, columns=["example", "place", "token", "concept", "before"])
    if not table["concept"].any():
        raise InputError(
            f"None of the {len(material.statements)} statements has a word of the concept that can be read out (the "
            "first two tokens of a text do not count). Give longer sentences about the concept."
        )
    table["paired"] = _paired(table, seed)
    table = table[table["concept"] | table["paired"]]
    texts = []
    for number, own in table.groupby("example")["place"]:
        ids = encoded[int(number)].input_ids[: own.max() + 1]
        texts.append(Targets(ids.tolist(), np.isin(np.arange(len(ids)), own)))
    columns = (table[name].to_numpy() for name in ("example", "token", "concept", "paired"))
    return _Words(texts, *columns)


def _paired(table: pd.DataFrame, seed: int) -> Bool[np.ndarray, " rows"]:
    """Of each token that comes before, as many words of the concept as others, drawn by the seed."""
    pick, chosen = np.random.default_rng(seed), np.zeros(len(table), bool)
    for rows in table.groupby("before").indices.values():
        concept = table["concept"].to_numpy()[rows]
        count = min(int(concept.sum()), int((~concept).sum()))
        for side in (rows[concept], rows[~concept]):
            chosen[pick.choice(side, count, replace=False)] = True
    return chosen


def _states(
    loaded: LoadedModel, texts: list[Targets], progress: ProgressCallback
) -> Float[np.ndarray, "layers words width"]:
    """The residual stream where each word is predicted, text by text."""
    model, done = NextToken(loaded), 0
    found: dict[int, torch.Tensor] = {}
    for batch in place_batches(model, texts):
        ends = np.cumsum(batch.counts)[:-1].tolist()
        parts = residuals(loaded, batch).float().tensor_split(ends, dim=1)
        found |= dict(zip(batch.members, parts, strict=True))
        done += len(batch.members)
        progress(Progress("reading layers", done, len(texts), "texts"))
    states = torch.cat([found[number] for number in range(len(texts))], dim=1).numpy()
    check_finite(states.ravel())
    return states


def _lens(
    loaded: LoadedModel, states: Float[np.ndarray, "layers words width"], words: _Words, progress: ProgressCallback
) -> pd.DataFrame:
    model, tables = NextToken(loaded), []
    if reason := no_lens(loaded, model):
        logger.warning("The logit lens cannot be used with %s: %s", loaded.info.source, reason)
        return pd.DataFrame({name: [] for name in ("example", "layer", "token", "nats", "rank")})
    norm: Any = loaded.map.final_norm
    kind, device = next(norm.parameters()).dtype, next(norm.parameters()).device
    token = torch.from_numpy(words.token[words.concept])
    names = [loaded.tokenizer.decode([number]) for number in token.tolist()]
    for layer, of_layer in enumerate(states):
        parts = []
        for some, wanted in zip(
            torch.from_numpy(of_layer[words.concept]).split(model.rows), token.split(model.rows), strict=True
        ):
            with torch.inference_mode():
                logits = model.head_logits(norm(some.to(device, kind)))
                parts.append((score_logits(logits, wanted)[0], ranks_of(logits, wanted)))
        nats, rank = (np.concatenate(values) for values in zip(*parts, strict=True))
        table = {"example": words.example[words.concept], "layer": layer, "token": names, "nats": nats, "rank": rank}
        tables.append(pd.DataFrame(table))
        progress(Progress("reading with the head", layer + 1, len(states), "layers"))
    return pd.concat(tables, ignore_index=True)


def _probe(
    states: Float[np.ndarray, "layers words width"], words: _Words, seed: int, progress: ProgressCallback
) -> pd.DataFrame:
    example, concept = words.example[words.paired], words.concept[words.paired]
    groups = len(np.unique(example))
    tables = [pd.DataFrame({name: [] for name in ("example", "layer", "concept", "right", "control_right")})]
    if concept.sum() < FEWEST or groups < FOLDS:
        logger.warning("Only %d words of the concept can be paired with others: too few for a probe", concept.sum())
        return tables[0]
    labels = np.column_stack([concept, control_labels(words.token[words.paired], CONTROLS, seed)])
    tables = []
    for layer, of_layer in enumerate(states):
        right = right_elsewhere(of_layer[words.paired], labels, example, FOLDS)
        table = {"example": example, "layer": layer, "concept": concept, "right": right[:, 0]}
        tables.append(pd.DataFrame(table | {"control_right": right[:, 1:].mean(axis=1)}))
        progress(Progress("fitting probes", layer + 1, len(states), "layers"))
    return pd.concat(tables, ignore_index=True)
