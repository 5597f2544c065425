"""The Audit page: a form makes a run of somebody else's model, checks it in the background and shows the proof."""

import json
from pathlib import Path

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from pages.components.audit.audit_form import Audit, make_run
from tests.ui.conftest import WORDS
from tests.ui.pieces import OpenPage, button, fine, labelled, only_error
from unlearning_core.concepts.words import Concept
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.errors import InputError
from unlearning_core.jobs.limits import NONE
from unlearning_core.progress import silent
from unlearning_core.runs import proof
from unlearning_core.runs.listing import list_runs

FORMER, PATH = "A model that comes with it", "A folder, .gguf file or Hub id"


class Upload:
    """What the browser hands over: a name and what is in the file."""

    def __init__(self, name: str, content: str) -> None:
        self.name, self._content = name, content.encode()

    def getvalue(self) -> bytes:
        return self._content


def keyed(elements, key: str):
    return next(element for element in elements if element.key == key)


def filled_in(app: AppTest, base: Path, candidate: Path, sentences: Path) -> AppTest:
    keyed(app.radio, "place of model base").set_value(PATH).run()
    keyed(app.text_input, "path of model base").set_value(str(base))
    keyed(app.text_input, "path of model candidate").set_value(str(candidate))
    labelled(app.text_area, "Concept words").set_value("\n".join(WORDS))
    labelled(app.radio, "Where are they?").set_value("A file, folder or dataset name").run()
    keyed(app.text_input, "audit sentences named").set_value(str(sentences)).run()
    return fine(app)


def test_the_base_itself_is_audited_and_has_not_forgotten(
    open_page: OpenPage, runs: Path, tiny_folder: Path, sentence_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"max_texts": 8, "max_questions": 8, "new_tokens": 4, "relearning_steps": 2, "learning_rates": [1e-3],
             "relearning_batch": 4, "attack_samples": 2, "depth_texts": 4, "max_statements": 8}  # fmt: skip
    start = proof.start

    def smaller(run, parts=None, *, quick=False, limits=NONE):
        run.save_config(run.config.model_copy(update={"proof": run.config.proof.model_copy(update=small)}))
        return start(run, parts, quick=quick, limits=limits)

    monkeypatch.setattr(proof, "start", smaller)
    app = filled_in(fine(open_page("audit")), tiny_folder, tiny_folder, sentence_file)
    button(app, "Quick look").click().run()
    (run,) = list_runs(runs)
    assert [method.name for method in run.config.methods or []] == ["candidate"]
    assert run.config.neural_probing.concept_definition == WORDS
    assert [title.value for title in fine(app).title] == ["Proof"]
    psutil.Process(json.loads((run.job_folder(proof.JOB) / "process.json").read_text())["pid"]).wait(800)
    verdict = run.verdict()
    assert verdict is not None, proof.last_words(run)
    assert verdict["states"]["candidate"]["verdict"] == "not forgotten"
    app = fine(open_page("proof", run))
    assert "Not forgotten" in app.header[0].value
    assert any("[**Candidate**]" in text.value for text in app.markdown)
    fine(open_page("compare", run))
    assert list(fine(open_page("runs", run)).dataframe[0].value["verdict"]) == ["not forgotten"]


def test_what_is_missing_is_said_and_no_run_is_made(open_page: OpenPage, runs: Path, tiny_folder: Path) -> None:
    app = fine(open_page("audit"))
    assert "candidate is not named" in only_error(button(app, "Audit it").click().run())
    keyed(app.text_input, "path of model candidate").set_value(str(tiny_folder))
    assert "list of concept words is empty" in only_error(button(app, "Audit it").click().run())
    labelled(app.text_area, "Concept words").set_value("chair")
    labelled(app.radio, "Where are they?").set_value("Upload a file")
    assert "No file of sentences" in only_error(button(app, "Audit it").click().run())
    assert list_runs(runs) == []


def test_uploads_are_kept_with_the_run(runs: Path, tiny_folder: Path) -> None:
    model = BaseModelSection(base_model_path=str(tiny_folder))
    text = "\n".join(f"The chair number {n} is red.\nThe window number {n} is blue." for n in range(20))
    asked = json.dumps({"prompt": "Q: What is red? A:", "answers": ["chair"], "form": "direct", "about": "concept"})
    sentences, questions = Upload("my sentences.txt", text), Upload("asked.jsonl", asked + "\n")
    run = make_run(Audit(model, model, None, Concept(("chair",)), sentences, questions), silent)
    assert Path(str(run.config.neural_probing.sentences)).read_text() == text
    assert Path(str(run.config.proof.questions)).read_text() == asked + "\n"
    assert Path(str(run.config.proof.questions)).parent == run.kept_inputs_folder.resolve()
    nothing = Upload("nothing.txt", "No such word is in here.\nNor here.")
    with pytest.raises(InputError, match=r"nothing\.txt has no sentence") as raised:
        make_run(Audit(model, model, None, Concept(("chair",)), nothing, None), silent)
    assert "/tmp" not in str(raised.value)
    assert len(list_runs(runs)) == 1
