"""Finding elements of a page in Streamlit's test harness."""

import json
from collections.abc import Callable
from typing import Any

from streamlit.testing.v1 import AppTest

from unlearning_core.runs.run import Run

OpenPage = Callable[..., AppTest]
NewRun = Callable[..., Run]
"""What the fixtures open_page and new_run give."""


def fine(app: AppTest) -> AppTest:
    """The page, which shows no error."""
    assert not [error.value for error in app.error]
    assert not app.exception
    return app


def only_error(app: AppTest) -> str:
    """The page's one error, as it is read."""
    assert not app.exception
    (error,) = app.error
    return error.value.replace("\\", "")


def show_tab(app: AppTest, name: str, of: str = "shown") -> AppTest:
    """A page with that tab open, on Prune unless other tabs are meant; the harness cannot click on one."""
    run = app.query_params["run"]
    app.session_state[f"{of} {run[0] if isinstance(run, list) else run}"] = name
    return app.run()


def labelled(elements: Any, label: str) -> Any:
    """The element with that label."""
    return next(element for element in elements if element.label == label)


def button(app: AppTest, label: str) -> Any:
    """The button with that label, in a form or not."""
    return labelled(app.button, label)


def chart(app: AppTest, number: int) -> dict[str, Any]:
    """The specification of a plotly chart; the harness knows no charts of its own."""
    return json.loads(app.get("plotly_chart")[number].proto.spec)
