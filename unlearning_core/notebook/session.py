"""What all steps from one loaded model share: the model, the folder of the runs, and who is told how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.models.loading import LoadedModel
from unlearning_core.notebook.bar import told
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.pipeline import execute
from unlearning_core.runs.refining import is_made, run_through
from unlearning_core.runs.run import Run


@dataclass(frozen=True, eq=False)
class Session:
    """A loaded model and where its runs are.

    Attributes:
        source: the model as the person named it.
        loaded: it, in memory; never changed.
        settings: the section `base_model` of every run.
        root: folder of the runs.
        listener: hears how far it is, in place of a bar.
    """

    source: str
    loaded: LoadedModel
    settings: dict[str, Any]
    root: Path
    listener: ProgressCallback | None

    def bring(self, config: ExperimentConfig, until: str | None, before: tuple[Run, str] | None = None) -> Run:
        """The run that has the stages of `config` through `until`, made as far as they are not there.

        Args:
            until: the last stage; None: all.
            before: the run of the step before, and that step's last stage.

        Raises:
            InputError, WorkFailed: as `pipeline.execute`.
            Stopped: the cell was interrupted; the same cell goes on.
        """
        run = run_through(config, self.root, until, before)
        if not is_made(run, until):
            self.work(lambda progress, say: execute(run, progress, until=until, base=self.loaded, waiting=say))
        return run

    def work(self, do: Callable[[ProgressCallback, Callable[[str], object]], Any]) -> Any:
        """What `do` returns, given who is told how far it is and who is told a sentence."""
        with told(self.listener) as (progress, say):
            return do(progress, say)
