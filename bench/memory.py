"""Memory beside the model while a corpus is ranked, from 1,000 to 100,000 sentences: it must not grow with them.

Each size runs in a process of its own. The model is loaded and the labelled sentences stand in memory (they are the
input) before the peak is measured; what is reported is how far the peak rises above that.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.sentences import DEFAULT_WORDS, labelled_sentences
from unlearning_core.errors import WorkFailed
from unlearning_core.files import write_json

LIMIT_MB = 300.0


def main(argv: list[str]) -> int:
    """Entry point of `python -m bench memory`; exit code 1 if the memory is not flat."""
    parser = argparse.ArgumentParser(prog="python -m bench memory", description=__doc__)
    parser.add_argument("--model", help="folder, .gguf file, Hub id or starter; default: a small random one")
    parser.add_argument("--sentences", required=True)
    parser.add_argument("--words", default=str(DEFAULT_WORDS), help="concept words")
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="sentences")
    parser.add_argument("--site", default="mlp", choices=["mlp", "head", "residual"])
    parser.add_argument("--rows", type=int, default=1000, help="activation rows sampled on the way")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.one:
        print(json.dumps(measure(arguments)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if arguments.model is None:
            from bench.model import write_model

            write_model("small", Path(folder) / "model", None, arguments.sentences)
        model = arguments.model or str(Path(folder) / "model")
        sizes = [in_own_process(arguments, model, count) for count in arguments.counts]
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
    if arguments.json:
        write_json(arguments.json, result)
    return 0 if result["flat"] else 1


def in_own_process(arguments: argparse.Namespace, model: str, count: int) -> dict[str, Any]:
    """Measure one size in a fresh process."""
    command = [sys.executable, "-m", "bench", "memory", "--model", model, "--one", str(count)]
    command += ["--sentences", arguments.sentences, "--words", arguments.words]
    command += ["--site", arguments.site, "--rows", str(arguments.rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkFailed(f"The measurement of {count} sentences failed: {done.stderr.strip()[-1000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Rank `arguments.one` sentences here and say how far memory rose."""
    from bench.resident import now_mb, peak_mb, reset_peak
    from unlearning_core.activations.collect import collect
    from unlearning_core.concepts.labelling import LabelledText
    from unlearning_core.models.loading import load_model
    from unlearning_core.rankers.ranking import rank
    from unlearning_core.rankers.ranking_input import RankingInput

    loaded = load_model(arguments.model)
    items = labelled_sentences(arguments.sentences, arguments.words, min(arguments.one, 5000))
    # A smaller file is read over and over; each copy is a text of its own, as in a real corpus.
    items = [
        LabelledText(items[i % len(items)].text[:] + " ", items[i % len(items)].spans) for i in range(arguments.one)
    ]
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
