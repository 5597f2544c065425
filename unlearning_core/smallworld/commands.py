"""`python -m unlearning_core smallworld train | evaluate`: make the SmallWorld models, and see how good they are."""

import argparse
from pathlib import Path
from typing import Any

from unlearning_core.smallworld.recipe import Recipe
from unlearning_core.terminal import TerminalProgress

_OPTIONS: tuple[tuple[str, str], ...] = (
    ("seed", "of the world's texts, the first weights and the order of reading"),
    ("texts", "texts that the world writes"),
    ("epochs", "how often each is read"),
    ("steps", "optimizer steps, in place of --epochs"),
    ("batch_rows", "rows a step"),
    ("context", "tokens a row, positions of the model"),
    ("vocabulary", "entries of the tokenizer at most"),
    ("width", "of the model"),
    ("layers", "of the model"),
    ("heads", "attention heads a layer"),
    ("learning_rate", "at its peak"),
    ("warmup", "fraction of the steps"),
    ("weight_decay", "of the matrices"),
)


def add_smallworld(commands: Any) -> None:
    """Add the command group to the subparsers `commands`; every command gets (arguments, progress)."""
    group = commands.add_parser("smallworld", help="the embedded world and the small models trained on it")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    train = actions.add_parser("train", help="train a SmallWorld model; goes on where it was stopped")
    train.add_argument("--without", metavar="FAMILY", help="leave out every text of this concept family (seats)")
    train.add_argument("--output-dir", type=Path, metavar="DIR", help="default: runs/smallworld[-never-knew-FAMILY]")
    for name, meaning in _OPTIONS:
        default = getattr(Recipe, name)
        train.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            metavar=name[0].upper(),
            help=f"{meaning} (default: {default})",
        )
    train.add_argument("--threads", type=int, metavar="T", help="of the CPU (default: all cores)")
    train.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    train.add_argument("--no-compile", action="store_true", help="do not let torch.compile write the kernels")
    train.set_defaults(command=train_command)


def train_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """Train, and print the folder of the model."""
    import torch

    from unlearning_core.models.devices import choose_device
    from unlearning_core.smallworld.corpus import corpus
    from unlearning_core.smallworld.train import can_compile, train

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe = Recipe(**{name: getattr(arguments, name) for name, _ in _OPTIONS})
    target = arguments.output_dir or default_folder(arguments.without)
    device = choose_device(arguments.device)
    whole = [text.text for text in corpus(recipe.seed, recipe.texts)]
    texts = whole
    if arguments.without:
        texts = [text.text for text in corpus(recipe.seed, recipe.texts, without=arguments.without)]
    compiled = not arguments.no_compile and can_compile(device)
    train(
        texts,
        whole,
        recipe,
        target,
        without=arguments.without,
        device=device,
        compiled=compiled,
        progress=progress,
    )
    progress.close()
    print(target)


def default_folder(without: str | None) -> Path:
    """Where a model goes unless a person says otherwise."""
    return Path("runs") / (f"smallworld-never-knew-{without}" if without else "smallworld")
