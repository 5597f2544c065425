"""Training a SmallWorld model from random weights: a plain loop, seeded, that goes on where it was stopped."""

import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from unlearning_core.errors import InputError
from unlearning_core.files import new_folder
from unlearning_core.models.checksums import write_checksums
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.smallworld.record import Record, checkpoint_folder
from unlearning_core.smallworld.routed_trainer import RoutedTrainer
from unlearning_core.smallworld.routing import Routing
from unlearning_core.smallworld.rows import pack, tokenise, train_tokenizer
from unlearning_core.smallworld.trainer import Texts, Trainer
from unlearning_core.smallworld.training_settings import TrainingSettings
from unlearning_core.training.checkpoints import fingerprint


def train(
    texts: Sequence[str],
    vocabulary_texts: Sequence[str],
    settings: TrainingSettings,
    target: Path,
    *,
    without: str | None = None,
    routing: Routing | None = None,
    about: Sequence[bool] | None = None,
    device: str = "cpu",
    compiled: bool = True,
    progress: ProgressCallback = silent,
) -> Path:
    """Train a model on `texts` and write it to `target`, as any local model folder.

    While it trains, the newest state is `checkpoint_folder(target)`: a model folder too. The same call goes on from it.

    Args:
        texts: what the model reads.
        vocabulary_texts: what the tokenizer is learned from; the same for models that are to be compared.
        without: the concept family that was left out of `texts`, for the record.
        routing: the concept family whose texts only named neurons learn from.
        about: of each of `texts` whether it is about that family; needed with `routing`.
        device: cpu, cuda, mps.
        compiled: let torch.compile write the step's kernels (needs a C++ compiler on the CPU).

    Raises:
        InputError: `target` is there already, its checkpoint is of another training, or the texts are too few.
        WorkFailed: the loss is not a number, or the disk is full.
    """
    if target.exists():
        raise InputError(f"--output-dir {target} is there already; give another folder or delete it.")
    progress(Progress("learning the vocabulary", 0))
    tokenizer = train_tokenizer(vocabulary_texts, settings.vocabulary, settings.context)
    ids = tokenise(texts, tokenizer, progress)
    read, held_out = _split(Texts(ids, list(about or [False] * len(ids))), settings)
    steps = settings.steps or max(1, round(settings.epochs * _rows(read.ids, settings) / settings.batch_rows))
    trainer = _trainer(new_model(settings, tokenizer), settings, steps, device, compiled, routing)
    planned = steps + (routing.settle if routing else 0)
    # The steps before a cool-down are those of the whole training, so its checkpoint can be gone on from.
    whole = replace(settings, last_step=None)
    decides = [
        whole.recipe(),
        list(texts),
        list(vocabulary_texts),
        *([{"family": routing.family, "neurons": routing.neurons}] if routing else []),
    ]
    record = Record(settings, without, routing, len(texts), planned, target, fingerprint(decides), tokenizer)
    training = record.restore(trainer.model, trainer.optimizer)
    trainer.run(training, read, held_out, record, progress)
    with new_folder(target) as folder:
        record.save_model(folder, trainer.plain(), training)
        write_checksums(folder)
    shutil.rmtree(checkpoint_folder(target), ignore_errors=True)
    return target


def can_compile(device: str) -> bool:
    """Whether torch.compile has what it needs: a C++ compiler for the CPU, Triton for CUDA."""
    if device.startswith("cuda"):
        return importlib.util.find_spec("triton") is not None
    return device == "cpu" and any(shutil.which(name) for name in ("c++", "g++", "clang++"))


def new_model(settings: TrainingSettings, tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """A GPT-2 with random weights drawn from the seed of the settings; input and output embeddings are one."""
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=settings.context,
        n_embd=settings.width,
        n_layer=settings.layers,
        n_head=settings.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.start_seed)
        model = GPT2LMHeadModel(config)
    model.generation_config.pad_token_id = end
    return model


def _trainer(
    model: GPT2LMHeadModel,
    settings: TrainingSettings,
    steps: int,
    device: str,
    compiled: bool,
    routing: Routing | None,
) -> Trainer:
    if routing:
        return RoutedTrainer(model, settings, steps, device, compiled, routing)
    return Trainer(model, settings, steps, device, compiled)


def _split(texts: Texts, settings: TrainingSettings) -> tuple[Texts, Texts]:
    """The texts to read and those (2 %, at most 400) only the held-out loss is measured on."""
    count = len(texts.ids)
    held_out = min(400, max(1, count // 50))
    order = np.random.default_rng([settings.seed, count]).permutation(count)
    read, measured = (
        Texts([texts.ids[index] for index in part], [texts.about[index] for index in part])
        for part in (order[held_out:], order[:held_out])
    )
    if count < 2 or _rows(read.ids, settings) < settings.batch_rows:
        raise InputError(
            f"{count} texts do not fill one batch of {settings.batch_rows} rows of {settings.context} tokens; use "
            "more texts (--texts) or a smaller batch (--batch-rows)."
        )
    return read, measured


def _rows(ids: list[np.ndarray], settings: TrainingSettings) -> int:
    return len(pack(ids, range(len(ids)), settings.context))
