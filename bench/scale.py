"""Models of real size without a graphics card: random weights in the shapes of Llama-3.2-1B and, by layers, of an 8B.

A pass is timed against the bare body of the model on the same batches, in processor time, in turns. Peaks are of
anonymous memory above what was held before (the files that weights are read from in place do not count). The 8B model
is made with a few of its 32 layers and a small vocabulary, and its weights come from disk whenever they are run; what
32 layers take is 32 times a layer, and is given as arithmetic, not as a measurement.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.processes import AnonymousPeak, in_own_process
from unlearning_core.concepts.labelling import LabelledText

LLAMA: dict[str, Any] = {"model_type": "llama", "max_position_embeddings": 2048, "num_key_value_heads": 8}
ONE_B = LLAMA | {
    "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
    "head_dim": 64, "vocab_size": 128_256, "tie_word_embeddings": True,
}  # fmt: skip
EIGHT_B = LLAMA | {
    "hidden_size": 4096, "intermediate_size": 14_336, "num_attention_heads": 32, "vocab_size": 8192,
    "tie_word_embeddings": True,
}  # fmt: skip
LAYERS_OF_8B = 32

LEAST = 0.8
"""Of the bare pass's tokens a second that the ranking pass must reach."""

CUT = 0.003


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench scale`."""
    add("--sentences", type=int, default=40, help="sentences a pass reads")
    add("--repeats", type=int, default=2, help="times each pass is timed")
    add("--layers", type=int, default=2, help="layers of the 8B model that are made")
    add("--threads", type=int, default=1, help="torch threads")
    add("--shapes", nargs="+", choices=["1b", "8b"], default=["1b", "8b"])


def main(given: argparse.Namespace) -> dict[str, Any]:
    """Measure both shapes, each in a process and a folder of its own; print and return the figures."""
    found: dict[str, Any] = {"threads": given.threads, "sentences": given.sentences}
    for name in given.shapes:
        shape = ONE_B if name == "1b" else EIGHT_B | {"num_hidden_layers": given.layers}
        with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
            found[name] = in_own_process(
                f"The shape {name}", measure, shape, Path(folder), given.sentences, given.repeats, given.threads,
                name == "8b",
            )  # fmt: skip
        print(name, {key: round(value, 3) for key, value in found[name].items() if isinstance(value, float)})
    if "8b" in found:
        found["8b_whole"] = whole_of(found["8b"], given.layers)
    found["flat"] = all(found[name]["ratio"] >= LEAST for name in given.shapes)
    return found


def whole_of(part: dict[str, Any], layers: int) -> dict[str, float]:
    """What all layers take, as so many times what the layers that were made take: arithmetic."""
    times = LAYERS_OF_8B / layers
    names = ("pass_seconds", "bare_seconds", "export_seconds", "statistics_mb")
    return {name: part[name] * times for name in names}


def measure(shape: dict[str, Any], folder: Path, count: int, repeats: int, threads: int, spread: bool) -> Any:
    """One shape: written, loaded, ranked, cut, baked where its weights are in memory, and exported from its files."""
    import numpy as np
    import torch

    from bench.forward import bare_batches, run_bare
    from unlearning_core.activations.collect import collect
    from unlearning_core.edits.export import export_edit
    from unlearning_core.edits.hooks import applied
    from unlearning_core.edits.mask import Mask
    from unlearning_core.edits.weights import bake
    from unlearning_core.models.loading import load_model

    torch.set_num_threads(threads)
    write_shape(shape, folder / "model")
    how: dict[str, Any] = {"device_map": "auto", "most_memory": {"cpu": 2**20}} if spread else {}
    loaded = load_model(str(folder / "model"), device="cpu", dtype="bfloat16", **how)
    items = _sentences(count)
    batches = bare_batches(loaded, items, 512)
    run_bare(loaded.map.body, batches[:1])
    seconds = {"pass": 0.0, "bare": 0.0}
    for _ in range(repeats):
        seconds["bare"] += _busy(lambda: run_bare(loaded.map.body, batches))
        with AnonymousPeak() as peak:
            seconds["pass"] += _busy(lambda: collect(loaded, items, token_budget=512))
    rng = np.random.default_rng(0)
    mask = Mask({"mlp": rng.random(loaded.map.shapes["mlp"]) >= CUT})
    masking = _busy(lambda: _enter(applied(loaded.model, mask, loaded.map)))
    baking = None if spread else _busy(lambda: bake(loaded.model, mask, loaded.map))
    with AnonymousPeak() as export_peak:
        exporting = _busy(lambda: export_edit(folder / "model", folder / "edited", mask, most_bytes=10**9))
    layers, width = loaded.map.shapes["mlp"]
    return {
        "layers": layers, "width": width, "parameters": loaded.info.parameters,
        "tokens": sum(int(batch["attention_mask"].sum()) for batch in batches),
        "pass_seconds": seconds["pass"] / repeats, "bare_seconds": seconds["bare"] / repeats,
        "ratio": seconds["bare"] / seconds["pass"], "peak_beside_weights_mb": peak.rise_mb,
        "statistics_mb": 13 * 8 * layers * width / 2**20,
        "mask_seconds": masking, "bake_seconds": baking, "export_seconds": exporting,
        "export_peak_mb": export_peak.rise_mb, "spread": spread,
    }  # fmt: skip


def write_shape(shape: dict[str, Any], folder: Path) -> None:
    """A model folder of that shape in bfloat16, in shards of at most 1 GB, with a tokenizer of its own."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from bench.model import train_tokenizer
    from unlearning_core.files import write_json

    settings = dict(shape)
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="1GB")
    write_json(folder / "texts.json", [item.text for item in _sentences(200)])
    train_tokenizer(str(folder / "texts.json")).save_pretrained(folder)
    (folder / "texts.json").unlink()


def _sentences(count: int) -> list[LabelledText]:
    """So many sentences of about twenty words, every second one with a chair in it."""
    found = []
    for number in range(count):
        thing = "chair" if number % 2 else "letter"
        text = (
            f"On day {number} of that long and quiet winter the old teacher put the {thing} beside the window, "
            "looked at the river for a while and told nobody why."
        )
        start = text.index(thing)
        found.append(LabelledText(text, ((start, start + 5),) if number % 2 else ()))
    return found


def _busy(work: Callable[[], object]) -> float:
    """Processor seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _enter(context: Any) -> None:
    with context:
        pass
