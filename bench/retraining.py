"""Retraining against a bare padded-batch torch loop: useful (unpadded, predicted) tokens a second of each.

Both train the same model on the same sequences in the same number format with the same batch size. They take turns
step by step in one process, so whatever else the machine does slows both alike. The bare loop is what one would write
by hand: texts in random order, padded to the longest of the batch, forward, backward, AdamW.
"""

import argparse
import contextlib
import copy
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any


class BareLoop:
    """A fine-tuning loop without anything beside the training.

    Attributes:
        tokens: predicted tokens so far.
        seconds: wall time of the steps so far.
    """

    def __init__(self, model: Any, ids: list[Any], pad_id: int, batch_size: int, dtype: Any, seed: int) -> None:
        import torch

        self._model, self._ids, self._pad_id, self._dtype = model.train(), ids, pad_id, dtype
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
        order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed))
        self._batches: Iterator[Any] = iter(order.split(batch_size))
        self.tokens = 0
        self.seconds = 0.0

    def step(self) -> None:
        """One optimizer step on the next batch."""
        import torch

        started = time.perf_counter()
        batch = [torch.as_tensor(self._ids[index]) for index in next(self._batches)]
        pad = torch.nn.utils.rnn.pad_sequence
        input_ids = pad(batch, batch_first=True, padding_value=self._pad_id)
        mask = pad([torch.ones_like(ids) for ids in batch], batch_first=True)
        labels = input_ids.masked_fill(mask == 0, -100)
        device = self._model.device
        half = self._dtype != torch.float32
        with torch.autocast(device.type, self._dtype) if half else contextlib.nullcontext():
            inputs = {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
            loss = self._model(**{name: tensor.to(device) for name, tensor in inputs.items()}, use_cache=False).loss
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        loss.item()
        self.tokens += sum(len(ids) - 1 for ids in batch)
        self.seconds += time.perf_counter() - started


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench retraining`."""
    add("--model", required=True, help="folder, .gguf file, Hub id or starter's name")
    add("--sentences", required=True, help="text file, JSON list, JSON lines, CSV or dataset folder")
    add("--limit", type=int, default=64, help="texts to train on, once each (%(default)s)")
    add("--batch-size", type=int, default=8)
    add("--max-length", type=int, default=None)
    add("--dtype", choices=("auto", "float32", "bfloat16"), default="auto", help="of the maths, of both")
    add("--bare-dtype", choices=("float32", "bfloat16"), help="of the bare loop, if it is to differ")
    add("--seed", type=int, default=0)


def main(given: argparse.Namespace) -> dict[str, Any]:
    """Train both, print and return the figures."""
    # Threads that spin while they wait take the processor from whoever else has work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    figures = compare(given)
    print(json.dumps(figures, indent=2))
    return figures


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train both, step by step in turn; the first step of each is left out as warm-up."""
    import torch

    from unlearning_core.concepts.texts import read_texts
    from unlearning_core.models.loading import load_model
    from unlearning_core.training.data import TrainingData
    from unlearning_core.training.job import TrainingJob
    from unlearning_core.training.sequences import longest_sequence, tokenise
    from unlearning_core.training.trainer import EditKeepingTrainer

    loaded = load_model(arguments.model, dtype="float32")
    length = longest_sequence(loaded.model.config.get_text_config(), arguments.max_length)
    texts = read_texts(arguments.sentences, limit=arguments.limit)
    sequences = tokenise(texts, loaded.tokenizer, length, arguments.sentences)
    bare_model = copy.deepcopy(loaded.model)
    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob(
            model_folder=folder,
            train_path=arguments.sentences,
            output_folder=folder,
            batch_size=arguments.batch_size,
            dtype=arguments.dtype,
            seed=arguments.seed,
        )
        data = TrainingData(loaded.model, loaded.map, torch.float32, loaded.tokenizer, sequences, None, [])
        steps = math.ceil(len(sequences.ids) / arguments.batch_size)
        trainer = EditKeepingTrainer(job, data, steps)
        dtype = getattr(torch, arguments.bare_dtype) if arguments.bare_dtype else trainer.compute_dtype
        bare = BareLoop(bare_model, sequences.ids, trainer.pad_id, arguments.batch_size, dtype, arguments.seed)
        ours = _in_turn(trainer, bare)
    return {
        "ours_tokens_per_second": round(ours[0], 2),
        "bare_tokens_per_second": round(ours[1], 2),
        "ratio": round(ours[0] / ours[1], 3),
        "precision": str(trainer.compute_dtype).removeprefix("torch."),
        "bare_precision": str(dtype).removeprefix("torch."),
        "sequences": len(sequences.ids),
        "longest": max(sequences.lengths),
        "batch_size": arguments.batch_size,
        "steps": steps,
        "threads": torch.get_num_threads(),
    }


def _in_turn(trainer: Any, bare: BareLoop) -> tuple[float, float]:
    """(ours, bare) in predicted tokens a second."""
    from transformers import TrainerCallback

    ours = {"tokens": 0, "seconds": 0.0, "mark": time.perf_counter()}

    class InTurn(TrainerCallback):
        """After each of our steps the bare loop makes one; ours counts all between the two, not the step alone."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            trainer.step_tokens = 0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step > 1:
                ours["seconds"] += time.perf_counter() - ours["mark"]
                ours["tokens"] += trainer.step_tokens
            bare.step()
            if state.global_step == 1:
                bare.tokens, bare.seconds = 0, 0.0
            ours["mark"] = time.perf_counter()

    trainer.add_callback(InTurn())
    trainer.train()
    return ours["tokens"] / ours["seconds"], bare.tokens / bare.seconds
