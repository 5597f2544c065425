"""The two sides of `python -m bench extraction`: each runs alone in its process and writes what it measured."""

import sys
import time
from pathlib import Path
from typing import Any

from bench.extraction import TOP
from bench.resident import now_mb, peak_mb
from unlearning_core.files import write_json


def ours(model: str, folder: Path) -> dict[str, Any]:
    """Our pass with NeuroX's settings, from a model folder and tokens/labels files to a ranking."""
    from unlearning_core.activations.collect import collect
    from unlearning_core.concepts.tokens_labels import read
    from unlearning_core.models.loading import load_model
    from unlearning_core.rankers.ranking import rank
    from unlearning_core.rankers.ranking_input import RankingInput

    clock = Clock()
    loaded = load_model(model, dtype="float32")
    clock.lap("loading")
    loaded_mb = now_mb()
    items = read(folder / "tokens.txt", folder / "labels.txt", keep_duplicates=True).items
    clock.lap("reading")
    settings: dict[str, Any] = {"alignment": "at", "aggregation": "average", "skip_first": False, "final_normed": True}
    activations = collect(loaded, items, site="residual", **settings)
    clock.lap("pass")
    ranking = rank(RankingInput(activations), "probeless", protect=False).head(TOP)
    clock.lap("ranking")
    top = ranking[["layer", "index"]].to_numpy().tolist()
    return {**clock.result(), "loading_seconds": clock.parts["loading"], "loaded_mb": loaded_mb, "top": top}


def neurox(model: str, folder: Path) -> dict[str, Any]:
    """NeuroX from the same folder and files to its ranking."""
    import numpy as np
    from neurox.data.extraction import transformers_extractor
    from neurox.data.loader import load_activations
    from neurox.interpretation import probeless

    loading = Clock()
    load = transformers_extractor.get_model_and_tokenizer

    def timed_load(*args: Any, **kwargs: Any) -> Any:
        loading.start = time.perf_counter()
        loaded = load(*args, **kwargs)
        loading.lap("loading")
        return loaded

    transformers_extractor.get_model_and_tokenizer = timed_load
    spool = folder / "activations.json"
    clock = Clock()
    transformers_extractor.extract_representations(model, str(folder / "tokens.txt"), str(spool), aggregation="average")
    clock.lap("extraction")
    activations, layers = load_activations(str(spool))
    clock.lap("loader")
    labels = (folder / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]
    y = np.array([int(word == "target") for line in labels for word in line.split(" ")])
    x = np.vstack(activations).astype(np.float32)
    ordering = probeless.get_neuron_ordering(x, y)[:TOP]
    clock.lap("probeless")
    width = x.shape[1] // layers
    return {
        **clock.result(),
        "loading_seconds": loading.parts["loading"],
        "spool_bytes": spool.stat().st_size,
        "top": [[neuron // width, neuron % width] for neuron in ordering],
    }


class Clock:
    """Seconds of each part, one after the other."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.parts: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End the part that was running and call it `name`."""
        now = time.perf_counter()
        self.parts[name] = now - self.start
        self.start = now

    def result(self) -> dict[str, Any]:
        """The parts, their sum and this process's peak memory."""
        return {"parts": self.parts, "seconds": sum(self.parts.values()), "peak_mb": peak_mb()}


def main(arguments: list[str]) -> int:
    """Entry point: SIDE MODEL FOLDER OUTPUT THREADS."""
    import torch
    import transformers

    side, model, folder, output, threads = arguments
    if int(threads):
        torch.set_num_threads(int(threads))
    # Imports are on neither side's clock, and transformers imports a family only when one of its models is made.
    config = transformers.AutoConfig.from_pretrained(model)
    with torch.device("meta"):
        for auto in (transformers.AutoModel, transformers.AutoModelForCausalLM):
            auto.from_config(config)
    transformers.AutoTokenizer.from_pretrained(model)
    # Nor is the disk: both sides find the weights in the system's cache.
    for file in Path(model).glob("*.safetensors"):
        file.read_bytes()
    result = {"ours": ours, "neurox": neurox}[side](model, Path(folder))
    write_json(Path(output), {**result, "threads": torch.get_num_threads()})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
