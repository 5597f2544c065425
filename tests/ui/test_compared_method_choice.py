"""The Retrain page starts any method: here one that unlearning by a cut is compared with."""

from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled
from unlearning_core.methods.registry import METHODS
from unlearning_core.runs import background


def test_another_method_is_chosen_with_its_parameters_and_started(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("measure pruned")
    app = fine(open_page("retrain", run))
    choice = labelled(app.selectbox, "What is done to the pruned model")
    assert choice.value.name == "retrain"
    assert choice.options == [method.title for name, method in METHODS.items() if name not in ("prune", "candidate")]
    fine(choice.set_value(METHODS["npo"]).run())
    assert any("ever more gently" in caption.value for caption in app.caption)
    labelled(app.number_input, "Steps").set_value(2).run()
    fine(labelled(app.number_input, "Beta").set_value(0.2).run())
    button(app, "Start: NPO").click().run()
    try:
        assert background.is_running(run)
        methods = run.config.methods or []
        assert [step.name for step in methods] == ["prune", "npo"]
        assert (methods[1].parameters["steps"], methods[1].parameters["beta"]) == (2, 0.2)
    finally:
        background.stop(run)
