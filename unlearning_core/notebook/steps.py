"""From the concept to the ranking: which words stand where, and which neurons carry them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from unlearning_core.config.reading import changed
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.notebook.drawing import Table, draw
from unlearning_core.notebook.session import Session
from unlearning_core.notebook.states import Edited
from unlearning_core.notebook.step import Step

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_SHOWN_WORDS, _SHOWN_NEURONS = 12, 10

Site = Literal["mlp", "head", "residual"]
Alignment = Literal["before", "at"]


class Concept(Step):
    """A concept, its words marked in sentences; some of these are set aside to measure on. `Model.label` makes it."""

    _stage = "label"

    @classmethod
    def made(cls, session: Session, config: ExperimentConfig) -> "Concept":
        """Label as the settings say; raises as `Model.label`."""
        return cls(session, config, session.bring(config, "label"), "label")

    def rank(
        self,
        method: str | None = None,
        *,
        site: Site | None = None,
        alignment: Alignment | None = None,
        settings: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> "Ranking":
        """Put all neurons in order, those that carry the concept first.

        Args:
            method: "combined", "taylor", "probeless", ...; `unlearn rankers` lists them. Without it the experiment's.
            site: mlp (hidden units of the MLPs), head (attention heads) or residual (dimensions of the hidden state).
            alignment: where activations are read: `before` the word, where it is predicted, or `at` it.
            settings: further settings of the config by their key.
            parameters: the method's own, such as sentences=100 for "combined".

        Raises:
            InputError: there is no such method, it does not take such a parameter, or it is not for this model.
            WorkFailed: the model's output is not a number.
            Stopped: the cell was interrupted; the same cell goes on.
        """
        probing = self._config.neural_probing
        name = method or probing.ranker
        own = probing.ranker_parameters if name == probing.ranker else {}  # else they are another method's
        values = {"ranker": name, "ranker_parameters": own | parameters, "site": site, "alignment": alignment}
        given = {f"neural_probing.{key}": value for key, value in values.items() if value is not None}
        config = changed(self._config, given | dict(settings or {}), origin="rank")
        run = self._session.bring(config, "rank", (self.run, "label"))
        return Ranking(self._session, config, run, "rank")

    def to_frame(self) -> "pd.DataFrame":
        """A row a sentence: text, part (train: neurons are ranked on it; held_out: it only measures), words (the
        concept words in it, none in text without the concept) and neighbours (words near the concept in it)."""
        import pandas as pd

        rows = [
            (item.text, part, list(item.words), list(item.neighbour_words))
            for part in ("train", "held_out")
            for item in self.run.sentences(part).items
        ]
        return pd.DataFrame(rows, columns=["text", "part", "words", "neighbours"])

    def _repr_html_(self) -> str:
        found = self.run.concept_facts() or {}
        words = sorted(found["words"].items(), key=lambda pair: -pair[1])
        more = f" and {len(words) - _SHOWN_WORDS} more words" if len(words) > _SHOWN_WORDS else ""
        pairs = {part: "{:,} with the concept, {:,} without".format(*found[part]) for part in ("train", "held_out")}
        missing = found["missing_words"]
        facts = {
            "Words": ", ".join(f"{word} ({count:,})" for word, count in words[:_SHOWN_WORDS] if count) + more,
            "In no sentence": ", ".join(missing) if missing else None,
            "Sentences": f"{found['sentences']:,}, of which {found['with_concept']:,} have the concept",
            "For ranking": pairs["train"],
            "Held out for testing": pairs["held_out"],
        }
        name = self._config.neural_probing.activations_label or self._context.concept.words[0]
        return draw(f"The concept “{name}”", facts=facts, run=self._run, page="concept")


class Ranking(Step):
    """All neurons in order: rank 1 matters most to the concept and is cut first. `Concept.rank` makes it."""

    _stage = "rank"

    def edit(
        self,
        ratio: float | None = None,
        *,
        token_rows: float | None = None,
        per_layer: bool | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Edited:
        """Cut the first neurons of the ranking and reset the concept's token rows; measure what that does.

        Args:
            ratio: share of the ranked neurons that is cut, 0 to 1; without it the experiment's own.
            token_rows: 0 leaves the rows of embedding and output head that belong to the concept's own tokens, 1 puts
                rows that mean nothing in their place; without it the experiment's own.
            per_layer: cut the same share of every layer instead of the overall first.
            settings: further settings of the config by their key, such as {"neural_probing.picked_neurons":
                [["mlp", 3, 17]]}.

        Raises:
            InputError: a value is out of range; names the field.
            WorkFailed: something broke; says what.
            Stopped: the cell was interrupted; the same cell goes on.
        """
        values = {"prune_ratio": ratio, "token_rows.strength": token_rows, "per_layer": per_layer}
        given = {f"neural_probing.{key}": value for key, value in values.items() if value is not None}
        config = changed(self._config, given | dict(settings or {}), origin="edit")
        if config.methods is not None:
            raise InputError("edit: methods is set; a notebook cuts and retrains. Use `unlearn run` for other methods.")
        return Edited.made(self._session, config, (self.run, "rank"))

    def to_frame(self) -> "pd.DataFrame":
        """A row a neuron, the first rank first; columns as `reports.ranking_table.ranking_table` tells them.

        They are rank (from 1), site, layer, neuron, the score under its own name, sd_from_layer_mean (in standard
        deviations of the layer), percentile and protected (never cut: it writes the attention sink).
        """
        from unlearning_core.reports.ranking_table import ranking_table

        return ranking_table(self.run.ranking(), self._quantity)

    def figure(self) -> "go.Figure":
        """Every neuron by layer and index, coloured by how far its score stands from its layer's mean."""
        from unlearning_core.figures.heatmap import heatmap

        return heatmap(self.run.ranking(), self._config.neural_probing.site, quantity=self._quantity.name)

    @property
    def _quantity(self) -> Any:
        from unlearning_core.rankers.registry import RANKERS

        return RANKERS[self._config.neural_probing.ranker].quantity

    def _repr_html_(self) -> str:
        probing, quantity, table = self._config.neural_probing, self._quantity, self.to_frame()
        columns = ["rank", "layer", "neuron", quantity.title, "SD from its layer's mean"]
        rows = [
            [f"{row['rank']}", f"{row['layer']}", f"{row['neuron']}", quantity.written(row[quantity.key]),
             f"{row['sd_from_layer_mean']:+.1f}"]
            for row in table.head(_SHOWN_NEURONS).to_dict("records")
        ]  # fmt: skip
        where = f"read {probing.alignment} the word"
        sentence = f"{len(table):,} neurons (site {probing.site}, {where}) in the order of {probing.ranker}. The first:"
        return draw(
            "Ranking", sentences=[sentence], tables=[Table(columns, rows, columns)], notes=[quantity.meaning],
            run=self._run, page="neurons",
        )  # fmt: skip
