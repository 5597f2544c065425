"""`unlearn smallworld train | evaluate | export`: the embedded world's models, how good they are, its sets as files."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter, validators

from unlearning_core.cli.options import Bar, OutputFile, OutputFolder
from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.errors import InputError
from unlearning_core.files import PROGRAM, ROOT, read_object, write_json, write_text
from unlearning_core.models.checksums import write_checksums
from unlearning_core.progress import Progress
from unlearning_core.smallworld.training_settings import TrainingSettings

if TYPE_CHECKING:
    from unlearning_core.models.ground_truth import GroundTruth
    from unlearning_core.smallworld.evaluate import Exam
    from unlearning_core.smallworld.items import Text
    from unlearning_core.smallworld.scores import Figures
    from unlearning_core.smallworld.standing import Standing

smallworld_command = App(name="smallworld", help="The embedded world and the small models trained on it.")


@smallworld_command.command(name="train")
def train_command(
    *,
    without: str | None = None,
    route: str | None = None,
    route_neurons: int = 64,
    route_settle: int = 0,
    output_dir: Path | None = None,
    recipe: Annotated[TrainingSettings, Parameter(name="*")] = TrainingSettings(),  # noqa: B008 (frozen)
    threads: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    device: str = "auto",
    no_compile: bool = False,
    progress: Bar,
) -> None:
    """Train a SmallWorld model; goes on where it was stopped.

    Prints the folder of the model.

    Args:
        without: leave out every text of this concept family (seats).
        route: let only the named neurons of each layer learn from texts of this concept family (seats).
        route_neurons: how many neurons of each layer that are.
        route_settle: steps at the end in which only they learn.
        output_dir: default: runs/smallworld[-never-knew-FAMILY | -routed-FAMILY].
        threads: of the CPU (default: all cores).
        device: auto, cpu, cuda, mps.
        no_compile: do not let torch.compile write the kernels.
    """
    import torch

    from unlearning_core.models.devices import choose_device
    from unlearning_core.smallworld.routing import Routing
    from unlearning_core.smallworld.train import can_compile, train

    if threads:
        torch.set_num_threads(threads)
    chosen = choose_device(device)
    if route and without:
        raise InputError(f"--route {route} and --without {without} exclude each other; give one of them.")
    # All the texts, whichever are left out: the tokenizer is learned from all of them.
    whole = _written(recipe, without or route, "--without" if without else "--route", progress)
    read = [text for text in whole if without not in text.families]
    kind = f"-never-knew-{without}" if without else f"-routed-{route}" if route else ""
    target = train(
        [text.text for text in read],
        [text.text for text in whole],
        recipe,
        output_dir or Path("runs", f"smallworld{kind}"),
        without=without,
        routing=Routing(route, route_neurons, route_settle) if route else None,
        about=[route in text.families for text in read] if route else None,
        device=chosen,
        compiled=not no_compile and can_compile(chosen),
        progress=progress,
    )
    progress.close()
    print(target)


def _written(recipe: TrainingSettings, family: str | None, option: str, progress: TerminalProgress) -> "list[Text]":
    """The whole world in texts; raises InputError for a family that is not in it."""
    from unlearning_core.smallworld.corpus import corpus
    from unlearning_core.smallworld.sets import FAMILIES

    if family is not None and family not in FAMILIES:
        raise InputError(f"{option} {family}: there is no such family. Known: {', '.join(FAMILIES)}.")
    texts = []
    for text in corpus(recipe.seed, recipe.texts):
        texts.append(text)
        progress(Progress("writing the world", len(texts), recipe.texts, "texts"))
    return texts


@smallworld_command.command(name="evaluate")
def evaluate_command(
    *,
    model: Path = ROOT / "models" / "smallworld",
    never_knew: Path | None = None,
    json: OutputFile | None = None,
    answers: OutputFile | None = None,
    stories: OutputFile | None = None,
    limit: int | None = None,
    seed: int = 0,
    no_card: bool = False,
    progress: Bar,
) -> None:
    """Print what a SmallWorld model knows as a table, and put it into its model card.

    A model whose neurons for a concept are known is asked a second time with these cut.

    Args:
        model: its folder.
        never_knew: its twin (default: models/smallworld-never-knew-seats, if there).
        json: write the figures there as JSON.
        answers: write every reply there as JSON lines.
        stories: write the sampled stories there as text.
        limit: ask at most so many items of each kind (a quick look).
        seed: of nonsense words, openings and sampling.
        no_card: leave the model cards as they are.
    """
    from unlearning_core.models.ground_truth import ground_truth
    from unlearning_core.smallworld import tables
    from unlearning_core.smallworld.card import CARD, put_figures
    from unlearning_core.smallworld.evaluate import world_exam
    from unlearning_core.smallworld.scores import summary

    routed = ground_truth(str(model)) if model.is_dir() else None
    own, twin = "routed" if routed else "smallworld", never_knew or ROOT / "models" / "smallworld-never-knew-seats"
    exam = world_exam(seed, limit)
    models = {own: _figures(model, None, exam, seed, progress)}
    if routed:
        models["named neurons cut"] = _figures(model, routed, exam, seed, progress)
    if never_knew or twin.is_dir():
        models[_TWIN] = _figures(twin, None, exam, seed, progress)
    progress.close()
    overall, families = tables.overall(models, exam.questions), tables.by_family(models)
    print(f"{tables.plain(overall)}\n\n{tables.plain(families)}")
    if json:
        write_json(json, summary(models[own], models.get(_TWIN), exam.questions))
    if answers:
        replies = [{"model": name, **vars(reply)} for name, figures in models.items() for reply in figures.marked]
        write_text(answers, "".join(json_text.dumps(reply, ensure_ascii=False) + "\n" for reply in replies))
    if stories:
        write_text(stories, "\n\n".join(models[own].stories) + "\n")
    if no_card or limit:
        return
    # The twin's card stands beside SmallWorld's, not beside the routed model's.
    for folder in (model,) if routed else (model, twin):
        if (folder / CARD).is_file():
            put_figures(folder, f"{tables.markdown(overall)}\n\n{tables.markdown(families)}")


_TWIN = "never knew"


def _figures(folder: Path, cut: "GroundTruth | None", exam: "Exam", seed: int, progress: TerminalProgress) -> "Figures":
    from unlearning_core.models.loading import load_model
    from unlearning_core.smallworld.evaluate import examine, tell
    from unlearning_core.smallworld.scores import Figures
    from unlearning_core.smallworld.standing import without

    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; train the model first: {PROGRAM} smallworld train.")
    loaded = load_model(str(folder), dtype="float32", progress=progress)
    with without(loaded, cut):
        return Figures(examine(loaded, exam, progress), tell(loaded, exam.openings, seed, progress))


@smallworld_command.command(name="standing")
def standing_command(
    *,
    second_seed: Path | None = None,
    json: OutputFile | None = None,
    no_card: bool = False,
    progress: Bar,
) -> None:
    """Print how far the SmallWorld models are from the twin that never knew seats, and put it into their model cards.

    SmallWorld, the routed model as it is and with its named neurons cut, and the twin's own second seed.

    Args:
        second_seed: folder of the twin trained with another --training-seed; its figures are kept in the twin's folder
            and used from there when it is not given.
        json: write the figures there as JSON.
        no_card: change no model's folder.
    """
    from unlearning_core.smallworld import standing, tables
    from unlearning_core.smallworld.card import put_standing

    twin, routed = (ROOT / "models" / f"smallworld-{name}-seats" for name in ("never-knew", "routed"))
    found = {name: each.to_dict() for name, each in _standings(twin, routed, second_seed, progress).items()}
    progress.close()
    kept = twin / standing.SECOND_SEED
    if second_seed:
        second = {**standing.training_of(second_seed), **found.pop(_SECOND), "base": found["smallworld"]}
        if not no_card:
            write_json(kept, second)
            write_checksums(twin)
    else:
        second = read_object(kept)
    if second:
        found[standing.second_name(second)] = second
    rows = standing.table(found)
    print(tables.plain(rows))
    if json:
        write_json(json, found)
    for folder in (twin, routed):
        if not no_card and folder.is_dir():
            put_standing(folder, tables.markdown(rows))


_SECOND = "second seed"


def _standings(twin: Path, routed: Path, second_seed: Path | None, progress: TerminalProgress) -> "dict[str, Standing]":
    from unlearning_core.models.ground_truth import ground_truth
    from unlearning_core.models.loading import load_model
    from unlearning_core.smallworld.standing import ground, standing

    on, reference = ground(), load_model(str(twin), dtype="float32", progress=progress)
    folders = {"smallworld": ROOT / "models" / "smallworld"}
    folders |= {routed.name: routed} if routed.is_dir() else {}
    folders |= {_SECOND: second_seed} if second_seed else {}
    found = {}
    for name, folder in folders.items():
        loaded = load_model(str(folder), dtype="float32", progress=progress)
        found[name] = standing(reference, loaded, on, progress=progress)
        if truth := ground_truth(str(folder)):
            found[f"{name}, named neurons cut"] = standing(reference, loaded, on, cut=truth, progress=progress)
    return found


@smallworld_command.command(name="export")
def export_command(
    *,
    family: str | None = None,
    output_dir: OutputFolder,
    limit: int | None = None,
    seed: int = 1,
    datasets: bool = False,
    progress: Bar,
) -> None:
    """Write the question sets, fill-ins and texts of a family, or of all, as files.

    Args:
        family: only this one, straight into the folder (default: all).
        output_dir: where they are written.
        limit: rows of each phrasing in the three text sets at most.
        seed: of texts, samples and nonsense words.
        datasets: write them as datasets too (save_to_disk).
    """
    from unlearning_core.smallworld.export import export
    from unlearning_core.smallworld.sets import FAMILIES

    families = [family] if family else list(FAMILIES)
    target = export(families, output_dir, limit=limit, seed=seed, datasets=datasets, progress=progress)
    progress.close()
    print(target)
