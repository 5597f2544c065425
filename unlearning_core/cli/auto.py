"""`unlearn auto`: from a model and a concept to an unlearned model, its recipe searched in a given time."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from unlearning_core.cli.options import Bar, OutputFolder, print_table
from unlearning_core.cli.run import say_once
from unlearning_core.errors import InputError
from unlearning_core.files import PROGRAM
from unlearning_core.progress import duration

if TYPE_CHECKING:
    from unlearning_core.cli.auto_concept import Stopwatch
    from unlearning_core.runs.run import Run
    from unlearning_core.runs.tuning.found import Found
    from unlearning_core.runs.tuning.trials import Trial

MINUTES = 10.0
"""That all of it may take, unless told otherwise."""

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def auto_command(
    model: str,
    concept: str,
    /,
    *,
    minutes: Annotated[float, Parameter(validator=validators.Number(gt=0))] | None = None,
    trials: Count | None = None,
    retrained: Count | None = None,
    sentences: Path | None = None,
    yes: bool = False,
    assignments: Annotated[tuple[str, ...], Parameter("--set", metavar="KEY=VALUE ...", consume_multiple=1)] = (),
    output_dir: OutputFolder | None = None,
    progress: Bar,
) -> None:
    """One line for all of it: words, text, the recipe that forgets most for least, the model, its verdict.

    Also `unlearn MODEL CONCEPT`. Stopped and called again it goes on. Prints the folder of the run as its last line.

    Args:
        model: a starter, a folder, a .gguf file or a Hub id.
        concept: a word, words with commas, a file of words, a sentence that says what it is ("animals that fly"), or
            the name of a starter's own concept ("seats").
        minutes: how long all of it may take, from the words to the verdict (default 10, without --trials). Where that
            is too little for three cuts, two retrained recipes and a verdict it takes longer, and says so.
        trials: cuts that are tried at most.
        retrained: recipes that are retrained at most.
        sentences: text with and without the concept; without it the starter's own, or written by the model.
        yes: take the proposed words and the proposed recipe; needed where nobody can be asked.
        assignments: settings in place of the proposed ones, for example neural_probing.ranker=taylor.
        output_dir: where the run folder is made (default: "runs").
    """
    from unlearning_core.cli.auto_concept import Stopwatch, experiment
    from unlearning_core.cli.auto_menu import offer
    from unlearning_core.runs.tuning.found import keep, keep_rows, take
    from unlearning_core.runs.tuning.search import Limits, RecipeSearch
    from unlearning_core.runs.tuning.tuned_runs import find_or_create_tuned

    watch = Stopwatch()
    config = experiment(model, concept, sentences, assignments, output_dir, yes=yes, progress=progress, watch=watch)
    root = output_dir or Path(config.output_dir)
    seconds = None if minutes is None and trials is not None else 60 * (minutes or MINUTES)
    run, known = find_or_create_tuned(config, root, progress)
    progress.close()
    print(f"Run folder: {run.folder}{' (going on)' if known else ''}", file=sys.stderr, flush=True)
    limits = Limits(seconds, trials, retrained, before=watch.seconds, verdict=True)
    search = RecipeSearch(run, config, limits, lambda so_far: keep_rows(run, so_far))
    found = search.compute(progress, lambda sentence: _tell(sentence, progress))
    progress.close()
    keep(run, found)
    print_front(found, run)
    taken = _chosen(found, watch, yes=yes)
    take(run, config, found, taken)
    _finish(run, progress)
    print(f"All of it took {duration(watch.seconds)}" + (" this time." if known else "."), file=sys.stderr, flush=True)
    if not yes and sys.stdin.isatty():
        offer(run, progress)
    print(run.folder)


def _tell(sentence: str, progress: Bar) -> None:
    progress.close()
    print(sentence, file=sys.stderr, flush=True)


def print_front(found: "Found", run: "Run") -> None:
    """The front and today's default as a table, what was tried, and where all trials are."""
    from unlearning_core.runs.tuning.found import PICTURE

    own, taken = found.own, found.taken
    rows = list(dict.fromkeys([*found.front, *(trial for trial in (taken, own) if trial is not None)]))
    print()
    print_table([_row(trial, found) for trial in rows])
    print("\n" + _LEGEND.format(gap=_REFERENCE[found.reference]))
    if any(trial.kind == "cuts" for trial in rows):
        print("No recipe was retrained in the time: these are the cuts as they are before it.")
    print(found.sentence)
    if taken is not None:
        print(f"The knee is {taken.name}. {found.against_own(taken)}")
        if not (taken.outcome is not None and taken.outcome.enough(found.asked)):
            print("No recipe that was tried forgets all that the verdict asks for.")
    print(f"All trials, and a picture of them: {run.tuning_folder / PICTURE}\n")


_LEGEND = """Whole: layers in which nothing is cut. Gap: {gap}.
Cost: nats a token on sentences without the concept; ± is half a 95 % interval. Front: much forgotten (the mean of gap
and questions not answered) for little cost. Knee: of the points that forget what the verdict asks for and, if any are,
no worse than today's default on either axis, the one farthest from the line from doing nothing to the far end (Das)."""

_REFERENCE = {
    "never_knew": "share of the way to the model that never knew",
    "unrelated": "share of the way to where the words are as unlikely as behind unrelated text",
}


def _row(trial: "Trial", found: "Found") -> dict[str, str]:
    from unlearning_core.evaluation.ratio import Z95

    choice, outcome = trial.choice, trial.outcome
    assert outcome is not None
    taken = found.taken is not None and trial.name == found.taken.name
    marks = [*(["knee"] if taken else []), *(["today's default"] if trial.choice == found.default else [])]
    return {
        "": trial.name,
        "neurons": f"{100 * choice.share:.3g} %{' a layer' if choice.per_layer else ''}",
        "whole": _layers(choice.protected),
        "rows": f"{choice.strength:g}",
        "noise": f"{choice.noise:g}" if trial.kind == "retrained" else "",
        "retraining": f"{choice.steps or 'all'} steps" if trial.kind == "retrained" else "none yet",
        "gap closed": f"{100 * outcome.gap:.0f} % ± {100 * Z95 * outcome.gap_stderr:.0f}",
        "answered": "" if outcome.answered != outcome.answered else f"{100 * outcome.answered:.0f} %",
        "cost": f"{outcome.cost:.3f} ± {Z95 * outcome.cost_stderr:.3f}",
        "neighbours": "" if outcome.neighbour != outcome.neighbour else f"{outcome.neighbour:.3f}",
        "relearning": _relearning(found, trial),
        " ": ", ".join(marks),
    }


def _layers(protected: tuple[int, ...]) -> str:
    """Which layers nothing is cut in: "0-4", or as they are where they do not follow one another."""
    if not protected:
        return ""
    first, last = protected[0], protected[-1]
    if last - first + 1 == len(protected):
        return f"{first}-{last}" if last > first else str(first)
    return ", ".join(map(str, protected))


def _relearning(found: "Found", trial: "Trial") -> str:
    share = found.relearning(trial)
    if share is None:
        return "not raced"
    held_against = "never-knew" if found.reference == "never_knew" else "asked"
    return f"{share:.2f} x {held_against}{'' if found.withstands(trial) else ', too soon'}"


def _chosen(found: "Found", watch: "Stopwatch", *, yes: bool) -> "Trial":
    """The trial to take: the knee, or another one of the table that the person names."""
    taken, named = found.taken, {trial.name.casefold(): trial for trial in found.front}
    if taken is None:
        raise InputError(
            "No recipe that was tried forgets anything. Give more --minutes, text that says more about the concept, or "
            "another ranker (--set neural_probing.ranker=taylor)."
        )
    while not yes and sys.stdin.isatty():
        answer = watch.ask(f"Which one? Enter takes {taken.name}: ").casefold()
        if not answer:
            break
        if answer in named:
            return named[answer]
        print(f"Name one of {', '.join(trial.name for trial in found.front)}.")
    return taken


def _finish(run: "Run", progress: Bar) -> None:
    """Bring the run to its end with the recipe that was taken, evaluate it quickly, and say what comes next."""
    from unlearning_core.cli.auto_menu import on_screen
    from unlearning_core.reports.terminal import print_outcome
    from unlearning_core.runs.pipeline import execute
    from unlearning_core.runs.proof import prove
    from unlearning_core.runs.tuning.plan import verdict_seconds

    print("The recipe that was taken is brought to its end, which was most of it in the search.", file=sys.stderr)
    execute(run, progress, waiting=say_once)
    progress.close()
    folder, last, told = run.folder, run.states()[-1], verdict_seconds(run)
    about = f", about {duration(told)}" if told else ""
    print(f"It is evaluated: a quick look{about}. Ctrl-C and the same command go on here.", file=sys.stderr, flush=True)
    prove(run, progress, states=[last], quick=True)
    progress.close()
    print_outcome(run)
    print(f"The model:      {folder}/models/{last}")
    print(f"The same again: {PROGRAM} run {run.reproduce_file}")
    print(f"Report:         {PROGRAM} report {folder}")
    print(f"Whole verdict:  {PROGRAM} evaluate {folder}")
    print(f"Take it away:   {PROGRAM} export | gguf | push {folder}")
    command, address = on_screen(run)
    print(f"Try it:         {command}, then")
    print(f"                {address}")
