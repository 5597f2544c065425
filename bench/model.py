"""Write a model folder with random weights at a real shape: speed and memory do not depend on what a model knows."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError

SHAPES: dict[str, dict[str, Any]] = {
    "gpt2-small": {"model_type": "gpt2", "n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024},
    "smollm2-135m": {
        "model_type": "llama",
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
    "small": {"model_type": "gpt2", "n_layer": 4, "n_head": 4, "n_embd": 64, "n_positions": 512},
}
VOCABULARY = 50257


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench model`."""
    add("--shape", choices=SHAPES, default="gpt2-small")
    add("--output", required=True, type=Path, help="folder to write")
    add("--tokenizer", help="folder with a tokenizer.json; default: train one on --sentences")
    add("--sentences", help="text to train the tokenizer on")
    add("--seed", type=int, default=0)


def main(given: argparse.Namespace) -> None:
    """Write the model and print where it is."""
    write_model(given.shape, given.output, given.tokenizer, given.sentences, given.seed)
    print(given.output)


def write_model(shape: str, output: Path, tokenizer: str | None, sentences: str | None, seed: int = 0) -> None:
    """Write the folder, whole or not at all.

    Raises:
        InputError: neither a tokenizer nor text to train one on was given.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from unlearning_core.files import new_folder

    if tokenizer is not None:
        chosen = AutoTokenizer.from_pretrained(tokenizer)
    elif sentences is not None:
        chosen = train_tokenizer(sentences)
    else:
        raise InputError("A model needs a tokenizer: give --tokenizer FOLDER, or --sentences FILE to train one on.")
    settings = dict(SHAPES[shape])
    vocabulary = max(VOCABULARY if shape != "small" else 0, len(chosen))
    config = AutoConfig.for_model(settings.pop("model_type"), vocab_size=vocabulary, **settings)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with new_folder(output) as folder:
        model.save_pretrained(folder)
        chosen.save_pretrained(folder)
    logging.getLogger(__name__).info("wrote %s with %d parameters", output, model.num_parameters())


def train_tokenizer(sentences: str) -> Any:
    """A byte-level BPE as GPT-2's, trained on the texts of `sentences`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from unlearning_core.concepts.texts import read_texts

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=8000, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(read_texts(sentences, limit=20_000), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<|endoftext|>", eos_token="<|endoftext|>")
