"""The whole ranking against NeuroX 1.0.9 on the same model folder and sentences, each in a process of its own.

NeuroX: its extractor (average over sub-words) into its default JSON file, its loader, its probeless. Its
`create_tensors` fails under numpy 2 (`np.int`), so X and y are made from what it loaded. Ours: one pass over the
residual site with NeuroX's settings (position 0 kept, last state after the final norm) and our probeless.

`neurox_seconds` and `ours_seconds` go from a model folder and a text file to a ranking: the model's loading included on
both sides, the imports on neither. `ratio_without_loading` leaves the loading out on both sides.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.sentences import DEFAULT_WORDS, labelled_sentences
from unlearning_core.concepts.tokens_labels import word_labels
from unlearning_core.errors import WorkFailed
from unlearning_core.files import write_json

TOP = 100
LONGEST_WORDS = 200
"""A longer sentence is left out: of a text beyond the context NeuroX keeps the beginning, and its loader misaligns."""


def main(argv: list[str]) -> int:
    """Entry point of `python -m bench extraction`."""
    parser = argparse.ArgumentParser(prog="python -m bench extraction", description=__doc__)
    parser.add_argument("--model", required=True, help="folder that AutoModel loads")
    parser.add_argument("--sentences", required=True)
    parser.add_argument("--words", default=str(DEFAULT_WORDS), help="concept words")
    parser.add_argument("--limit", type=int, default=200, help="sentences")
    parser.add_argument("--threads", type=int, help="torch threads on both sides; default: torch's own choice")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    arguments = parser.parse_args(argv)
    result = compare(arguments)
    print(
        f"NeuroX {result['neurox_seconds']:.1f} s, {result['neurox_peak_mb']:.0f} MB, "
        f"{result['neurox_spool_bytes'] / 2**20:.0f} MB spooled; ours {result['ours_seconds']:.1f} s, "
        f"{result['ours_peak_mb']:.0f} MB, nothing spooled: {result['ratio']:.1f} x faster; "
        f"{result['top100_overlap']} of the top {TOP} the same"
    )
    if arguments.json:
        write_json(arguments.json, result)
    return 0


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run both sides one after the other and return the figures."""
    items = labelled_sentences(arguments.sentences, arguments.words, arguments.limit)
    items = [item for item in items if item.text.count(" ") < LONGEST_WORDS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens, labels = folder / "tokens.txt", folder / "labels.txt"
        tokens.write_text("".join(f"{item.text}\n" for item in items), encoding="utf-8")
        labels.write_text("".join(f"{' '.join(word_labels(item))}\n" for item in items), encoding="utf-8")
        ours = in_own_process("ours", arguments, folder)
        neurox = in_own_process("neurox", arguments, folder)
    same = set(map(tuple, ours["top"])) & set(map(tuple, neurox["top"]))
    return {
        "neurox_seconds": neurox["seconds"],
        "ours_seconds": ours["seconds"],
        "ratio": neurox["seconds"] / ours["seconds"],
        "neurox_spool_bytes": neurox["spool_bytes"],
        "ours_spool_bytes": 0,
        "neurox_peak_mb": neurox["peak_mb"],
        "ours_peak_mb": ours["peak_mb"],
        "ours_beside_model_mb": ours["peak_mb"] - ours["loaded_mb"],
        f"top{TOP}_overlap": len(same),
        f"top{TOP}_same_order": ours["top"] == neurox["top"],
        "seconds_include": "model loading on both sides, imports on neither",
        "neurox_loading_seconds": neurox["loading_seconds"],
        "ours_loading_seconds": ours["loading_seconds"],
        "ratio_without_loading": (neurox["seconds"] - neurox["loading_seconds"])
        / (ours["seconds"] - ours["loading_seconds"]),
        "neurox_parts_seconds": neurox["parts"],
        "ours_parts_seconds": ours["parts"],
        "model": arguments.model,
        "sentences": len(items),
        "words": sum(len(item.text.split(" ")) for item in items),
        "threads": ours["threads"],
    }


def in_own_process(side: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run `bench.extraction_sides` for one side in a fresh process, its printing switched off."""
    output = folder / f"{side}.json"
    command = [sys.executable, "-m", "bench.extraction_sides", side, arguments.model, str(folder), str(output)]
    command += [str(arguments.threads or 0)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise WorkFailed(f"The side {side!r} failed: {done.stderr.strip()[-1000:]}")
    return dict(json.loads(output.read_text(encoding="utf-8")))
