"""What the states of a model write after the same prompts, beside each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.models.loading import LoadedModel
from unlearning_core.notebook.drawing import draw
from unlearning_core.progress import ProgressCallback
from unlearning_core.reports.run_report import texts_in_parts

if TYPE_CHECKING:
    import pandas as pd

LEGEND = "Highlighted: a word of the concept. Italic: a word that differs from what base wrote."


class Texts:
    """Texts by state of the model, prompt and sample. `generate` makes them."""

    def __init__(self, written: Mapping[str, Sequence[Mapping[str, Any]]], matcher: Matcher | None) -> None:
        self._written, self._matcher = written, matcher

    def to_frame(self) -> "pd.DataFrame":
        """A row a text: state, prompt, sample, text (without the prompt), seed (None for a greedy text)."""
        import pandas as pd

        rows = [{"state": state, **text} for state, texts in self._written.items() for text in texts]
        return pd.DataFrame(rows, columns=["state", "prompt", "sample", "text", "seed"])

    def _repr_html_(self) -> str:
        notes = [LEGEND] if self._matcher is not None else []
        return draw(texts=texts_in_parts(self._written, spans(self._matcher)), states=list(self._written), notes=notes)

    def __repr__(self) -> str:
        lines = [
            f"{text['prompt']}\n{state:>11}: {' '.join(text['text'].split())}"
            for state, texts in self._written.items()
            for text in texts
        ]
        return "\n".join(lines)


def spans(matcher: Matcher | None) -> Callable[[str], list[tuple[int, int]]]:
    """Where a text has the concept, as (start, end) characters; nowhere without a matcher."""
    return lambda text: [] if matcher is None else [(span.start, span.end) for span in matcher.spans(text)]


def write(
    models: Mapping[str, LoadedModel],
    prompts: str | Sequence[str],
    settings: Mapping[str, Any],
    matcher: Matcher | None,
    progress: ProgressCallback,
) -> Texts:
    """Let every model go on from the prompts, with the same random numbers.

    Args:
        models: by state.
        settings: arguments of `evaluation.generation.generate`.

    Raises:
        InputError: a prompt is empty or too long, or a setting is out of range.
    """
    from unlearning_core.evaluation.generation import generate

    given = [prompts] if isinstance(prompts, str) else list(prompts)
    written = {
        state: [asdict(text) for text in generate(loaded, given, progress=progress, **settings)]
        for state, loaded in models.items()
    }
    return Texts(written, matcher)
