"""Executes docs/notebook.ipynb as a person would; `python -m tests.notebooks` writes it anew (`make notebook`)."""

import os
import re
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from unlearning_core.files import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"


def execute(folder: Path) -> NotebookNode:
    """The shipped notebook, executed in a kernel of its own with its runs in `folder`; an error in a cell is raised."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    given = {
        "UNLEARNING_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT), "PLOTLY_RENDERER": "plotly_mimetype",
        "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # this interpreter's kernel, not one that the person has installed
    }  # fmt: skip
    with patch.dict(os.environ, given):
        place = {"metadata": {"path": str(folder)}}
        client = NotebookClient(
            notebook, timeout=None, startup_timeout=600, iopub_timeout=600, kernel_name="python3", resources=place
        )  # by itself it gives up on outputs that come late, as on a busy machine
        return client.execute()


def outputs(notebook: NotebookNode, mime: str) -> list[str]:
    """What its cells show of that type, in their order."""
    shown = (output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))
    return [data[mime] for data in shown if data.get(mime)]


def frames(notebook: NotebookNode) -> list[list[str]]:
    """The cells of each data frame that it shows, row by row."""
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", html, re.DOTALL)]
        for html in outputs(notebook, "text/html")
        if 'class="dataframe"' in html
    ]


def _without_traces(notebook: NotebookNode, folder: Path) -> None:
    """Take out what says where and when it was executed, and bars that are gone."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if "data" not in one or any(one["data"].values())]
    for output in _data(notebook):
        output["metadata"] = {}
        output.pop("transient", None)
        for mime, text in output["data"].items():
            if isinstance(text, str):
                output["data"][mime] = text.replace(str(folder / "runs"), "runs")


def _data(notebook: NotebookNode) -> Iterator[NotebookNode]:
    return (output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output)


def _with_pictures(notebook: NotebookNode) -> None:
    """Beside each plotly figure a PNG of it, for readers that run no scripts (GitHub)."""
    import plotly.io as pio
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import FLAGS, chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 900, "height": 700})
        for output in _data(notebook):
            if PLOTLY in output["data"]:
                figure = output["data"][PLOTLY]
                page.set_content(pio.to_html(figure, include_plotlyjs=True, config={"displayModeBar": False}))
                page.wait_for_function("document.querySelector('.main-svg') !== null")
                output["data"]["image/png"] = b64encode(page.locator(".plotly-graph-div").screenshot()).decode()
        browser.close()


def main() -> None:
    """Execute the notebook and write it with its outputs."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        notebook = execute(folder)
        _without_traces(notebook, folder)
        _with_pictures(notebook)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
