"""Well-known models: their sizes follow from their published shapes, and what is told of a starter is what it holds."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.tiny_models import save_tiny
from unlearning_core.models import devices
from unlearning_core.models.devices import bytes_needed, fits
from unlearning_core.models.sources.starters import HUB, BundledStarter


def gpt(vocabulary: int, width: int, layers: int, positions: int, heads_of_its_own: int = 0) -> int:
    """GPT-2 and GPT-NeoX: a block holds 12 d^2 weights and 13 d biases and gains."""
    tables = (vocabulary * (1 + heads_of_its_own) + positions) * width
    return tables + layers * (12 * width**2 + 13 * width) + 2 * width


def llama(
    vocabulary: int, width: int, layers: int, hidden: int, keys: int, *, queries: int | None = None, tied: bool = True,
    biased: bool = False, norms: int = 0,
) -> int:  # fmt: skip
    """Llama, Qwen2 and Qwen3: queries and keys are the widths of all heads together."""
    queries = queries or width
    attention = 2 * width * queries + 2 * width * keys + (queries + 2 * keys if biased else 0) + norms
    return vocabulary * width * (1 if tied else 2) + layers * (attention + 3 * width * hidden + 2 * width) + width


COUNTED = {
    "distilbert/distilgpt2": gpt(50257, 768, 6, 1024),
    "openai-community/gpt2": gpt(50257, 768, 12, 1024),
    "openai-community/gpt2-medium": gpt(50257, 1024, 24, 1024),
    "EleutherAI/pythia-70m": gpt(50304, 512, 6, 0, 1),
    "EleutherAI/pythia-160m": gpt(50304, 768, 12, 0, 1),
    "EleutherAI/pythia-410m": gpt(50304, 1024, 24, 0, 1),
    "HuggingFaceTB/SmolLM2-135M": llama(49152, 576, 30, 1536, 192),
    "HuggingFaceTB/SmolLM2-360M-Instruct": llama(49152, 960, 32, 2560, 320),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": llama(49152, 2048, 24, 8192, 2048),
    "Qwen/Qwen2.5-0.5B-Instruct": llama(151936, 896, 24, 4864, 128, biased=True),
    "Qwen/Qwen3-0.6B": llama(151936, 1024, 28, 3072, 1024, queries=2048, norms=2 * 128),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": llama(32000, 2048, 22, 5632, 256, tied=False),
    "meta-llama/Llama-3.2-1B": llama(128256, 2048, 16, 8192, 512),
}


def test_every_size_is_what_the_models_shapes_come_to() -> None:
    assert {model.source: model.parameters for model in HUB} == COUNTED


@pytest.mark.parametrize(("dtype", "bytes_"), [("auto", 400), ("float32", 400), ("bfloat16", 200), ("float16", 200)])
def test_a_model_fits_up_to_the_last_byte(monkeypatch: pytest.MonkeyPatch, dtype: str, bytes_: int) -> None:
    assert bytes_needed(100, dtype) == bytes_
    for free, expected in ((bytes_, True), (bytes_ - 1, False)):
        monkeypatch.setattr(devices, "available", lambda device, free=free: free)
        assert fits(100, dtype) is expected


def test_a_starters_parameters_are_the_numbers_in_its_files(tmp_path: Path) -> None:
    folder = save_tiny("gpt2", tmp_path / "model")
    starter = BundledStarter(name="tiny", title="Tiny", licence="mit", about="", folder=folder)
    assert starter.parameters() == sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())


def test_a_starter_that_is_not_here_has_no_known_size(tmp_path: Path) -> None:
    starter = BundledStarter(name="tiny", title="Tiny", licence="mit", about="", folder=tmp_path / "nowhere")
    assert starter.parameters() is None
