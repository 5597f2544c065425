"""What every step has: its run, its settings, and text from the states of the model that are there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.notebook.drawing import show
from unlearning_core.notebook.session import Session
from unlearning_core.notebook.texts import Texts, write
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


class Step:
    """A step that was made, in a run. What comes after it begins from here, as often as is wanted."""

    _stage: ClassVar[str]
    """The stage that makes what the object shows."""
    _states: ClassVar[tuple[str, ...]] = ("base",)
    """States of the model that are there after it."""

    def __init__(self, session: Session, config: ExperimentConfig, run: Run, until: str | None) -> None:
        self._session, self._config, self._run, self._until = session, config, run, until
        self._made = run.fingerprint(self._stage)
        self._context = RunContext(run, base=session.loaded)

    @property
    def run(self) -> Run:
        """The run that the step is in.

        Raises:
            InputError: it was changed since, so that it does not hold what this object was made from.
        """
        if self._run.fingerprint(self._stage) != self._made:
            raise InputError(
                f"The run {self._run.id} was deleted or changed since this step was made (on the pages, perhaps). "
                "Run the cell that made it again."
            )
        return self._run

    @property
    def config(self) -> ExperimentConfig:
        """All settings of the experiment so far; those of later steps are what they will be unless told otherwise."""
        return self._config.model_copy(deep=True)

    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        max_new_tokens: int = 40,
        seed: int = 0,
    ) -> Texts:
        """Let every state of the model that is there go on from prompts, beside each other.

        Args:
            prompts: one, or several.
            samples: texts a prompt; greedy decoding gives one.
            temperature: 0 takes the likeliest word each time; 0.8 is usual for samples.
            max_new_tokens: tokens of a text at most.
            seed: of the samples; all states draw with the same random numbers.

        Raises:
            InputError: a prompt is empty or too long, or a setting is out of range.
        """
        given = {"samples": samples, "temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
        self._context.run = self.run
        models = {state: self._context.model(state, beside=self._states) for state in self._states}
        return self._session.work(
            lambda progress, _: write(models, prompts, given, self._context.matcher, progress)
        )  # fmt: skip

    def to_frame(self) -> "pd.DataFrame":
        """The numbers of the step."""
        raise NotImplementedError

    def figure(self) -> "go.Figure | None":
        """The step as a plotly figure, or None where a table says it all."""
        return None

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        show(self._repr_html_(), self.figure())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in run {self._run.id}>"
