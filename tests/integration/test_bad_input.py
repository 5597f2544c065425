"""Every mistake a person can make on the command line is one clear line and exit code 2, with nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.cli.app import main
from unlearning_core.errors import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path, retraining={"enabled": False}, generation={"samples": 1, "max_new_tokens": 2})
    return tmp_path


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that the command says when it refuses."""
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line and not line.startswith("Run folder")]
    said = lines[-1]
    assert "Traceback" not in "\n".join(lines)
    assert len(said) > 20
    return said


def test_a_missing_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.json does not exist" in fails(capsys, "run", "nowhere.json")
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("neural_probing.prune_ratio=1.2", "neural_probing.prune_ratio is 1.2"),
        ("neural_probing.prune_ratoi=0.1", "did you mean neural_probing.prune_ratio"),
        ("base_model.model_type=gpt2", "is a 'llama' model"),
        ("base_model.num_layers=12", "base_model.num_layers is 12, but"),
        ("base_model.neurons_per_layer=768", "base_model.neurons_per_layer is 768, but"),
        ("base_model.base_model_path=no/such/model", "no/such/model"),
        ("base_model.device=gpu", "gpu"),
        ("base_model.dtype=float12", "float12"),
        ("neural_probing.concept_definition=none.txt", "none.txt"),
        ('neural_probing.concept_definition=["zebra"]', "zebra"),
        ("neural_probing.concept_definition=[]", "no words"),
        ("neural_probing.sentences=none.json", "none.json"),
        ("neural_probing.sentences=null", "The config names no text"),
        ("neural_probing.ranker=probless", "probeless"),
        ('neural_probing.ranker_parameters={"measur": "rms"}', "measur"),
        ('test_prompts=[""]', "test_prompts: prompt 1 is empty"),
    ],
)
def test_a_wrong_setting_names_itself(
    folder: Path, capsys: pytest.CaptureFixture[str], assignment: str, expected: str
) -> None:
    assert expected in fails(capsys, "run", "config.json", "--set", assignment)
    assert not list(folder.rglob("metrics.json"))


def test_words_that_never_occur_are_named_and_the_rest_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "config.json", "--set", 'neural_probing.concept_definition=["chair", "zebra"]']) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((run / "data" / "concept.json").read_text())["missing_words"] == ["zebra"]
    assert "never occur: zebra" in (run / "log.txt").read_text()


def _empty(path: Path) -> None:
    path.write_text("\n \n")


def _latin(path: Path) -> None:
    path.write_bytes("Er saß auf dem Stuhl.\n".encode("latin-1"))


def _one_sentence(path: Path) -> None:
    path.write_text("He sat on the chair.\nThe dog ran.\n")


@pytest.mark.parametrize(
    ("spoil", "expected"), [(_empty, "s.txt"), (_latin, "s.txt"), (_one_sentence, "too small to split")]
)
def test_a_bad_text_file(
    folder: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], expected: str
) -> None:
    spoil(folder / "s.txt")
    assert expected in fails(capsys, "run", "config.json", "--set", "neural_probing.sentences=s.txt")


def test_tokens_and_labels_of_different_shape_name_line_and_column(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "t.txt").write_text("He sat down .\nA chair is here .\n")
    (folder / "l.txt").write_text("N/A target N/A N/A\nN/A target N/A N/A\n")
    files = ["neural_probing.tokens_input_path=t.txt", "neural_probing.labels_input_path=l.txt"]
    said = fails(capsys, "run", "config.json", "--set", *files)
    assert "line 2" in said
    assert "column 5" in said


def test_weights_with_nan_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model" / "model.safetensors"
    weights = load_file(path)
    name = sorted(weights)[3]
    weights[name].view(-1)[7] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    assert name in fails(capsys, "run", "config.json")


def test_a_folder_that_is_no_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert "config.json" in fails(capsys, "run", "config.json", "--set", "base_model.base_model_path=empty")


def test_a_concept_that_is_everywhere_leaves_nothing_to_retrain_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "s.txt").write_text("".join(f"On day {day} he sat on the chair.\n" for day in range(40)))
    settings = ["neural_probing.sentences=s.txt", "retraining.enabled=true"]
    assert "no text to retrain on" in fails(capsys, "run", "config.json", "--set", *settings)


def test_label_filter_and_sentences_refuse_with_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "none.txt").write_text("")
    words = ["--words", "words.txt"]
    for arguments, expected in (
        (["label", "--words", "none.txt", "--sentences", "sentences.json", "--output-prefix", "x"], "none.txt"),
        (["label", *words, "--sentences", "gone.csv", "--output-prefix", "x"], "gone.csv"),
        (["filter", *words, "--dataset", "gone.jsonl", "--output-dir", "out"], "gone.jsonl"),
        (["sentences", "--model", "model", *words, "--count", "0", "--output", "s.jsonl"], "count is 0"),
        (["sentences", "--model", "gone", *words, "--count", "5", "--output", "s.jsonl"], "gone"),
    ):
        assert expected in fails(capsys, *arguments)
    assert not (folder / "out").exists()
    assert not list(folder.glob("x-*"))


def test_a_token_in_the_environment_reaches_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hf_" + "x1Y2z3A4b5C6d7E8"
    monkeypatch.setenv("HF_TOKEN", secret)
    main(["run", "config.json", "--set", f"push_to_hub={secret}/model", f"base_model.base_model_path={secret}"])
    said = capsys.readouterr()
    assert secret not in said.out + said.err
    for path in folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("sentences", "--model", "model", "--words", "words.txt", "--count", "5", "--output", "s.pdf"),
            "ends in .jsonl",
        ),
        (("smallworld", "train", "--threads", "0"), "threads"),
    ],
)
def test_an_option_that_cannot_go_well_is_refused_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    before = set(folder.rglob("*"))
    assert expected in fails(capsys, *arguments)
    assert {path.relative_to(folder).parts[0] for path in set(folder.rglob("*")) - before} <= {"logs"}


def test_sentences_takes_what_a_sentence_about_the_model_tells_to_set(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def refuse(source: str, **settings: object) -> None:
        asked.append(settings)
        raise InputError(f"{source} is not loaded in this test, so nothing is written.")

    monkeypatch.setattr("unlearning_core.models.loading.load_model", refuse)
    command = ("sentences", "--model", "model", "--words", "words.txt", "--count", "5", "--output", "s.jsonl")
    fails(capsys, *command)
    fails(capsys, *command, "--extra-tokens", "drop", "--allow-pickle", "--revision", "v2")
    names = ("extra_tokens", "allow_pickle", "revision")
    assert [tuple(settings[name] for name in names) for settings in asked] == [
        ("refuse", False, None), ("drop", True, "v2"),
    ]  # fmt: skip
    assert "grow" in fails(capsys, *command, "--extra-tokens", "grow")
