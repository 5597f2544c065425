"""How far SmallWorld models stand from the twin that never knew: what a cut can be read against.

Two trainings that differ by the seed alone differ too. So the twin's own second seed is measured as everything else is:
a model as far from the twin as that one is cannot be told from one that never knew.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.words import Concept
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.never_knew import Distance, distance
from unlearning_core.evaluation.ratio import Estimate, format_value
from unlearning_core.evaluation.truth_ratio import TruthQuestion, read_questions
from unlearning_core.files import ROOT, read_object
from unlearning_core.models.ground_truth import GroundTruth
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.smallworld import sets
from unlearning_core.smallworld.evaluate import Exam, examine
from unlearning_core.smallworld.items import Question
from unlearning_core.smallworld.record import TRAINING
from unlearning_core.smallworld.scores import FORGOTTEN, Score, score
from unlearning_core.smallworld.tables import Row

SECOND_SEED = "second_seed.json"
"""In the twin's folder: the figures of a second training of it that differs by `training_seed` alone, its weights not
kept; kl_forget, kl_neighbour, kl_retain and loss are [value, standard error]. `base` are SmallWorld's own."""

SETS = ("forget", "neighbour", "retain")


@dataclass(frozen=True)
class Ground:
    """What all models stand on; every sentence is in a phrasing that no model has read.

    Attributes:
        texts: by set, statements, answered questions and completed fill-ins.
        truth: questions of TOFU's form about the family.
        questions: about the family, answered greedily.
        words: the family's, whose loss is measured in the texts of the forget set.
    """

    texts: dict[str, list[str]]
    truth: list[TruthQuestion]
    questions: list[Question]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """One model against the twin.

    Attributes:
        loss: of the family's words, nats a token.
        answered: questions about the family, to the letter.
        distance: from the twin: divergences by text, and truth ratios by question.
    """

    loss: Estimate
    answered: Score
    distance: Distance

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: estimates as [value, standard error], divergences KL(twin || model) in nats a token."""
        found = {f"kl_{name}": self.distance.divergence(name) for name in SETS} | {"loss": self.loss}
        quality = self.distance.forget_quality
        return {
            **{name: None if each is None else [each.value, each.stderr] for name, each in found.items()},
            "forget_quality": float(quality.pvalue),
            "forget_quality_gap": float(quality.statistic),
            "questions": self.answered.to_dict(),
        }


def ground(folder: Path = ROOT / "data" / "smallworld") -> Ground:
    """What the experiment on seats compares on, so that its figures and these are about the same sentences.

    Raises:
        InputError: a file is missing or damaged.
    """
    held_out = {"phrasing": "held_out"}
    return Ground(
        {name: list(read_texts(folder / f"{name}.jsonl", only=held_out)) for name in SETS},
        read_questions(folder / "truth.jsonl"),
        sets.questions("held_out", FORGOTTEN),
        tuple(sets.target_words(FORGOTTEN)),
    )


def standing(
    twin: LoadedModel,
    loaded: LoadedModel,
    on: Ground,
    *,
    cut: GroundTruth | None = None,
    progress: ProgressCallback = silent,
) -> Standing:
    """Measure `loaded`, or what is left of it without the neurons of `cut`.

    Raises:
        InputError: the two models have different vocabularies, or a neuron of `cut` is not in the model.
    """
    items = label(on.texts["forget"], Matcher(Concept(on.words))).with_concept
    with without(loaded, cut):
        return Standing(
            measure(loaded, items, progress=progress).nll("concept"),
            score(examine(loaded, Exam(on.questions, [], [], [], []), progress)),
            distance(twin, loaded, on.truth, on.texts, progress=progress),
        )


@contextlib.contextmanager
def without(loaded: LoadedModel, cut: GroundTruth | None) -> Iterator[None]:
    """Inside the `with`, `loaded` computes as if the neurons of `cut` were gone; as it is for None.

    Raises:
        InputError: a neuron of `cut` is not in the model.
    """
    if cut is None:
        yield
        return
    neurons = [(cut.site, layer, index) for layer, index in sorted(cut.neurons)]
    with applied(loaded.model, Mask.from_neurons(loaded.map.shapes, neurons), loaded.map):
        yield


def table(standings: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """A header and a row a model, from what `Standing.to_dict` gave."""
    rows: list[Row] = [
        ("model", "loss on seats", "questions", *(f"KL {name}" for name in SETS), "forget quality (gap)")
    ]
    for name, found in standings.items():
        asked, estimates = found["questions"], [found["loss"], *(found[f"kl_{each}"] for each in SETS)]
        loss, *divergences = (format_value(*each) for each in estimates)
        quality = f"{found['forget_quality']:.2g} ({found['forget_quality_gap']:.2f})"
        rows.append((name, loss, f"{asked['right']} of {asked['count']}", *divergences, quality))
    return rows


def training_of(folder: Path) -> dict[str, Any]:
    """How far a training came: `training_seed`, `steps`, `steps_planned` and `decayed`, from its training.json.

    `decayed`: whether the learning rate came down to zero, by the plan or by a cool-down before.
    """
    record = read_object(folder / TRAINING)
    if not {"recipe", "steps", "steps_planned"} <= set(record):
        raise InputError(f"{folder / TRAINING} does not tell a training; give a folder that smallworld train wrote.")
    seed = record["recipe"].get("training_seed", record["recipe"]["seed"])
    steps, planned = record["steps"], record["steps_planned"]
    decayed = steps == min(planned, record["recipe"].get("last_step", planned))
    return {"training_seed": seed, "steps": steps, "steps_planned": planned, "decayed": decayed}


def second_name(training: Mapping[str, Any]) -> str:
    """How the second twin is called in a table; says so where its training was not at its end."""
    share = training["steps"] / training["steps_planned"]
    trained = "" if share == 1 else f", {share:.0%} trained"
    return f"the twin's second seed{trained}{'' if training['decayed'] else ', its learning rate not yet decayed'}"
