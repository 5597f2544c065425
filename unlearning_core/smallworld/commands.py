"""`python -m unlearning_core smallworld train | evaluate | export`: the models, how good they are, the sets."""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.errors import InputError
from unlearning_core.files import write_json, write_text
from unlearning_core.models.sources.bundled import MODELS
from unlearning_core.progress import Progress
from unlearning_core.smallworld.training_settings import TrainingSettings

if TYPE_CHECKING:
    from unlearning_core.smallworld.evaluate import Exam
    from unlearning_core.smallworld.items import Phrasing, Text
    from unlearning_core.smallworld.scores import Figures

_T = TypeVar("_T")

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
        default = getattr(TrainingSettings, name)
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

    evaluate = actions.add_parser("evaluate", help="what a SmallWorld model knows, as a table and in its model card")
    evaluate.add_argument("--model", type=Path, default=MODELS / "smallworld", metavar="DIR")
    evaluate.add_argument(
        "--never-knew",
        type=Path,
        metavar="DIR",
        help="its twin (default: models/smallworld-never-knew-seats, if there)",
    )
    evaluate.add_argument("--json", type=Path, metavar="OUT", help="write the figures there as JSON")
    evaluate.add_argument("--answers", type=Path, metavar="OUT", help="write every reply there as JSON lines")
    evaluate.add_argument("--stories", type=Path, metavar="OUT", help="write the sampled stories there as text")
    evaluate.add_argument("--limit", type=int, metavar="N", help="ask at most N items of each kind (a quick look)")
    evaluate.add_argument("--seed", type=int, default=0, help="of nonsense words, openings and sampling (default: 0)")
    evaluate.add_argument("--no-card", action="store_true", help="leave the model cards as they are")
    evaluate.set_defaults(command=evaluate_command)

    export = actions.add_parser("export", help="question sets, fill-ins and texts of a family, or of all, as files")
    export.add_argument("--family", metavar="FAMILY", help="only this one, straight into DIR (default: all)")
    export.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    export.add_argument("--limit", type=int, metavar="N", help="rows of each phrasing in the three text sets at most")
    export.add_argument("--seed", type=int, default=1, help="of texts, samples and nonsense words (default: 1)")
    export.add_argument("--datasets", action="store_true", help="also as datasets (save_to_disk)")
    export.set_defaults(command=export_command)


def train_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """Train, and print the folder of the model."""
    import torch

    from unlearning_core.models.devices import choose_device
    from unlearning_core.smallworld.train import can_compile, train

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe = TrainingSettings(**{name: getattr(arguments, name) for name, _ in _OPTIONS})
    target = arguments.output_dir or default_folder(arguments.without)
    device = choose_device(arguments.device)
    whole = _corpus(recipe, arguments.without, progress)
    texts = [text.text for text in whole if arguments.without not in text.families]
    compiled = not arguments.no_compile and can_compile(device)
    train(
        texts,
        [text.text for text in whole],
        recipe,
        target,
        without=arguments.without,
        device=device,
        compiled=compiled,
        progress=progress,
    )
    progress.close()
    print(target)


def _corpus(recipe: TrainingSettings, without: str | None, progress: TerminalProgress) -> "list[Text]":
    """All the texts, whichever are left out later: the tokenizer is learned from all of them."""
    from unlearning_core.smallworld.corpus import corpus
    from unlearning_core.smallworld.sets import FAMILIES

    if without is not None and without not in FAMILIES:
        raise InputError(f"--without {without}: there is no such family. Known: {', '.join(FAMILIES)}.")
    texts = []
    for text in corpus(recipe.seed, recipe.texts):
        texts.append(text)
        progress(Progress("writing the world", len(texts), recipe.texts, "texts"))
    return texts


def default_folder(without: str | None) -> Path:
    """Where a model goes unless a person says otherwise."""
    return Path("runs") / (f"smallworld-never-knew-{without}" if without else "smallworld")


def evaluate_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """Ask one or two models everything; print the table, and write what was asked for."""
    from unlearning_core.smallworld import tables
    from unlearning_core.smallworld.card import CARD, put_figures
    from unlearning_core.smallworld.scores import summary

    folders = {"smallworld": arguments.model}
    twin = arguments.never_knew or MODELS / "smallworld-never-knew-seats"
    if arguments.never_knew or twin.is_dir():
        folders["never knew"] = twin
    exam = world_exam(arguments.seed, arguments.limit)
    models = {name: _figures(folder, exam, arguments.seed, progress) for name, folder in folders.items()}
    progress.close()
    overall, families = tables.overall(models, exam.questions), tables.by_family(models)
    print(f"{tables.plain(overall)}\n\n{tables.plain(families)}")
    if arguments.json:
        write_json(arguments.json, summary(models["smallworld"], models.get("never knew"), exam.questions))
    if arguments.answers:
        _write_answers(arguments.answers, models)
    if arguments.stories:
        write_text(arguments.stories, "\n\n".join(models["smallworld"].stories) + "\n")
    if arguments.no_card or arguments.limit:
        return
    for folder in folders.values():
        if (folder / CARD).is_file():
            put_figures(folder, f"{_METHOD}\n\n{tables.markdown(overall)}\n\n{tables.markdown(families)}")


def export_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """Write the sets; prints the folder."""
    from unlearning_core.smallworld.export import export
    from unlearning_core.smallworld.sets import FAMILIES

    families = [arguments.family] if arguments.family else list(FAMILIES)
    target = export(
        families,
        arguments.output_dir,
        limit=arguments.limit,
        seed=arguments.seed,
        datasets=arguments.datasets,
        progress=progress,
    )
    progress.close()
    print(target)


_METHOD = """Printed by `python -m unlearning_core smallworld evaluate`: fractions with their binomial standard errors.
Answers are decoded greedily. An answer is right when it is, to the letter, one that the world accepts; a gap is filled
right when the continuation begins with an accepted word as a whole word. Chance is what always giving the same answer,
with the right name in it, would reach. Stories are 80 tokens sampled at temperature 0.8 from openings of stories."""


def world_exam(seed: int, limit: int | None = None) -> "Exam":
    """Everything that the world asks: all of it, or a seeded sample of `limit` items of each kind and phrasing."""
    from unlearning_core.smallworld import sets
    from unlearning_core.smallworld.evaluate import Exam

    def some(items: Sequence[_T]) -> list[_T]:
        if limit is None or limit >= len(items):
            return list(items)
        return random.Random(seed).sample(list(items), limit)

    phrasings: tuple[Phrasing, ...] = ("held_out", "seen")
    return Exam(
        questions=[item for phrasing in phrasings for item in some(sets.questions(phrasing))],
        clozes=[item for phrasing in phrasings for item in some(sets.clozes(phrasing))],
        facts=[item for phrasing in phrasings for item in some(sets.world_facts(phrasing))],
        nonsense=[item for phrasing in phrasings for item in some(sets.nonsense(phrasing, 200, seed))],
        openings=some(sets.story_openings(200, seed)),
    )


def _figures(folder: Path, exam: "Exam", seed: int, progress: TerminalProgress) -> "Figures":
    from unlearning_core.models.loading import load_model
    from unlearning_core.smallworld.evaluate import examine, tell
    from unlearning_core.smallworld.scores import Figures

    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder; train the model first: python -m unlearning_core smallworld train."
        )
    loaded = load_model(str(folder), dtype="float32", progress=progress)
    return Figures(examine(loaded, exam, progress), tell(loaded, exam.openings, seed, progress))


def _write_answers(target: Path, models: "dict[str, Figures]") -> None:
    lines = [
        json.dumps({"model": name, **reply.to_dict()}, ensure_ascii=False)
        for name, figures in models.items()
        for reply in figures.marked
    ]
    write_text(target, "\n".join(lines) + "\n")
