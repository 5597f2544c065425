"""Benchmarks against named peers: python -m bench NAME [options].

NAME is a file of this folder with `add_options(add)` and `main(given)`, which returns the figures for `--json`.
"""

import argparse
import importlib
import sys
from pathlib import Path

NAMES = {
    "extraction": "the whole ranking against NeuroX's extractor, loader and probeless",
    "forward": "the ranking pass against a bare batched forward pass",
    "inputs": "what people bring: how many forms end well, are refused clearly, or neither",
    "memory": "memory beside the model, from 1,000 to 100,000 sentences",
    "methods": "the methods against one another: what each forgets, what that costs, whether it comes back",
    "model": "write a model with random weights at a real shape, to measure on",
    "rankers": "the rankings against one another: what a cut of each forgets and what it costs",
    "retraining": "retraining against a bare padded-batch loop",
    "scale": "models of real size: the shape of Llama-3.2-1B and, by layers, of an 8B model from disk",
    "text": "filtering and labelling: characters a second, and their growth with the length of a text",
    "ui": "the dashboard in Chromium: first page, page switch, heatmap, slider to refreshed preview",
}
OWN_FILES = ("methods", "model", "rankers")
"""Those that write files of their own in place of figures."""


def main(arguments: list[str]) -> int:
    """Run one benchmark; the exit code is 0, 1 (failed, memory not flat, input read wrongly) or 2 (wrong options)."""
    if not arguments or arguments[0] not in NAMES:
        print("usage: python -m bench NAME [options]   (NAME --help lists them)\n")
        print("\n".join(f"  {name:<12}{text}" for name, text in NAMES.items()))
        return 0 if arguments[:1] in ([], ["-h"], ["--help"]) else 2
    from unlearning_core.errors import WorkbenchError
    from unlearning_core.files import write_json

    name = arguments[0]
    try:
        module = importlib.import_module(f"bench.{name}")
        parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=module.__doc__)
        module.add_options(parser.add_argument)
        if name not in OWN_FILES:
            parser.add_argument("--json", type=Path, help="file to write the figures to")
        given = parser.parse_args(arguments[1:])
        figures = module.main(given) or {}
        if figures and given.json:
            write_json(given.json, figures)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if figures.get("flat", True) and figures.get("clear", True) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
