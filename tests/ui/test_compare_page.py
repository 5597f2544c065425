"""The Compare page beside a model that never knew: marked differences, a typed prompt, a talk, a report."""

from streamlit.testing.v1 import AppTest

from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled
from unlearning_core.evaluation.generation import generate
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.models.loading import load_model


def page_text(app: AppTest) -> str:
    return "\n".join(text.value for text in app.markdown)


def test_four_models_side_by_side_write_and_talk(
    open_page: OpenPage, new_run: NewRun, never_knew: dict[str, str]
) -> None:
    # Half of the neurons cut: the texts differ.
    run = new_run("report", never_knew=never_knew, neural_probing={"prune_ratio": 0.5})
    app = fine(open_page("compare", run))
    for title in ("Base", "Pruned", "Retrained", "Never knew"):
        assert f"[**{title}**]" in page_text(app)
    assert ":violet[*" in page_text(app)
    labels = [download.label for download in app.get("download_button")]
    assert {"metrics.csv", "generations.csv", "metrics.json", "generations.json"} <= set(labels)
    assert any(label.startswith("Report for everyone") for label in labels)

    labelled(app.text_input, "Prompt").set_value("The old man")
    labelled(app.number_input, "Samples").set_value(3)
    fine(button(app, "Write").click().run())
    typed, written = app.session_state[f"typed texts {run.id}"]
    assert {stage: len(texts) for stage, texts in written.items()} == dict.fromkeys(
        ("base", "pruned", "retrained", NEVER_KNEW), 3
    )
    never = load_model(never_knew["model"])
    expected = generate(
        never, ["The old man"], samples=3, temperature=typed.temperature, top_p=run.config.generation.top_p,
        max_new_tokens=typed.tokens, seed=typed.seed,
    )  # fmt: skip
    assert written[NEVER_KNEW] == [text.text for text in expected]

    labelled(app.toggle, "Greedy: always the likeliest word").set_value(True)
    fine(button(app, "Write").click().run())
    _, written = app.session_state[f"typed texts {run.id}"]
    assert [len(texts) for texts in written.values()] == [1, 1, 1, 1]

    labelled(app.number_input, "Tokens of an answer").set_value(6).run()
    fine(app.chat_input[0].set_value("She put the").run())
    (turn,) = app.session_state[f"chat {run.id} base retrained"]
    assert turn["person"] == "She put the"
    assert turn.keys() == {"person", "base", "retrained"}
    fine(app.chat_input[0].set_value("Once more").run())
    assert len(app.session_state[f"chat {run.id} base retrained"]) == 2
    fine(button(app, "Begin a new talk").click().run())
    assert app.session_state[f"chat {run.id} base retrained"] == []


def test_a_never_knew_model_that_is_gone_is_said_and_the_rest_is_shown(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("measure pruned")
    run.save_config(
        run.config.model_copy(update={"never_knew": run.config.never_knew.model_copy(update={"model": "/gone"})})
    )
    app = fine(open_page("compare", run))
    assert any("gone" in warning.value for warning in app.warning)
    assert "[**Pruned**]" in page_text(app)
