"""What the settings refuse, how its learning rate runs, what its loss is, and what the model card says of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_models import tiny_model
from unlearning_core.errors import InputError
from unlearning_core.smallworld.card import put_figures, write_card
from unlearning_core.smallworld.rows import train_tokenizer
from unlearning_core.smallworld.train import new_model, train
from unlearning_core.smallworld.trainer import learning_rate, next_token_loss
from unlearning_core.smallworld.training_settings import TrainingSettings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"layers": 0}, "layers is 0; expected more than 0"),
        ({"steps": -1}, "steps is -1; expected 0 or more"),
        ({"width": 100, "heads": 6}, "width is 100, which 6 heads do not divide"),
    ],
)
def test_a_setting_out_of_range_is_named(setting: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingSettings(**setting)


def test_the_learning_rate_rises_and_falls() -> None:
    settings = TrainingSettings(learning_rate=0.01, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(100)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) * 0.001)
    np.testing.assert_allclose(rates[10:], 0.005 * (1 + np.cos(np.pi * np.arange(90) / 90)))


def test_a_cool_down_takes_the_learning_rate_to_zero_over_the_last_fifth() -> None:
    settings, whole = (
        TrainingSettings(learning_rate=0.01, warmup=0.1, last_step=50),
        TrainingSettings(learning_rate=0.01, warmup=0.1),
    )
    rates = [learning_rate(step, 100, settings) for step in range(50)]
    assert rates[:41] == [learning_rate(step, 100, whole) for step in range(41)]
    np.testing.assert_allclose(rates[40:], rates[40] * (10 - np.arange(10)) / 10)


def test_the_loss_is_the_mean_over_all_tokens_but_the_first() -> None:
    model = tiny_model("gpt2")
    ids = torch.randint(0, 400, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(input_ids=ids, labels=ids).loss
        torch.testing.assert_close(next_token_loss(model, ids), expected)


def test_the_default_model_is_small_enough_to_ship() -> None:
    settings = TrainingSettings()
    tokenizer = train_tokenizer(["a few words"], 300, settings.context)
    model = new_model(settings, tokenizer)
    parameters = model.num_parameters() + (settings.vocabulary - len(tokenizer)) * settings.width
    assert parameters <= 6_000_000
    assert 4 * parameters <= 15_000_000
    assert model.lm_head.weight is model.transformer.wte.weight


def test_the_seed_decides_the_first_weights_and_leaves_the_global_one_alone() -> None:
    tokenizer = train_tokenizer(["a few words"], 300, 64)
    small = {"width": 16, "layers": 1, "heads": 1, "context": 64}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (new_model(TrainingSettings(seed=seed, **small), tokenizer) for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    assert torch.equal(one.lm_head.weight, same.lm_head.weight)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 texts do not fill one batch of 16 rows of 256 tokens"):
        train(["One.", "Two."], ["One.", "Two."], TrainingSettings(), tmp_path / "model")


def test_the_card_says_how_the_model_was_made(tmp_path: Path) -> None:
    training = {
        "recipe": TrainingSettings(seed=3, training_seed=1).recipe(),
        "without": "seats",
        "texts_read": 123_456,
        "steps": 40,
        "tokens": 163_840,
        "parameters": 3_500_000,
        "seconds": 90.0,
        "loss": [{"step": step, "train": 9 - step / 5, "held_out": 9 - step / 6} for step in range(1, 41)],
    }
    write_card(tmp_path, training, 4000)
    card = (tmp_path / "README.md").read_text()
    assert "# SmallWorld that never knew seats" in card
    assert "123,456 texts of the 300,000" in card
    assert "those that mention seats left out" in card
    assert "--without seats" in card
    assert "--seed 3 " in card
    assert "--training-seed 1" in card
    assert "| 40 | 1.000 | 2.333 |" in card
    assert card.startswith("---\nlanguage: en\n")


def test_a_card_without_its_markers_is_named(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("prose")
    with pytest.raises(InputError, match=r"README\.md has no '<!-- evaluation: begin -->'"):
        put_figures(tmp_path, "figures")
