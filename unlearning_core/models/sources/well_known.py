"""Models to begin with: how large they are and whether they fit here, told before anything is fetched or read.

Memory is that of the weights alone, as `memory.check_fits` counts it when a model is loaded. No torch is imported here.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.models.devices import bytes_each
from unlearning_core.models.memory import available
from unlearning_core.models.sources.starter import Starter


@dataclass(frozen=True)
class WellKnown:
    """A model of the Hub.

    Attributes:
        source: its Hub id.
        parameters: numbers in it, tied ones counted once; bytes in memory follow from them.
        licence: as its card names it.
        about: one phrase for a person who has to choose.
    """

    source: str
    parameters: int
    licence: str
    about: str


HUB = (
    WellKnown("distilbert/distilgpt2", 81_912_576, "apache-2.0", "half as deep as GPT-2"),
    WellKnown("openai-community/gpt2", 124_439_808, "mit", "the model that most papers study"),
    WellKnown("openai-community/gpt2-medium", 354_823_168, "mit", "GPT-2 with 24 layers"),
    WellKnown("EleutherAI/pythia-70m", 70_426_624, "apache-2.0", "trained on the Pile, every checkpoint public"),
    WellKnown("EleutherAI/pythia-160m", 162_322_944, "apache-2.0", "trained on the Pile, every checkpoint public"),
    WellKnown("EleutherAI/pythia-410m", 405_334_016, "apache-2.0", "trained on the Pile, every checkpoint public"),
    WellKnown("HuggingFaceTB/SmolLM2-135M", 134_515_008, "apache-2.0", "continues text; the starter answers"),
    WellKnown("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, "apache-2.0", "answers questions"),
    WellKnown("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, "apache-2.0", "answers questions"),
    WellKnown("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768, "apache-2.0", "answers in many languages"),
    WellKnown("Qwen/Qwen3-0.6B", 596_049_920, "apache-2.0", "answers in many languages"),
    WellKnown("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_048_384, "apache-2.0", "Llama's architecture, small"),
    WellKnown("meta-llama/Llama-3.2-1B", 1_235_814_400, "llama3.2", "access must be asked for on its page"),
)
"""Models that many people know, by family and size."""


def bytes_needed(parameters: int, dtype: str = "auto") -> int:
    """Memory of the weights; `auto` is counted as float32, what a machine without a graphics card takes."""
    return parameters * bytes_each("float32" if dtype == "auto" else dtype)


def fits(parameters: int, dtype: str = "auto", device: str = "cpu") -> bool:
    """Whether the weights fit in what is free on `device` now."""
    return bytes_needed(parameters, dtype) <= available(device)


def parameters_of(starter: Starter) -> int | None:
    """Numbers in a starter model, from the headers of its files; None where it is not here."""
    folder, gguf = starter.ready(), starter.unprepared()
    if folder is not None:
        return sum(map(_stored, folder.glob("*.safetensors")))
    if gguf is not None:
        from unlearning_core.models.sources.gguf_header import read_gguf

        return read_gguf(gguf).parameters
    return None


def _stored(path: Path) -> int:
    """Numbers in one safetensors file: eight bytes of length, then JSON with every tensor's shape.

    The format: https://github.com/huggingface/safetensors#format.
    """
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
