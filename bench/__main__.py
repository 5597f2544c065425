"""Benchmarks against named peers: python -m bench NAME [options]. NAME is a file of this folder with a `main`."""

import importlib
import sys

NAMES = {
    "extraction": "the whole ranking against NeuroX's extractor, loader and probeless",
    "forward": "the ranking pass against a bare batched forward pass",
    "memory": "memory beside the model, from 1,000 to 100,000 sentences",
    "model": "write a model with random weights at a real shape, to measure on",
    "rankers": "the rankings against one another: what a cut of each forgets and what it costs",
    "retraining": "retraining against a bare padded-batch loop",
    "ui": "the dashboard in Chromium: first page, page switch, heatmap, slider to refreshed preview",
}


def main(arguments: list[str]) -> int:
    """Run one benchmark; the exit code is 0, 1 (failed) or 2 (wrong input)."""
    if not arguments or arguments[0] not in NAMES:
        print("usage: python -m bench NAME [options]   (NAME --help lists them)\n")
        print("\n".join(f"  {name:<12}{text}" for name, text in NAMES.items()))
        return 0 if arguments[:1] in ([], ["-h"], ["--help"]) else 2
    from unlearning_core.errors import WorkbenchError

    try:
        return int(importlib.import_module(f"bench.{arguments[0]}").main(arguments[1:]))
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
