"""The Neurons page: a method is chosen by the question it answers, and the choice stays with the run."""

from typing import Any

from streamlit.testing.v1 import AppTest

from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled
from unlearning_core.rankers.registry import GROUPS, RANKERS


def question(app: AppTest) -> Any:
    return labelled(app.get("button_group"), "What puts a neuron first")


def titles(group: str) -> list[str]:
    return [ranker.title for ranker in RANKERS.values() if ranker.group == group and not ranker.unavailable()]


def test_a_question_shows_its_methods_and_the_choice_is_kept(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label")
    app = open_page("neurons", run)
    assert [option for option in GROUPS if titles(option)] == [choice.content for choice in question(app).proto.options]
    assert question(app).value == RANKERS[run.config.neural_probing.ranker].group
    assert labelled(app.radio, "Method").options == titles("fires only on it")
    question(app).set_value("fires on it").run()
    method = labelled(app.radio, "Method")
    assert method.options == titles("fires on it")
    method.set_value("average_precision").run()
    labelled(app.selectbox, "Direction").set_value("higher").run()
    fine(button(app, "Rank the neurons").click().run())
    probing = run.config.neural_probing
    assert (probing.ranker, probing.ranker_parameters) == ("average_precision", {"direction": "higher"})
    # What was ranked is said in a line, and the form is folded until it is wanted.
    again = open_page("neurons", run)
    for visit in (app, again):
        assert any("**Average precision" in text.value for text in visit.markdown)
        assert not any(choice.label == "Method" for choice in visit.radio)
    button(again, "Change").click().run()
    assert question(again).value == "fires on it"
    assert labelled(again.radio, "Method").value == "average_precision"
    assert labelled(again.selectbox, "Direction").value == "higher"
    assert not again.exception
