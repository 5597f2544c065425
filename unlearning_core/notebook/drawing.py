"""How the objects of a notebook are drawn: one piece of HTML each, and a plotly figure below where there is one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.evaluation.registry import Values, formatted, headline
from unlearning_core.methods.registry import state_title

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from jinja2 import Template

    from unlearning_core.runs.run import Run


@dataclass(frozen=True)
class Table:
    """Rows of text under columns; `numbers` are the columns that stand to the right."""

    columns: Sequence[str]
    rows: Iterable[Sequence[str]]
    numbers: Sequence[str] = ()


def draw(
    title: str = "",
    *,
    sentences: Sequence[str] = (),
    facts: Mapping[str, str | None] | None = None,
    tables: Sequence[Table] = (),
    texts: Mapping[str, Any] | None = None,
    states: Sequence[str] = (),
    notes: Sequence[str] = (),
    run: "Run | None" = None,
    page: str = "",
) -> str:
    """A piece of HTML; everything is escaped.

    Args:
        facts: name and value; those without a value are left out.
        texts: as `reports.run_report.texts_in_parts` gives them, a column each of `states`.
        notes: small print.
        run: named below, with the page of the dashboard that shows the step.
    """
    return _template().render(
        title=title, sentences=sentences, facts=facts or {}, tables=tables, texts=texts, states=states, notes=notes,
        run=run, page=page, state_title=state_title,
    )  # fmt: skip


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("notebook.html.j2")


def metrics_table(metrics: Values) -> Table:
    """The four metrics to look at first, a column a state; what the dashboard shows on top of Compare."""
    heads = [state_title(state) for state in metrics]
    rows = [[one.full_title, *(formatted(metrics[state], one.name) for state in metrics)] for one in headline(metrics)]
    return Table(["", *heads], rows, heads)


def show(html: str, figure: "go.Figure | None" = None) -> None:
    """Display a piece of HTML in the cell that runs, and a figure below it as plotly is set up to show it."""
    from IPython.display import HTML, display

    display(HTML(html))
    if figure is not None:
        # plotly's own display asks for nbformat, which a kernel need not have.
        display(figure._repr_mimebundle_(), raw=True)
