"""Memory beside the model while a corpus is ranked, from 1,000 to 100,000 sentences: it must not grow with them.

Each size runs in a process of its own. The model is loaded and the labelled sentences stand in memory (they are the
input) before the peak is measured; what is reported is how far the peak rises above that.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench.processes import in_own_process, now_mb, peak_mb, reset_peak
from bench.sentences import add_text_options, labelled_sentences

LIMIT_MB = 300.0


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench memory`."""
    add("--model", help="folder, .gguf file, Hub id or starter; default: a small random one")
    add_text_options(add)
    add("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="sentences")
    add("--site", default="mlp", choices=["mlp", "head", "residual"])
    add("--rows", type=int, default=1000, help="activation rows sampled on the way")


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every size, print and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        if arguments.model is None:
            from bench.model import write_model

            write_model("small", Path(folder) / "model", None, arguments.sentences)
        model = arguments.model or str(Path(folder) / "model")
        sizes = [
            in_own_process(f"The measurement of {count} sentences", measure, arguments, model, count)
            for count in arguments.counts
        ]
    growth = [size["peak_beside_model_mb"] for size in sizes]
    result = {
        "sizes": sizes,
        "peak_beside_model_mb": max(growth),
        "growth_from_first_to_last_mb": growth[-1] - growth[0],
        "flat": max(growth) < LIMIT_MB and growth[-1] - growth[0] < 0.25 * LIMIT_MB,
        "model": arguments.model or "small (random weights)",
        "site": arguments.site,
        "rows": arguments.rows,
    }
    for size in sizes:
        print(f"{size['sentences']:>8} sentences: {size['peak_beside_model_mb']:.0f} MB beside the model")
    return result


def measure(arguments: argparse.Namespace, model: str, count: int) -> dict[str, Any]:
    """Rank so many sentences here and say how far memory rose."""
    from unlearning_core.activations.collect import collect
    from unlearning_core.concepts.labelling import LabelledText
    from unlearning_core.models.loading import load_model
    from unlearning_core.rankers.ranking import rank
    from unlearning_core.rankers.ranking_input import RankingInput

    loaded = load_model(model)
    items = labelled_sentences(arguments.sentences, arguments.words, min(count, 5000))
    # A smaller file is read over and over; each copy is a text of its own, as in a real corpus.
    items = [LabelledText(item.text + " ", item.spans) for item in islice(cycle(items), count)]
    # What the first pass of a process allocates for good (thread pools, kernels) is not the corpus's.
    collect(loaded, [item for item in items if item.spans][:8], site=arguments.site)
    before, exact = now_mb(), reset_peak()
    started = time.perf_counter()
    activations = collect(loaded, items, site=arguments.site, rows=arguments.rows)
    rank(RankingInput(activations, model=loaded), "activation_ratio")
    return {
        "sentences": len(items),
        "tokens": activations.tokens,
        "seconds": time.perf_counter() - started,
        "before_mb": before,
        "peak_mb": peak_mb(),
        "peak_beside_model_mb": peak_mb() - before,
        "peak_was_reset": exact,
    }
