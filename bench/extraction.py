"""The whole ranking against NeuroX 1.0.9 on the same model folder and sentences, each in a process of its own.

NeuroX: its extractor (average over sub-words) into its default JSON file, its loader, its probeless. Its
`create_tensors` fails under numpy 2 (`np.int`), so X and y are made from what it loaded. Ours: one pass over the
residual site with NeuroX's settings (position 0 kept, last state after the final norm) and our probeless.

`neurox_seconds` and `ours_seconds` go from a model folder and a text file to a ranking: the model's loading included on
both sides, the imports on neither. `ratio_without_loading` leaves the loading out on both sides.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.processes import in_own_process, now_mb, peak_mb
from bench.sentences import add_text_options, labelled_sentences
from unlearning_core.concepts.tokens_labels import word_labels

TOP = 100
LONGEST_WORDS = 200
"""A longer sentence is left out: of a text beyond the context NeuroX keeps the beginning, and its loader misaligns."""


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench extraction`."""
    add("--model", required=True, help="folder that AutoModel loads")
    add_text_options(add)
    add("--limit", type=int, default=200, help="sentences")
    add("--threads", type=int, help="torch threads on both sides; default: torch's own choice")


def main(given: argparse.Namespace) -> dict[str, Any]:
    """Run both sides one after the other, print and return the figures."""
    items = labelled_sentences(given.sentences, given.words, given.limit)
    items = [item for item in items if item.text.count(" ") < LONGEST_WORDS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens, labels = folder / "tokens.txt", folder / "labels.txt"
        tokens.write_text("".join(f"{item.text}\n" for item in items), encoding="utf-8")
        labels.write_text("".join(f"{' '.join(word_labels(item))}\n" for item in items), encoding="utf-8")
        ours, neurox = (
            in_own_process(
                f"The side {side.__name__.removeprefix('rank_')!r}", measure, side, given.model, folder, given.threads
            )
            for side in (rank_ours, rank_neurox)
        )
    result = {
        "neurox_seconds": neurox["seconds"],
        "ours_seconds": ours["seconds"],
        "ratio": neurox["seconds"] / ours["seconds"],
        "neurox_spool_bytes": neurox["spool_bytes"],
        "ours_spool_bytes": 0,
        "neurox_peak_mb": neurox["peak_mb"],
        "ours_peak_mb": ours["peak_mb"],
        "ours_beside_model_mb": ours["peak_mb"] - ours["loaded_mb"],
        f"top{TOP}_overlap": len(set(map(tuple, ours["top"])) & set(map(tuple, neurox["top"]))),
        f"top{TOP}_same_order": ours["top"] == neurox["top"],
        "seconds_include": "model loading on both sides, imports on neither",
        "neurox_loading_seconds": neurox["loading_seconds"],
        "ours_loading_seconds": ours["loading_seconds"],
        "ratio_without_loading": (neurox["seconds"] - neurox["loading_seconds"])
        / (ours["seconds"] - ours["loading_seconds"]),
        "neurox_parts_seconds": neurox["parts"],
        "ours_parts_seconds": ours["parts"],
        "model": given.model,
        "sentences": len(items),
        "words": sum(len(item.text.split(" ")) for item in items),
        "threads": ours["threads"],
    }
    print(
        f"NeuroX {result['neurox_seconds']:.1f} s, {result['neurox_peak_mb']:.0f} MB, "
        f"{result['neurox_spool_bytes'] / 2**20:.0f} MB spooled; ours {result['ours_seconds']:.1f} s, "
        f"{result['ours_peak_mb']:.0f} MB, nothing spooled: {result['ratio']:.1f} x faster; "
        f"{result['top100_overlap']} of the top {TOP} the same"
    )
    return result


def measure(side: Callable[[str, Path], dict[str, Any]], model: str, folder: Path, threads: int | None) -> Any:
    """One side, alone in its process."""
    import torch
    import transformers

    if threads:
        torch.set_num_threads(threads)
    # Imports are on neither side's clock, and transformers imports a family only when one of its models is made.
    config = transformers.AutoConfig.from_pretrained(model)
    with torch.device("meta"):
        for auto in (transformers.AutoModel, transformers.AutoModelForCausalLM):
            auto.from_config(config)
    transformers.AutoTokenizer.from_pretrained(model)
    # Nor is the disk: both sides find the weights in the system's cache.
    for file in Path(model).glob("*.safetensors"):
        file.read_bytes()
    return {**side(model, folder), "threads": torch.get_num_threads()}


def rank_ours(model: str, folder: Path) -> dict[str, Any]:
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


def rank_neurox(model: str, folder: Path) -> dict[str, Any]:
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
        "top": [list(divmod(int(neuron), width)) for neuron in ordering],
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
