"""The edited model, the retrained one, and what an evaluation says of either."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from unlearning_core.config.reading import changed
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.evaluation.ratio import INTERVAL_NOTE
from unlearning_core.notebook.drawing import Table, draw, metrics_table
from unlearning_core.notebook.session import Session
from unlearning_core.notebook.step import Step
from unlearning_core.notebook.texts import LEGEND, spans
from unlearning_core.reports.run_report import by_hand, texts_in_parts
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import stage_names
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import plotly.graph_objects as go

PRUNED, RETRAINED = "pruned", "retrained"


class State(Step):
    """A state of the model that was made, measured on the held-out text beside the base."""

    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Every metric of every state, by its name in `metrics.json`, with NAME_stderr where it has a standard error.

        Losses are in nats a token; *_delta is the change against base.
        """
        from unlearning_core.runs.stages.measure import metrics_of

        self._context.run = self.run
        return metrics_of(self._context, self._states)

    def to_frame(self) -> "pd.DataFrame":
        """The metrics: a row a metric (index: its name), a column a state, and a column STATE_stderr for each."""
        import pandas as pd

        from unlearning_core.evaluation.registry import METRICS

        found = self.metrics()
        columns = {state: {name: found[state].get(name) for name in METRICS} for state in found}
        columns |= {f"{state}_stderr": {n: found[state].get(f"{n}_stderr") for n in METRICS} for state in found}
        return pd.DataFrame(columns, dtype=float).dropna(how="all")

    def model_folder(self) -> "Path":
        """The folder of the saved model, as `AutoModelForCausalLM.from_pretrained` takes it."""
        return self.run.model(self._states[-1])

    def evaluate(
        self,
        *,
        quick: bool = False,
        parts: Collection[str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> "Proof":
        """Measure what was forgotten, what it cost and whether it comes back, and say which.

        Args:
            quick: with about a quarter of the work, for a first look.
            parts: some of the parts (evaluation/parts.py), such as ["losses", "questions"]; the others then are not
                measured, and the verdict says so. None: all.
            settings: of the section proof, by their key, such as {"proof.max_questions": 40}.

        Raises:
            InputError: there is no such part, or a file of the evaluation cannot be read.
            WorkFailed: something broke; says what.
            Stopped: the cell was interrupted; what was measured is kept, and the same cell goes on.
        """
        from unlearning_core.runs.proof import prove
        from unlearning_core.runs.stages.proof import proof_stages

        retrains = {"retraining.enabled": self._states[-1] == RETRAINED}
        config = changed(self._config, retrains | dict(settings or {}), origin="evaluate")
        proof_stages(RunContext(self.run, config=config), parts=parts, quick=quick)  # refuses a part that is none
        run = self._session.bring(config, None, (self.run, self._until or "report"))
        self._session.work(
            lambda progress, say: prove(
                run, progress, parts=parts, quick=quick, base=self._session.loaded, waiting=say
            )
        )  # fmt: skip
        return Proof(self._session, config, run, None)

    def _drawn(self, title: str, facts: Mapping[str, str | None], page: str) -> str:
        metrics = self.metrics()
        written = {state: [one for one in self.run.written(state) or [] if not one["sample"]] for state in metrics}
        return draw(
            title, facts=facts, tables=[metrics_table(metrics)],
            texts=texts_in_parts(written, spans(self._context.matcher)), states=list(metrics),
            notes=[INTERVAL_NOTE, LEGEND], run=self._run, page=page,
        )  # fmt: skip


class Edited(State):
    """The base with neurons cut and token rows reset, and what that did. `Ranking.edit` makes it."""

    _stage = "prune"
    _states = ("base", PRUNED)

    @classmethod
    def made(cls, session: Session, config: ExperimentConfig, before: tuple[Run, str]) -> "Edited":
        """Edit as the settings say, and measure; raises as `Ranking.edit`."""
        until = [name for name in stage_names(config) if name.partition(" ")[2] == PRUNED][-1]
        return cls(session, config, session.bring(config, until, before), until)

    def heal(
        self,
        steps: int | None = None,
        *,
        learning_rate: float | None = None,
        noise: float | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> "Retrained":
        """Retrain: learn again, on text without the concept, what the cut has cost. Cut neurons and reset rows stay.

        Args:
            steps: optimizer steps at most; without it the experiment's own, as for what follows.
            learning_rate: at its peak.
            noise: share of fresh weights that is mixed in before distilling (UNDO's alpha), 0 to 1.
            settings: further settings by their key, such as {"retraining.objective": "text"}.

        Raises:
            InputError: a value is out of range, names the field; or no text is left without the concept.
            WorkFailed: something broke; says what.
            Stopped: the cell was interrupted; the training goes on from its last checkpoint when the cell runs again.
        """
        values = {"enabled": True, "max_steps": steps, "learning_rate": learning_rate, "noise": noise}
        given = {f"retraining.{key}": value for key, value in values.items() if value is not None}
        config = changed(self._config, given | dict(settings or {}), origin="heal")
        run = self._session.bring(config, None, (self.run, str(self._until)))
        return Retrained(self._session, config, run, None)

    def figure(self) -> "go.Figure":
        """Every neuron by layer and index, those that are cut crossed out."""
        from unlearning_core.figures.heatmap import heatmap

        probing, ranking = self._config.neural_probing, self.run.ranking()
        site = probing.site
        return heatmap(ranking, site, cut=~self.run.recipe().mask.kept[site])

    def _repr_html_(self) -> str:
        cut = self.run.status()["stages"]["prune"]["summary"]
        layers = f"in {cut['layers']} layer{'' if cut['layers'] == 1 else 's'}"
        facts = {
            "Neurons cut": ", ".join(filter(None, (f"{cut['cut']:,} of {cut['of']:,} {layers}", by_hand(cut)))),
            "Token rows": cut.get("tokens"),
        }
        return self._drawn("Pruned", facts, "prune")


class Retrained(State):
    """The pruned model after it has learnt again on text without the concept. `Edited.heal` makes it."""

    _stage = "retrain"
    _states = ("base", PRUNED, RETRAINED)

    def history(self) -> "pd.DataFrame":
        """What was measured on a few held-out sentences while it learnt: a row a step, losses in nats a token."""
        import pandas as pd

        return pd.DataFrame(self._events("measure"))

    def figure(self) -> "go.Figure | None":
        """Loss on the concept's words and on other text by step; None where nothing was measured on the way."""
        from unlearning_core.figures.training_curves import learning_curve
        from unlearning_core.runs.probe_set import base_levels

        measured = self._events("measure")
        return learning_curve(measured, base_levels(self.run)) if measured else None

    def _events(self, kind: str) -> list[dict[str, Any]]:
        from unlearning_core.jobs.events import loss_curve

        return loss_curve(self.run.training_folder, kind)

    def _repr_html_(self) -> str:
        retraining = self._config.retraining
        facts = {"Learnt": "from the base, which may not say the concept's words"
                 if retraining.objective == "distill" else "the text itself"}  # fmt: skip
        return self._drawn("Retrained", facts, "compare")


class Proof(Step):
    """A verdict and every measurement behind it. `Edited.evaluate` and `Retrained.evaluate` make it."""

    _stage = "verdict"

    @property
    def verdict(self) -> str:
        """Of the last state: forgotten, unproven, costly, suppressed, dimmed, not forgotten or harmful."""
        return str(self._found["verdict"])

    @property
    def _found(self) -> dict[str, Any]:
        found = self.run.verdict()
        assert found is not None
        return found

    def to_frame(self) -> "pd.DataFrame":
        """A row a state and measurement: state, subject (gone, cost, neighbours, back), metric, title, value, the ends
        of its 95 % interval (low, high), unit, threshold, most (the threshold is the most it may be), passed (None:
        not measured), judges (the verdict counts it) and sentence."""
        import pandas as pd

        columns = "state subject metric title value low high unit threshold most passed judges sentence".split()
        rows = [
            {"state": state} | check for state, judged in self._found["states"].items() for check in judged["checks"]
        ]
        return pd.DataFrame(rows, columns=columns)

    def _repr_html_(self) -> str:
        from unlearning_core.evaluation.verdict import SUBJECTS

        found = self._found
        judged = found["states"][found["state"]]
        rows = []
        for subject, title in SUBJECTS.items():
            of_it = [check for check in judged["checks"] if check["subject"] == subject]
            lines = [(_mark(check), check["sentence"]) for check in of_it if check["passed"] is not None]
            if left_out := ", ".join(check["title"].lower() for check in of_it if check["passed"] is None):
                lines.append((_mark({"passed": None}), f"Not measured: {left_out}."))
            rows += [["" if number else title, *line] for number, line in enumerate(lines)]
        quick = (
            ["From a quick look, with about a quarter of the work: the intervals are wide."] if found["quick"] else []
        )
        return draw(
            found["verdict"].capitalize(), sentences=[found["sentence"], *(quick if found["quick"] else [])],
            tables=[Table(["", "passed", f"{found['state']} model"], rows)], run=self._run, page="proof",
        )  # fmt: skip


def _mark(check: Mapping[str, Any]) -> str:
    return {True: "yes", False: "no", None: "–"}[check["passed"] if check.get("judges", True) else None]
