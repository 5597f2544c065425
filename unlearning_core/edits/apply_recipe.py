"""Make this folder's edit in the model it was made for: `python apply_recipe.py MODEL OUT`.

MODEL is a folder or a Hub id; OUT is a folder that is not there yet. Needs torch, transformers and safetensors.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


@torch.no_grad()
def main(source: str, target: str, here: Path = Path(__file__).parent) -> None:
    """Load, write the recipe's entries and rows, save."""
    model = AutoModelForCausalLM.from_pretrained(source)
    for key, places in load_file(here / "entries.safetensors").items():
        name, axes, value, shape, size = key.split("|")  # places: a line for each of the axes
        parameter = dict(model.named_parameters()).get(name)
        if parameter is None or str(list(parameter.shape)) != shape:
            sys.exit(f"The recipe changes {name} of the shape {shape}, which {source} has not: it is of another model.")
        if abs(float(parameter.float().abs().mean()) / float(size) - 1) > 1e-3:
            sys.exit(f"{name} of {source} holds other weights than the recipe was made for: give that model.")
        index = [slice(None)] * parameter.dim()
        for axis, line in zip(axes.split(","), places, strict=True):
            index[int(axis)] = line
        parameter[tuple(index)] = float(value)
    if rows := json.loads((here / "recipe.json").read_text(encoding="utf-8"))["rows"]:
        saved, strength = load_file(here / "rows.safetensors"), rows["strength"]
        ends = {"target_in": model.get_input_embeddings(), "target_out": model.get_output_embeddings()}
        for end in ends.keys() & saved.keys():
            weight, ids = ends[end].weight, saved["ids"]
            weight[ids] = ((1 - strength) * weight[ids].float() + strength * saved[end]).to(weight.dtype)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source).save_pretrained(target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if Path(sys.argv[2]).exists():
        sys.exit(f"{sys.argv[2]} is there already; give another name or delete it.")
    main(sys.argv[1], sys.argv[2])
