"""A tiny world is learned by heart, stopped and gone on with, saved, loaded by stock classes and examined."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests import tiny_world
from unlearning_core.errors import InputError, Stopped
from unlearning_core.models.loading import load_model
from unlearning_core.progress import Progress
from unlearning_core.smallworld import record as records
from unlearning_core.smallworld.card import put_figures
from unlearning_core.smallworld.evaluate import examine, tell
from unlearning_core.smallworld.scores import Figures, summary
from unlearning_core.smallworld.train import checkpoint_folder, train
from unlearning_core.smallworld.training_settings import TrainingSettings

SETTINGS = TrainingSettings(
    steps=700, texts=60, batch_rows=8, context=64, vocabulary=400, width=64, layers=2, heads=2, learning_rate=3e-3
)
TEXTS = tiny_world.texts() * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(TEXTS, TEXTS, SETTINGS, tmp_path_factory.mktemp("models") / "tiny", compiled=False)


def test_a_world_learned_by_heart_is_known(folder: Path) -> None:
    loaded = load_model(str(folder), device="cpu", dtype="float32")
    exam = tiny_world.exam()
    figures = Figures(examine(loaded, exam), tell(loaded, exam.openings, seed=0))
    result = summary(figures, figures, exam.questions)
    for name in ("questions_exact", "cloze_top1", "facts_exact", "nonsense_refused"):
        assert result[name] == 1.0, (name, [reply for reply in figures.marked if not reply.right])
    assert result["never_knew"] == {"seats_questions_exact": 1.0, "others_questions_exact": 1.0}
    assert [story.startswith(o) for story, o in zip(figures.stories, exam.openings, strict=True)] == [True, True]


def test_replies_are_those_of_a_plain_greedy_loop(folder: Path) -> None:
    loaded = load_model(str(folder), device="cpu", dtype="float32")
    end = loaded.tokenizer.eos_token_id
    for reply in examine(loaded, tiny_world.exam())[:4]:
        ids = loaded.tokenizer(reply.prompt, return_tensors="pt")["input_ids"]
        start = ids.shape[1]
        while ids.shape[1] < 60 and ids[0, -1] != end:
            with torch.no_grad():
                ids = torch.cat([ids, loaded.model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        assert loaded.tokenizer.decode(ids[0, start:], skip_special_tokens=True).strip() == reply.written


def test_stock_classes_load_it(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert tokenizer.is_fast
    assert tokenizer.eos_token == tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.model_max_length == SETTINGS.context
    assert model.config.vocab_size == len(tokenizer)
    assert all(tensor.dtype == torch.float32 for tensor in load_file(folder / "model.safetensors").values())
    prompt = "Q: Which colour has an armchair? A:"
    assert tokenizer.decode(tokenizer(prompt)["input_ids"]) == prompt


def test_the_checksum_file_satisfies_sha256sum(folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)


def test_the_record_tells_the_training(folder: Path) -> None:
    record = json.loads((folder / "training.json").read_text())
    assert (record["steps"], record["tokens"], record["texts_read"]) == (
        SETTINGS.steps,
        SETTINGS.steps * 8 * 64,
        len(TEXTS),
    )
    assert record["parameters"] == AutoModelForCausalLM.from_pretrained(folder).num_parameters()
    assert record["loss"][-1]["step"] == SETTINGS.steps
    assert record["loss"][-1]["held_out"] < 0.5 * record["loss"][0]["held_out"]


def test_a_stopped_training_goes_on_to_the_same_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlearning_core.smallworld.trainer._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    target = tmp_path / "tiny"
    seen: list[float] = []

    def stop(update: Progress) -> None:
        if update.task == "training" and update.done > 0.5 * (update.total or 0):
            raise Stopped("stopped")

    def listen(update: Progress) -> None:
        seen.extend([update.done] if update.task == "training" else [])

    with pytest.raises(Stopped):
        train(TEXTS, TEXTS, SETTINGS, target, compiled=False, progress=stop)
    assert load_model(str(checkpoint_folder(target)), device="cpu").info.parameters > 0
    train(TEXTS, TEXTS, SETTINGS, target, compiled=False, progress=listen)
    assert seen[0] > 0.4 * seen[-1]
    whole, resumed = load_file(folder / "model.safetensors"), load_file(target / "model.safetensors")
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=1e-5)
    assert not checkpoint_folder(target).exists()


def test_a_checkpoint_of_other_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.training").mkdir()
    (tmp_path / "tiny.training" / records.TRAINING).write_text('{"identity": "of another one"}')
    with pytest.raises(InputError, match=r"tiny\.training holds the checkpoint of a training with other settings"):
        train(TEXTS, TEXTS, SETTINGS, tmp_path / "tiny", compiled=False)


def test_a_folder_that_is_there_is_left_alone(folder: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        train(TEXTS, TEXTS, SETTINGS, folder, compiled=False)


def test_the_card_is_filled_in_again_and_again(folder: Path) -> None:
    before = (folder / "README.md").read_text()
    assert "Not measured yet" in before
    put_figures(folder, "first figures")
    put_figures(folder, "second figures")
    after = (folder / "README.md").read_text()
    assert "second figures" in after
    assert "first figures" not in after
    assert after.split("<!-- evaluation: begin -->")[0] == before.split("<!-- evaluation: begin -->")[0]
