"""Unlearning Depth Score: how much of what the never-knew model lacks inside is lacking in the edited model too?

Source: the project unlearning-depth-score (gnueaj/unlearning-depth-score, Apache-2.0, compute_uds.py and README). For
each example, a text with some tokens in it that tell the knowledge, and each layer l, the residual stream after block l
of a source model, read on the same text, takes the place of the base model's at the positions that *predict* these
tokens (one before each; nowhere else). With logp the mean log-probability of these tokens under the base,

    S1_l = logp - logp with the never-knew model's states at l      (what is missing there if nothing was learnt)
    S2_l = logp - logp with the edited model's states at l
    UDS  = sum over l with S1_l > 0.05 of clip(S2_l, 0, S1_l) / sum over the same l of S1_l

so that each layer counts by how much knowledge it holds; 0: all of it is still there, 1: as deep as never having known.
An example without such a layer says nothing. The score of a model is the mean over the examples.

Where this differs from the project:

- Its examples are the answers of TOFU's questions, scored at the words that hold the fact. Here they are statements,
  scored at the concept's words where the text first names them, and questions, scored at the whole answer (its scope
  "full"), half of each.
- It patches what transformers lists as the last hidden state, which has passed the final norm, so that the last layer
  is normed twice; here every layer is the plain residual stream.
- Its models are all fine-tuned from one. Where the never-knew model was trained on its own, its residual stream need
  not mean the same to the base, and a part of S1 is that alone. So the same is measured on words that the never-knew
  model foresees as well as the base does (`control`: the neighbours' words, or any word, of texts without the concept);
  `foreign_share` says how much it is: an edit of the base that lacks the knowledge and nothing else cannot be expected
  to come much nearer to 1 than that leaves. `uds_beyond_control` is the same score with what patching costs on the
  control, by layer and model, taken off S1 and S2 first: neither another make nor damage all over counts as depth.
"""

import logging
import math
import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.divergence import check_vocabularies
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.evaluation.patching import PlaceBatch, patched, place_batches, residuals, token_nats
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.targets import Targets, answer_text, targets_of, unprompted
from unlearning_core.evaluation.text_losses import some
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

THRESHOLD = 0.05
"""Nats that a layer must hold to count: the project's."""

TRIED = 4
"""Texts that are looked at for each control that is wanted."""

CONTROL = "control"
"""The kind of the examples that are about words which both models know."""

logger = logging.getLogger(__name__)


def depth(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback = silent) -> Frames:
    """Patch the subject's and the never-knew model's residual stream into the base, layer by layer.

    Returns:
        `examples`: a row an example: `example`, `kind` (statement, question, control), `text`, `tokens` that are
        scored, `base_nats`, their mean negative log-likelihood, and `uds`, NaN where no layer counts.
        `layers`: a row an example and layer (1 to the number of blocks): `never_knew_nats`, S1, and `nats`, S2.

    Raises:
        InputError: there is no never-knew model, a model has another shape or vocabulary than the base, or no text has
            a token to score.
        WorkFailed: a model's output is not a number.
    """
    if subject.never_knew is None:
        raise InputError(
            "The depth of an edit is measured against a model that never knew the concept, and there is none. Name one "
            "in never_knew.model, or leave the part out."
        )
    for other in (subject.never_knew, subject.loaded):
        _check_like(subject.base, other)
    kinds, items = _examples(material, settings.depth_texts, subject.seed)
    control = _known_to_both(subject, _control_texts(material, subject.seed), settings.depth_texts // 2)
    kinds, items = kinds + [CONTROL] * len(control), items + control
    targets = targets_of(subject.base, items)
    kept = [number for number, text in enumerate(targets) if text.count]
    if not any(kinds[number] != CONTROL for number in kept):
        raise InputError(
            f"None of the {len(items)} statements and questions has a word of the concept that can be scored (the "
            "first token of a text has nothing before it). Give longer texts in proof.questions, or more sentences."
        )
    chosen = [targets[number] for number in kept]
    logger.info("Patching %d texts into %s, layer by layer", len(kept), subject.base.info.source)
    base, lost = _degradations(subject.base, [subject.never_knew, subject.loaded], chosen, progress)
    examples = pd.DataFrame(
        {
            "example": np.arange(len(kept)),
            "kind": [kinds[number] for number in kept],
            "text": [items[number].text for number in kept],
            "tokens": [text.count for text in chosen],
            "base_nats": base,
            "uds": [_score(*pair) for pair in zip(*lost, strict=True)],
        }
    )
    blocks = lost[0].shape[1]
    layers = pd.DataFrame(
        {
            "example": np.repeat(examples["example"], blocks),
            "kind": np.repeat(examples["kind"], blocks),
            "layer": np.tile(np.arange(1, blocks + 1), len(kept)),
            "never_knew_nats": lost[0].ravel(),
            "nats": lost[1].ravel(),
        }
    ).reset_index(drop=True)
    return {"examples": examples, "layers": layers}


def uds(found: Frames) -> Estimate | None:
    """Mean Unlearning Depth Score over the examples, 0 to 1; None where no example has a layer that counts."""
    examples = found["examples"]
    scores = examples.loc[(examples["kind"] != CONTROL) & examples["uds"].notna(), "uds"].to_numpy()
    return ratio_estimate(scores, np.ones(len(scores))) if len(scores) else None


def uds_beyond_control(found: Frames) -> Estimate | None:
    """Mean over the examples of the score with each layer's mean loss on the control taken off S1 and S2 first.

    1 for the never-knew model and 0 for the base like the score itself; None without a control, or where no layer
    counts. The standard error is that of the examples, the control taken as known.
    """
    layers = found["layers"]
    columns = ["never_knew_nats", "nats"]
    # Where the states help on other words, that is no cost to take off.
    control = layers[layers["kind"] == CONTROL].groupby("layer")[columns].mean().clip(lower=0)
    concept = layers[layers["kind"] != CONTROL]
    if control.empty:
        return None
    own = concept[columns] - control.loc[concept["layer"], columns].to_numpy()
    scores = np.array([_score(*rows.to_numpy().T) for _, rows in own.groupby(concept["example"])])
    scores = scores[~np.isnan(scores)]
    return ratio_estimate(scores, np.ones(len(scores))) if len(scores) else None


def foreign_share(found: Frames) -> Estimate | None:
    """What the never-knew model's states cost on words that it knows, over what they cost on the concept's, 0 to 1.

    Both as nats a token, summed over layers; None where there was nothing to compare with.
    """
    layers = found["layers"]
    means = layers.groupby(layers["kind"] == CONTROL)["never_knew_nats"].mean()
    if len(means) < 2 or not means[False] > 0:
        return None
    return Estimate(float(np.clip(means[True] / means[False], 0, 1)))


def by_layer(found: Frames) -> pd.DataFrame:
    """For a figure: `layer`, the mean `never_knew_nats` and `nats` of the examples, `control_nats` (the never-knew
    model's on words that it knows; NaN without a control), and `share`, UDS of this layer alone."""
    layers = found["layers"]
    concept = layers[layers["kind"] != CONTROL]
    table = concept.groupby("layer")[["never_knew_nats", "nats"]].mean()
    table["control_nats"] = layers[layers["kind"] == CONTROL].groupby("layer")["never_knew_nats"].mean()
    counted = concept[concept["never_knew_nats"] > THRESHOLD]
    closed = counted["nats"].clip(lower=0).clip(upper=counted["never_knew_nats"])
    sums = counted.assign(closed=closed).groupby("layer")[["closed", "never_knew_nats"]].sum()
    table["share"] = sums["closed"] / sums["never_knew_nats"]
    return table.reset_index()


def _score(never_knew: Float[np.ndarray, " layers"], edited: Float[np.ndarray, " layers"]) -> float:
    """UDS of one example from S1 and S2; NaN where no layer counts."""
    counted = never_knew > THRESHOLD
    if not counted.any():
        return math.nan
    return float(np.clip(edited[counted], 0, never_knew[counted]).sum() / never_knew[counted].sum())


def _examples(material: Material, most: int, seed: int) -> tuple[list[str], list[LabelledText]]:
    """The kind and the text of each example: statements and answered questions."""
    asked = [question for question in material.questions if question.about == "concept"]
    half = most // 2
    questions = some(asked, max(half, most - len(material.statements)), seed)
    statements = some(material.statements, most - len(questions), seed)
    kinds = ["statement"] * len(statements) + ["question"] * len(questions)
    answered = [answer_text(question.prompt, question.answers[0]) for question in questions]
    return kinds, [*map(unprompted, statements), *answered]


def _control_texts(material: Material, seed: int) -> list[LabelledText]:
    """Texts without the concept, their neighbours' words marked; where none has any, one word of each, drawn."""
    without = [item for item in material.sentences if not item.spans]
    near = [LabelledText(item.text, item.neighbours) for item in without if item.neighbour_words]
    if near:
        return near
    pick, marked = random.Random(seed), []
    for text in material.retain or [item.text for item in without]:
        words = list(re.finditer(r"\S+", text))[1:]
        if words:
            marked.append(LabelledText(text, (pick.choice(words).span(),)))
    return marked


def _known_to_both(subject: Subject, items: Sequence[LabelledText], most: int) -> list[LabelledText]:
    """Of these texts those whose words the never-knew model foresees as well as the base does, so many at most."""
    assert subject.never_knew is not None
    candidates = some(items, TRIED * most, subject.seed)
    targets, nats = targets_of(subject.base, candidates), np.zeros((2, len(candidates)))
    for which, loaded in enumerate((subject.base, subject.never_knew)):
        model = NextToken(loaded)
        for batch in place_batches(model, targets):
            nats[which, batch.members] = batch.means(token_nats(model, batch))
    known = [
        number for number, text in enumerate(targets) if text.count and nats[1, number] - nats[0, number] < THRESHOLD
    ]
    return some([candidates[number] for number in known], most, subject.seed)


def _degradations(
    base: LoadedModel, sources: Sequence[LoadedModel], texts: Sequence[Targets], progress: ProgressCallback
) -> tuple[Float[np.ndarray, " texts"], list[Float[np.ndarray, "texts layers"]]]:
    """(mean nats of each text's tokens under the base, by source how much that rises with its states at each layer)."""
    model, blocks = NextToken(base), len(base.map.blocks)
    before, lost = np.zeros(len(texts)), {id(source): np.zeros((len(texts), blocks)) for source in sources}
    others = [source for source in {id(source): source for source in sources}.values() if source is not base]
    done, total = 0, len(texts) * (1 + len(others) * blocks)

    def step(batch: PlaceBatch) -> None:
        nonlocal done
        done += len(batch.members)
        progress(Progress("patching", done, total, "passes"))

    for batch in place_batches(model, texts):
        before[batch.members] = batch.means(token_nats(model, batch))
        step(batch)
        for source in others:
            states = residuals(source, batch)
            for layer in range(1, blocks + 1):
                with patched(base, layer, batch.places, states[layer]):
                    after = batch.means(token_nats(model, batch))
                lost[id(source)][batch.members, layer - 1] = after - before[batch.members]
                step(batch)
    return before, [lost[id(source)] for source in sources]


def _check_like(base: LoadedModel, other: LoadedModel) -> None:
    """Raise InputError for a model whose residual stream cannot stand in the base's place."""
    shapes: list[Any] = []
    for loaded in (base, other):
        config: Any = loaded.model.config.get_text_config()
        shapes.append((len(loaded.map.blocks), int(config.hidden_size)))
    if shapes[0] != shapes[1]:
        (blocks, width), (other_blocks, other_width) = shapes
        raise InputError(
            f"The depth cannot be measured: {other.info.source} has {other_blocks} blocks of width {other_width}, but "
            f"{base.info.source} has {blocks} of width {width}, so its states do not fit there. Give a model of the "
            "same size, or leave the part out."
        )
    if other is not base:
        check_vocabularies(other, base)
