"""How close a model is to one that never knew the concept: what perfect forgetting would look like.

Two measures, each on its own material. Questions: TOFU's forget quality (truth_ratio.py). Texts: the divergence of the
next-token distributions (divergence.py), on text about the concept (forget), about what stands near it (neighbour) and
about everything else (retain).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from unlearning_core.evaluation.divergence import check_vocabularies, divergences
from unlearning_core.evaluation.questions import TruthQuestion
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.truth_ratio import ForgetQuality, forget_quality, truth_ratios
from unlearning_core.files import write_file
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import ProgressCallback, silent

TEXT_SETS = ("forget", "neighbour", "retain")
"""What the texts are about: the concept, its neighbours, everything else."""


@dataclass(frozen=True)
class Distance:
    """One model against the never-knew model, by example.

    Attributes:
        questions: a row a question, in the order given: `prompt`, `truth_ratio` and `never_knew_truth_ratio`.
        texts: a row a text: `set` (one of `TEXT_SETS`), `text`, `tokens` and `nats`, the divergence summed over them.
    """

    questions: pd.DataFrame
    texts: pd.DataFrame

    @property
    def forget_quality(self) -> ForgetQuality | None:
        """TOFU's, over all questions; None where there are none."""
        if self.questions.empty:
            return None
        columns = (self.questions[name].to_numpy() for name in ("truth_ratio", "never_knew_truth_ratio"))
        return forget_quality(*columns)

    def divergence(self, name: str) -> Estimate | None:
        """Mean KL(never-knew || model) on the set `name`, nats a token, clustered by text; None where it is empty."""
        chosen = self.texts[self.texts["set"] == name]
        return ratio_estimate(chosen["nats"].to_numpy(), chosen["tokens"].to_numpy()) if len(chosen) else None

    def save(self, folder: Path) -> None:
        """Write both tables into `folder`."""
        write_file(folder / "questions.parquet", lambda path: self.questions.to_parquet(path, index=False))
        write_file(folder / "texts.parquet", lambda path: self.texts.to_parquet(path, index=False))

    @classmethod
    def load(cls, folder: Path) -> "Distance":
        """Read what `save` wrote."""
        return cls(pd.read_parquet(folder / "questions.parquet"), pd.read_parquet(folder / "texts.parquet"))


def distance(
    never_knew: LoadedModel,
    loaded: LoadedModel,
    questions: Sequence[TruthQuestion],
    texts: Mapping[str, Sequence[str]],
    *,
    token_budget: int = 2048,
    progress: ProgressCallback = silent,
) -> Distance:
    """Measure how far `loaded` is from `never_knew`; both stay as they are.

    Args:
        questions: about the concept; may be none.
        texts: by name of a text set; a set may be missing.
        token_budget: positions in a batch, padding included.
        progress: told after every batch; may raise Stopped.

    Raises:
        InputError: the two have different vocabularies, or a question cannot be scored.
        WorkFailed: a model's output is not a number.
    """
    check_vocabularies(never_knew, loaded)
    asked = pd.DataFrame({"prompt": [question.prompt for question in questions]}, dtype="str")
    for column, model in (("truth_ratio", loaded), ("never_knew_truth_ratio", never_knew)):
        asked[column] = truth_ratios(model, questions, token_budget=token_budget, progress=progress)
    tables = []
    for name, some in texts.items():
        table = divergences(never_knew, loaded, some, token_budget=token_budget, progress=progress)
        table.insert(0, "set", name)
        tables.append(table)
    empty = pd.DataFrame({"set": [], "text": [], "tokens": [], "nats": []})
    return Distance(asked, pd.concat(tables, ignore_index=True) if tables else empty)
