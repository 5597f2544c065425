"""The Neurons page shows how gates were trained, and nothing of it for other methods."""

import json

from streamlit.testing.v1 import AppTest

from tests.ui.pieces import NewRun, OpenPage, button, labelled
from unlearning_core.runs.stages.rank import WORK


def history(app: AppTest) -> list[str]:
    return [expander.label for expander in app.expander if "closed the gates" in expander.label]


def test_the_history_of_the_gates_is_shown_beside_their_ranking(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label", neural_probing={"ranker": "gates", "ranker_parameters": {"steps": 7}})
    app = open_page("neurons", run)
    assert history(app) == []
    button(app, "Rank the neurons").click().run()
    assert not app.exception
    assert [error.value for error in app.error] == []
    title = "How 7 steps of training closed the gates"
    assert history(app) == [title]
    shown = json.loads(labelled(app.expander, title).get("plotly_chart")[0].proto.spec)
    assert {trace["name"] for trace in shown["data"]} == {"concept loss, rise", "divergence on other text", "closed"}

    button(app, "Change").click().run()
    labelled(app.get("button_group"), "What puts a neuron first").set_value("fires only on it").run()
    button(app, "Rank the neurons").click().run()
    assert run.config.neural_probing.ranker != "gates"
    assert (run.work_folder(WORK) / "history.jsonl").is_file()
    assert history(app) == []
