"""How close a model is to one that never knew the concept: what perfect forgetting would look like.

Two measures, each on its own material. Questions: TOFU's forget quality (truth_ratio.py). Texts: the divergence of the
next-token distributions (divergence.py), on text about the concept (forget), about what stands near it (neighbour) and
about everything else (retain).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unlearning_core.evaluation.divergence import check_vocabularies, divergences
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.truth_ratio import TruthQuestion, truth_ratios
from unlearning_core.files import write_file
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import ProgressCallback, silent


@dataclass(frozen=True)
class Distance:
    """One model against the never-knew model, by example.

    Attributes:
        questions: a row a question, in the order given: `prompt`, `truth_ratio` and `never_knew_truth_ratio`.
        texts: a row a text: `set` (forget, neighbour or retain), `text`, `tokens` and `nats`, the divergence summed
            over them.
    """

    questions: pd.DataFrame
    texts: pd.DataFrame

    @property
    def forget_quality(self) -> Any:
        """TOFU's, over all questions, as scipy's `pvalue` and `statistic`; None where there are none.

        The statistic is the largest gap between the two cumulative distributions, 0 to 1.
        """
        from scipy.stats import ks_2samp

        asked = self.questions
        return None if asked.empty else ks_2samp(asked["truth_ratio"], asked["never_knew_truth_ratio"])

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
    progress: ProgressCallback = silent,
) -> Distance:
    """Measure how far `loaded` is from `never_knew`; both stay as they are.

    Args:
        questions: about the concept; may be none.
        texts: by name of a text set; a set may be missing.
        progress: told after every batch; may raise Stopped.

    Raises:
        InputError: the two have different vocabularies, or a question cannot be scored.
        WorkFailed: a model's output is not a number.
    """
    check_vocabularies(never_knew, loaded)
    asked = pd.DataFrame({"prompt": [question.prompt for question in questions]}, dtype="str")
    for column, model in (("truth_ratio", loaded), ("never_knew_truth_ratio", never_knew)):
        asked[column] = truth_ratios(model, questions, progress=progress)
    tables = [pd.DataFrame({"set": [], "text": [], "tokens": [], "nats": []})] if not texts else []
    for name, some in texts.items():
        tables.append(divergences(never_knew, loaded, some, progress=progress))
        tables[-1].insert(0, "set", name)
    return Distance(asked, pd.concat(tables, ignore_index=True))
