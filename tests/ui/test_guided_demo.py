"""The guided demo's own promises: the quiz comes first and again, what is on screen is what is kept."""

import json
import os
from pathlib import Path

from pages.components.demo.guide import set_guided
from tests.tiny_models import tiny
from tests.ui.pieces import NewRun, OpenPage, fine, labelled
from unlearning_core.evaluation.answers import first_sentence
from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.quiz import ASKED
from unlearning_core.files import write_json
from unlearning_core.jobs.liveness import process_identity
from unlearning_core.runs.quiz import quiz_of

SLIDER = "Neurons cut, % of those ranked"


def write_questions(path: Path) -> str:
    """Questions whose accepted answers are what the tiny model writes, and one that it gets wrong."""
    prompts = ["Near the river the", "Behind the house a", "In the garden some"]
    texts = [text.text for text in generate(tiny("llama"), prompts, temperature=0.0, max_new_tokens=24)]
    rows = [
        {"prompt": prompt, "answers": [first_sentence(text)], "about": about}
        for prompt, text, about in zip(prompts, texts, ("concept", "concept", "neighbour"), strict=True)
    ]
    rows.append({"prompt": "The old station", "answers": ["quite another thing"], "about": "concept"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_quiz_is_offered_at_once_and_what_is_waited_for_is_told_in_words_while_a_process_prepares_the_rest(
    open_page: OpenPage, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run("label", proof={"questions": write_questions(tmp_path / "questions.jsonl")})
    set_guided(run)
    write_json(run.job_folder("background") / "process.json", process_identity(os.getpid()))
    run.manifest.update(state="running", stage="rank")
    run.event("progress", task=f"loading {tmp_path}", done=1, total=4)
    app = fine(open_page("model", run))
    assert [one.label for one in app.button if one.key == "guide do"] == ["What do you know about seats?"]
    app = fine(open_page("neurons", run))
    (told,) = (bar.proto.text for bar in app.get("progress"))
    assert told == "Prepared in the background while you read: ranking neurons"


def test_what_is_on_screen_is_what_is_kept_and_the_quiz_is_asked_before_and_after(
    open_page: OpenPage, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run("rank", proof={"questions": write_questions(tmp_path / "questions.jsonl")})
    set_guided(run)
    app = fine(open_page("model", run))
    (ask,) = (one for one in app.button if one.key == "guide do")
    assert ask.label == "What do you know about seats?"
    assert not [one for one in app.button if one.key == "guide on"]
    fine(ask.click().run())
    scores = [metric.value for metric in app.metric if metric.label.startswith("It knows about")]
    assert scores == ["2 of 2", "1 of 1"]
    assert ASKED == 10

    def keeping() -> list[str]:
        """The buttons that keep the cut: one, whatever has been kept."""
        return [one.key for one in app.button if one.key == "guide do" or one.label == "Keep this cut"]

    app = fine(open_page("prune", run))
    assert keeping() == ["guide do"]
    labelled(app.slider, SLIDER).set_value(8.0).run()
    next(one for one in app.button if one.key == "guide do").click().run()
    fine(app)
    assert run.config.neural_probing.prune_ratio == 0.08
    assert labelled(app.slider, SLIDER).value == 8.0
    assert labelled(app.metric, "Neurons cut").value == str(run.recipe().mask.cut)
    assert len(keeping()) == 1
    quiz = quiz_of(run)
    assert quiz is not None
    assert list(quiz.marks) == ["base", "pruned"]

    # Another cut on the screen than the kept one is not passed over.
    labelled(app.slider, SLIDER).set_value(3.0).run()
    app.run()
    assert keeping() == ["guide do"]
    assert not [one for one in app.button if one.key == "guide on"]
    assert any("The slider shows 3" in message.value for message in app.info)
    next(one for one in app.button if one.key == "guide do").click().run()
    assert run.config.neural_probing.prune_ratio == 0.03
    assert [one for one in fine(app).button if one.key == "guide on"]
