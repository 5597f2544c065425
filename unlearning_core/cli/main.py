"""`python -m unlearning_core run | label | filter | sentences | config | starter | sweep | search | ...`, no screen."""

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlearning_core import distributed
from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.config import DEFAULT_STARTER, STARTERS
from unlearning_core.errors import InputError, Stopped, WorkbenchError
from unlearning_core.logs import quiet_libraries, redact, start_app_log
from unlearning_core.progress import silent
from unlearning_core.reports.run_report import add_report
from unlearning_core.runs.search import add_search
from unlearning_core.runs.sweep import add_sweep
from unlearning_core.smallworld.commands import add_smallworld

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a person's mistake, 1 for a failure or a stop."""
    arguments = parser().parse_args(argv)
    progress = TerminalProgress()
    try:
        _stop_on_terminate()
        start_app_log()
        quiet_libraries()
        log.info("command: %s", " ".join(argv if argv is not None else sys.argv[1:]))
        arguments.command(arguments, progress)
        return 0
    except BaseException as error:
        progress.close()
        return _explain(error)
    finally:
        progress.close()
        distributed.disconnect()


def _stop_on_terminate() -> None:
    """A polite kill stops like Ctrl-C: what is finished is kept and said."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def _explain(error: BaseException) -> int:
    """Say in one line what went wrong; the traceback of an unforeseen error goes to the log alone."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        error = Stopped("Stopped. Run the same command again to go on.")
    if isinstance(error, WorkbenchError):
        log.error("%s", error)
        print(redact(str(error)), file=sys.stderr)
        return error.exit_code
    log.error("unforeseen error", exc_info=error)
    print(
        redact(
            f"{type(error).__name__}: {' '.join(str(error).split())[:500]} (an unforeseen error; logs/app.log has more)"
        ),
        file=sys.stderr,
    )
    return 1


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m unlearning_core", description="Concept unlearning in language models."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="the whole path: label, rank, prune, retrain, measure")
    run.add_argument("config", nargs="?", type=Path, help="config.json; without it the starter's own experiment")
    run.add_argument("--starter", metavar="NAME", help=f"a starter's ready-made experiment: {_starters()}")
    run.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], dest="assignments")
    run.add_argument("--output-dir", type=Path, metavar="DIR", help="where the run folder is made (default: runs)")
    run.add_argument("--fresh", action="store_true", help="a new run folder even where an equal run could go on")
    run.add_argument("--no-wait", action="store_true", help="leave at once where another process works on this run")
    run.set_defaults(command=run_command)

    resume = commands.add_parser("resume", help="go on with a run folder, after a stop or a change of its config.json")
    resume.add_argument("run", type=Path, metavar="RUN_FOLDER")
    resume.add_argument("--until", metavar="STAGE", help="stop after this stage")
    resume.set_defaults(command=resume_command)

    label = commands.add_parser("label", help="sentences -> PREFIX-tokens.txt, -labels.txt, -inverse.txt")
    _concept_options(label)
    label.add_argument(
        "--sentences", required=True, metavar="FILE", help="text, JSON, JSON lines, CSV, folder, dataset"
    )
    label.add_argument("--column", help="text column of a CSV or dataset")
    label.add_argument("--output-prefix", required=True, metavar="PREFIX")
    label.set_defaults(command=label_command)

    filtering = commands.add_parser("filter", help="leave the concept out of a dataset")
    _concept_options(filtering)
    filtering.add_argument("--dataset", required=True, metavar="NAME_OR_PATH")
    filtering.add_argument("--column", help="text column")
    filtering.add_argument("--seed", type=int, default=0, help="of the validation split, where the dataset has none")
    filtering.add_argument("--output-dir", required=True, type=Path, metavar="DIR")
    filtering.set_defaults(command=filter_command)

    sentences = commands.add_parser("sentences", help="let the model write sentences with and without the concept")
    sentences.add_argument("--model", required=True, metavar="M", help="folder, .gguf file, Hub id or starter")
    _concept_options(sentences)
    sentences.add_argument("--count", required=True, type=int, metavar="N", help="sentences in all")
    sentences.add_argument("--concept-share", type=float, default=0.5, help="fraction of them with the concept")
    sentences.add_argument("--seed", type=int, default=0, metavar="S")
    sentences.add_argument("--output", required=True, type=Path, metavar="FILE", help=".jsonl, .json or .txt")
    sentences.set_defaults(command=sentences_command)

    config = commands.add_parser("config", help="a commented starter config, or its JSON schema")
    config.add_argument("--starter", metavar="NAME", default=DEFAULT_STARTER, help=f"whose: {_starters()}")
    config.add_argument("--schema", action="store_true")
    config.add_argument("--output", type=Path, metavar="FILE", help="write there instead of printing")
    config.set_defaults(command=config_command)

    starter = commands.add_parser("starter", help="check a starter model; unpack it under models/ where it needs that")
    starter.add_argument("name", nargs="?", default=DEFAULT_STARTER, help=_starters())
    starter.set_defaults(command=starter_command)

    add_report(commands)
    add_sweep(commands)
    add_search(commands)
    add_smallworld(commands)
    return top


def _starters() -> str:
    known = sorted((file.stem for file in STARTERS.glob("*.json")), key=lambda name: name != DEFAULT_STARTER)
    return " or ".join(f"{name} (default)" if name == DEFAULT_STARTER else name for name in known)


def _concept_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--words", required=True, type=Path, metavar="FILE", help="concept words, one a line")
    command.add_argument("--no-inflections", action="store_true", help="match the words exactly as written")
    command.add_argument("--language", default="en", help="language of the inflections")


def _concept(arguments: argparse.Namespace) -> Any:
    from unlearning_core.concepts.words import Concept, read_words

    return Concept(read_words(arguments.words), not arguments.no_inflections, arguments.language)


def run_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """The whole path; the run folder's path is the last line printed."""
    from unlearning_core.reports.terminal import print_outcome
    from unlearning_core.runs.pipeline import create_run, execute, find_or_create_run
    from unlearning_core.runs.run import Run

    config = _experiment(arguments)
    distributed.connect()
    folder: Path | None = None
    if distributed.is_main():
        root = arguments.output_dir or Path(config.output_dir)
        run, known = (create_run(config, root), False) if arguments.fresh else find_or_create_run(config, root)
        folder = run.folder.resolve()
        log.info("run folder %s%s", folder, " (going on)" if known else "")
    run = Run(distributed.share(folder))
    if not distributed.is_main():
        execute(run)
        return
    print(f"Run folder: {run.folder}", file=sys.stderr, flush=True)
    told: list[str] = []

    def waiting(sentence: str) -> None:
        if arguments.no_wait:
            raise InputError(sentence)
        if sentence not in told:
            told.append(sentence)
            print(f"{sentence} Waiting for it; Ctrl-C leaves it alone.", file=sys.stderr, flush=True)

    execute(run, progress, waiting=waiting)
    progress.close()
    print_outcome(run)
    print(run.folder)


def resume_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """Bring an existing run folder up to date."""
    from unlearning_core.runs.pipeline import execute
    from unlearning_core.runs.run import open_run

    folder = arguments.run.resolve()
    run = open_run(folder.name, folder.parent)
    distributed.connect()
    execute(run, progress if distributed.is_main() else silent, until=arguments.until)
    if distributed.is_main():
        print(run.folder)


def _experiment(arguments: argparse.Namespace) -> Any:
    from unlearning_core.config import build_config, override, read_config_values

    if arguments.config is not None and arguments.starter is not None:
        raise InputError(f"Give either a config ({arguments.config}) or --starter {arguments.starter}, not both.")
    path = arguments.config
    if path is None:
        name = arguments.starter or DEFAULT_STARTER
        path = STARTERS / f"{name}.json"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in STARTERS.glob("*.json")))
            raise InputError(f"--starter {name}: there is no such starter. Known: {known}.")
    values = override(read_config_values(path), arguments.assignments)
    return build_config(values, origin=str(path), folder=path.resolve().parent)


def label_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """The seed's tokens, labels and inverse files."""
    from unlearning_core.concepts.labelling import label
    from unlearning_core.concepts.matcher import Matcher
    from unlearning_core.concepts.sentences import as_sentences
    from unlearning_core.concepts.texts import read_texts
    from unlearning_core.concepts.tokens_labels import write

    texts = read_texts(arguments.sentences, column=arguments.column, progress=progress)
    labelled = label(as_sentences(texts), Matcher(_concept(arguments)), progress)
    progress.close()
    written = write(arguments.output_prefix, labelled)
    for path in (written.tokens, written.labels, written.inverse):
        print(path)
    print(
        f"{len(labelled.with_concept)} sentences with the concept, {len(labelled.without)} without, "
        f"{labelled.duplicates} duplicates dropped"
    )
    if labelled.missing:
        print(f"Words that never occur: {', '.join(labelled.missing)}")


def filter_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """A dataset without the concept, and what was dropped."""
    from unlearning_core.concepts.filtering import FilterSettings, filter_dataset

    settings = FilterSettings(column=arguments.column, seed=arguments.seed)
    report = filter_dataset(arguments.dataset, _concept(arguments), arguments.output_dir, settings, progress=progress)
    progress.close()
    for part in ("train", "validation"):
        print(f"{part}: {report[part]['kept']} kept, {report[part]['dropped']} dropped of {report[part]['total']}")
    print(arguments.output_dir)


def sentences_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """Sentences written by the model itself."""
    from unlearning_core.models.loading import load_model
    from unlearning_core.writing.writer import WriterSettings, write_sentences, writing_dtype

    concept = _concept(arguments)
    settings = WriterSettings(
        model=arguments.model,
        words=concept.words,
        count=arguments.count,
        concept_share=arguments.concept_share,
        seed=arguments.seed,
    )
    loaded = load_model(arguments.model, dtype=writing_dtype(), progress=progress)
    report = write_sentences(loaded, concept, arguments.output, settings, progress)
    progress.close()
    print(
        f"{report['sentences']} sentences, {report['with_concept']} with the concept; dropped: "
        + (", ".join(f"{count} {reason}" for reason, count in report["dropped"].items()) or "none")
    )
    print(arguments.output)


def config_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """A commented starter config, or the JSON schema."""
    from unlearning_core.cli.config_template import commented_starter
    from unlearning_core.config import ExperimentConfig
    from unlearning_core.files import write_text

    schema = json.dumps(ExperimentConfig.model_json_schema(), indent=2) + "\n"
    text = schema if arguments.schema else commented_starter(arguments.starter)
    if arguments.output is None:
        print(text, end="")
    elif arguments.output.exists():
        raise InputError(f"--output {arguments.output} is there already; give another name or delete it.")
    else:
        write_text(arguments.output, text)
        print(arguments.output)


def starter_command(arguments: argparse.Namespace, progress: TerminalProgress) -> None:
    """Check a starter model, and unpack it once where it comes as one file."""
    from unlearning_core.models.sources.starters import prepare

    print(prepare(arguments.name, progress))
