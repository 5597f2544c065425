"""docs/notebook.ipynb: it runs, and what it shows is what comes out."""

import re
from pathlib import Path

import nbformat
import pytest

from tests.notebooks import NOTEBOOK, PLOTLY, execute, frames, outputs

NEAR = {"rel": 0.1, "abs": 0.15}
"""Another machine sums in another order, and ten steps of training carry that on."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_runs_and_comes_to_what_it_shows(tmp_path: Path) -> None:
    shown, found = nbformat.read(NOTEBOOK, as_version=4), execute(tmp_path)
    assert [len(cells) for cells in frames(found)] == [len(cells) for cells in frames(shown)]
    compared = 0
    for there, here in zip(frames(shown), frames(found), strict=True):
        for old, new in zip(there, here, strict=True):
            if re.fullmatch(r"-?\d+(\.\d+)?", old):
                assert float(new) == pytest.approx(float(old), **NEAR), there
                compared += 1
            else:
                assert new == old
    assert compared > 20
    assert verdict(found) == verdict(shown)
    assert len(outputs(found, PLOTLY)) == len(outputs(shown, PLOTLY)) == 3
    (run,) = (path for path in (tmp_path / "runs").iterdir() if not path.name.startswith("."))
    assert all(run.name in html for html in outputs(found, "text/html") if "On the dashboard" in html)


def test_the_stored_notebook_is_small_whole_and_names_no_place_of_a_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert not re.search(r"/(tmp|home|root|work|Users)/", text)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type in ("error", "stream")]
    assert len(outputs(notebook, "image/png")) == len(outputs(notebook, PLOTLY)), "GitHub runs no scripts"


def verdict(notebook: nbformat.NotebookNode) -> str:
    """The heading of the last object of ours that it shows."""
    headings = (re.search(r"<h4>(.*?)</h4>", html) for html in outputs(notebook, "text/html"))
    return [found.group(1) for found in headings if found][-1]
