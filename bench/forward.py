"""The ranking pass against a bare batched forward pass over the same batches, in tokens a second.

Ours is the whole of `collect`: tokenising, finding the concept, batching, the model's body, the statistics of a site.
The bare pass runs ready-made batches of the same texts through the model and keeps nothing. It is timed twice: the body
alone, which `ratio` compares with, as the stricter; and the body with the language model head, which is what calling
`model(**batch)` costs (`ratio_full_model`). The three take turns, slice by slice, so that whatever else the machine
does slows all alike; `ratio_of_processor_time` compares the processor time that this process used instead.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from bench.sentences import add_text_options, labelled_sentences
from unlearning_core.concepts.labelling import LabelledText

SLICE = 100
"""Sentences that each side runs before it is the next one's turn."""


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench forward`."""
    add("--model", required=True, help="folder, .gguf file, Hub id or starter")
    add_text_options(add)
    add("--limit", type=int, default=300, help="sentences")
    add("--site", default="mlp", choices=["mlp", "head", "residual"])
    add("--repeats", type=int, default=1, help="times each slice is run by each side")
    add("--threads", type=int, help="torch threads; default: torch's own choice")


def main(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the three, print and return the figures."""
    import torch

    from unlearning_core.activations.collect import collect, default_token_budget
    from unlearning_core.models.loading import load_model

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    loaded = load_model(arguments.model)
    items = labelled_sentences(arguments.sentences, arguments.words, arguments.limit)
    # The concept's share of the tokens costs nothing, but collect refuses a slice without any: each gets one mark.
    items = [item if item.spans or number % SLICE else _marked(item) for number, item in enumerate(items)]
    budget = default_token_budget(loaded.model.device.type)
    slices = [items[start : start + SLICE] for start in range(0, len(items), SLICE)]
    batches = [bare_batches(loaded, part, budget) for part in slices]
    sides: dict[str, Callable[[int], object]] = {
        "ours": lambda i: collect(loaded, slices[i], site=arguments.site, token_budget=budget),
        "body": lambda i: run_bare(loaded.map.body, batches[i]),
        "full": lambda i: run_bare(loaded.model, batches[i]),
    }
    for run in sides.values():
        run(len(slices) - 1)  # the first call of each side pays for allocations
    seconds, busy = _in_turn(sides, len(slices), arguments.repeats)
    tokens = arguments.repeats * sum(int(batch["attention_mask"].sum()) for part in batches for batch in part)
    rate = {side: tokens / spent for side, spent in seconds.items()}
    result = {
        "ours_tokens_per_second": rate["ours"],
        "bare_tokens_per_second": rate["body"],
        "ratio": rate["ours"] / rate["body"],
        "bare_is": "model body without the language model head, on ready-made batches",
        "bare_body_tokens_per_second": rate["body"],
        "bare_full_model_tokens_per_second": rate["full"],
        "ratio_full_model": rate["ours"] / rate["full"],
        "ratio_of_processor_time": busy["body"] / busy["ours"],
        "model": arguments.model,
        "site": arguments.site,
        "sentences": len(items),
        "tokens": tokens // arguments.repeats,
        "threads": torch.get_num_threads(),
        "device": str(loaded.model.device),
    }
    print(
        f"ours {rate['ours']:.0f} tokens/s, bare body {rate['body']:.0f}, bare full model {rate['full']:.0f}: "
        f"ratio {result['ratio']:.3f} (of the {result['bare_is']}), {result['ratio_full_model']:.3f} of the full model"
    )
    return result


def bare_batches(loaded: Any, items: list[LabelledText], budget: int) -> list[dict[str, Any]]:
    """The batches that `collect` makes of the same texts, as tensors on the model's device."""
    import torch

    from unlearning_core.activations.alignment import encode
    from unlearning_core.activations.batches import batches
    from unlearning_core.activations.collect import context_length
    from unlearning_core.models.placement import input_device

    encoded = encode(loaded.tokenizer, items, context_length(loaded))
    names, device = ("input_ids", "attention_mask"), input_device(loaded.model)
    return [
        {name: torch.from_numpy(getattr(batch, name)).to(device) for name in names}
        for batch in batches(encoded, budget, "before", "token")
    ]


def run_bare(module: Any, batches: list[dict[str, Any]]) -> None:
    """Run the batches, keeping nothing; returns when a GPU has finished too."""
    import torch

    with torch.no_grad():
        for batch in batches:
            module(**batch, use_cache=False)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _in_turn(
    sides: dict[str, Callable[[int], object]], slices: int, repeats: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of each side over all slices, by the clock and by the processor; who goes first changes every time."""
    seconds, busy = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0.0)
    names = list(sides)
    for turn in range(repeats * slices):
        for name in names[turn % 3 :] + names[: turn % 3]:
            started, worked = time.perf_counter(), time.process_time()
            sides[name](turn % slices)
            seconds[name] += time.perf_counter() - started
            busy[name] += time.process_time() - worked
    return seconds, busy


def _marked(item: LabelledText) -> LabelledText:
    return LabelledText(item.text, ((max(0, len(item.text) - 2), len(item.text)),))
