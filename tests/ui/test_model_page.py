"""The Model page: nothing chosen, bad input, a model loaded, runs reopened, settings imported."""

import json
import shutil
from pathlib import Path

import psutil
import pytest
from streamlit.testing.v1 import AppTest
from transformers import AutoTokenizer

from pages.components.marked_text import escaped
from pages.components.model.choose_model import PATH
from pages.components.new_run import experiment
from tests.ui.conftest import ROOT
from tests.ui.pieces import NewRun, OpenPage, button, fine, labelled, only_error
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.runs.listing import list_runs

FIELD = "Folder, .gguf file or Hub id"


def test_without_a_run_it_offers_models_and_says_that_no_run_is_open(open_page: OpenPage) -> None:
    app = fine(open_page("model"))
    assert [title.value for title in app.title] == ["Model"]
    assert any("No run is open" in caption.value for caption in app.sidebar.caption)


def test_it_opens_on_smallworld_with_smollm2_one_click_away(open_page: OpenPage) -> None:
    app = open_page("model")
    choice = labelled(app.radio, "Model")
    assert choice.value == "smallworld"
    assert choice.options == ["SmallWorld", "SmolLM2-135M-Instruct"]
    choice.set_value("smollm2").run()
    fine(app)
    assert not button(app, "Load").disabled


@pytest.mark.parametrize(
    ("source", "never_knew"), [("smallworld", "smallworld-never-knew-seats"), ("smollm2", None), ("/some/model", None)]
)
def test_a_model_begins_with_the_experiment_that_fits_it(source: str, never_knew: str | None) -> None:
    config = experiment(BaseModelSection(base_model_path=source))
    assert config.base_model.base_model_path == source
    assert config.never_knew.model == never_knew
    expected = "smallworld" if source == "smallworld" else "seats"
    assert Path(str(config.neural_probing.sentences)).parent.name == expected
    assert Path(str(config.neural_probing.concept_definition)).name == "target_words.txt"


def name_folder(app: AppTest, folder: Path) -> AppTest:
    """Choose a folder of one's own."""
    labelled(app.radio, "Where is the model?").set_value(PATH).run()
    return labelled(app.text_input, FIELD).set_value(str(folder)).run()


def test_one_press_checks_a_folder_loads_it_and_offers_one_way_onward(
    open_page: OpenPage, tiny_folder: Path, runs: Path
) -> None:
    app = open_page("model")
    name_folder(app, tiny_folder)
    fine(button(app, "Load").click().run())
    (run,) = list_runs(runs)
    assert app.query_params["run"] == run.id
    assert run.config.base_model.base_model_path == str(tiny_folder)
    assert run.note("model")["model_type"] == "llama"
    assert any("loaded" in message.value for message in app.toast)
    assert not app.success
    assert labelled(app.metric, "Family").value == "llama"
    assert labelled(app.metric, "Layers").value == "3"
    assert labelled(app.metric, "Context").value == "128"
    assert labelled(app.metric, "Vocabulary").value == "400"
    widths = dict(zip(app.table[0].value["Neurons"], app.table[0].value["Width"], strict=True))
    assert widths == {"MLP neurons": "48", "Attention heads": "4", "Residual dimensions": "32"}
    assert [one.label for one in app.button if one.proto.type == "primary"] == ["Go on to Concept"]
    button(app, "Go on to Concept").click().run()
    assert [title.value for title in fine(app).title] == ["Concept"]


def test_what_does_not_fit_is_refused_before_it_is_loaded_and_the_open_run_stays(
    open_page: OpenPage, new_run: NewRun, tiny_folder: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    free = psutil.virtual_memory()._replace(available=2_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr("unlearning_core.models.loading.read_model", lambda *args, **more: pytest.fail("it was loaded"))
    app = open_page("model", run)
    name_folder(app, tiny_folder)
    button(app, "Load").click().run()
    assert "0.0 GB of memory are free on cpu. Choose a smaller model" in only_error(app)
    assert app.query_params["run"] == run.id
    assert labelled(app.text_input, FIELD).value == str(tiny_folder)
    assert len(list_runs(runs)) == 1


def test_who_came_for_a_model_of_their_own_finds_its_field(open_page: OpenPage) -> None:
    app = open_page("start")
    button(app, "Use my own model").click().run()
    assert labelled(fine(app).radio, "Where is the model?").value == PATH


def test_tokens_without_a_row_are_said_and_what_to_do_is_chosen_there(
    open_page: OpenPage, tiny_folder: Path, tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "longer"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<|im_start|>"])
    tokenizer.save_pretrained(folder)
    app = open_page("model")
    name_folder(app, folder)
    button(app, "Load").click().run()
    assert 'extra tokens” (settings of the model) to "resize"' in only_error(app)
    labelled(app.selectbox, "Tokens that the model has no row for").set_value("drop").run()
    fine(button(app, "Load").click().run())
    assert any("does without" in info.value for info in app.info)
    (run,) = list_runs(runs)
    assert run.config.base_model.extra_tokens == "drop"
    assert "does without" in run.note("model")["notes"][0]


@pytest.mark.parametrize(("dtype", "fits"), [("auto", "no"), ("bfloat16", "yes")])
def test_well_known_models_say_whether_they_fit(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, dtype: str, fits: str
) -> None:
    # GPT-2's 124,439,808 parameters take 498 MB as float32 and 249 MB as bfloat16.
    free = psutil.virtual_memory()._replace(available=300_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    app = open_page("model")
    labelled(app.radio, "Where is the model?").set_value("A well-known model of the Hub").run()
    fine(labelled(app.selectbox, "Number format").set_value(dtype).run())
    assert labelled(app.selectbox, "Model of the Hub").value.source == "openai-community/gpt2"
    table = app.table[0].value.set_index("Model")
    assert list(table.loc["openai-community/gpt2", ["Parameters", "Fits"]]) == ["124\N{NO-BREAK SPACE}M", fits]
    assert bool([warning for warning in app.warning if "498\N{NO-BREAK SPACE}MB" in warning.value]) is (fits == "no")


def test_the_loaded_model_is_talked_to_at_once(open_page: OpenPage, new_run: NewRun, tiny_folder: Path) -> None:
    app = open_page("model", new_run())
    assert labelled(app.text_area, "Prompt").value == "The chair"
    labelled(app.text_area, "Prompt").set_value("She put")
    labelled(app.number_input, "Max tokens").set_value(5)
    fine(button(app, "Write").click().run())
    messages = next(text.value for text in app.markdown if text.value.startswith("**She put**"))
    assert messages == f"**She put**  \n{escaped(_likeliest(tiny_folder, 'She put', 5))}"


def _likeliest(folder: Path, prompt: str, tokens: int) -> str:
    """What transformers' own greedy decoding writes after `prompt`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(prompt, return_tensors="pt")
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = model.generate(**inputs, max_new_tokens=tokens, do_sample=False, pad_token_id=0)[0]
    return tokenizer.decode(ids[inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_an_empty_prompt_gives_one_sentence(open_page: OpenPage, new_run: NewRun) -> None:
    app = open_page("model", new_run())
    labelled(app.text_area, "Prompt").set_value("  ")
    button(app, "Write").click().run()
    assert [error.value for error in app.error] == [
        escaped("The prompt is empty. Write a few words for the model to go on from.")
    ]
    assert not app.exception


def test_a_folder_that_is_no_model_gives_one_sentence(open_page: OpenPage, tmp_path: Path) -> None:
    app = open_page("model")
    name_folder(app, tmp_path)
    button(app, "Load").click().run()
    assert "config" in only_error(app)
    assert labelled(app.text_input, FIELD).value == str(tmp_path)
    assert "run" not in app.query_params


def test_a_run_that_is_not_there_gives_one_sentence_and_the_page_goes_on(open_page: OpenPage) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
    app.query_params["run"] = "20200101-000000-none-abcdef"
    app.run()
    assert "There is no run" in only_error(app)
    assert "run" not in app.query_params
    assert [title.value for title in app.title] == ["Unlearning Workbench"]


def test_an_earlier_run_is_reopened(open_page: OpenPage, new_run: NewRun) -> None:
    run = new_run("label")
    app = open_page("model")
    fine(button(app, "Open this run").click().run())
    assert app.query_params["run"] == run.id
    assert any(run.id.replace("-", "\\-") in text.value for text in app.sidebar.markdown)


def test_a_config_file_becomes_a_run(open_page: OpenPage, new_run: NewRun, runs: Path) -> None:
    exported = (new_run().folder / "config.json").read_bytes()
    app = open_page("model")
    labelled(app.file_uploader, "config.json").set_value(("mine.json", exported, "application/json")).run()
    fine(button(app, "Start a run with these settings").click().run())
    assert len(list_runs(runs)) == 2


def test_a_config_with_a_typing_error_names_the_file_and_the_key(open_page: OpenPage) -> None:
    app = open_page("model")
    bad = b'{"neural_probing": {"prune_ration": 0.1}}'
    labelled(app.file_uploader, "config.json").set_value(("mine.json", bad, "application/json")).run()
    assert "prune" in only_error(app)
    assert "mine" in app.error[0].value
    assert "/tmp" not in app.error[0].value


def test_a_config_whose_text_is_not_there_starts_no_run(open_page: OpenPage, new_run: NewRun, runs: Path) -> None:
    config = json.loads((new_run().folder / "config.json").read_text(encoding="utf-8"))
    config["retraining"]["dataset"] = "gone.jsonl"
    app = open_page("model")
    content = json.dumps(config).encode()
    labelled(app.file_uploader, "config.json").set_value(("mine.json", content, "application/json")).run()
    button(app, "Start a run with these settings").click().run()
    assert only_error(app).startswith("“dataset” (settings of the retraining): gone.jsonl does not exist.")
    assert len(list_runs(runs)) == 1
