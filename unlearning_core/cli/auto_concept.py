"""What `unlearn auto` is told of a concept, and what it proposes and asks: words, neighbours, text."""

import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.concepts.words import Concept, parse_words, read_words
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.runs.tuning.experiment import (
    about,
    built,
    own_concept,
    text_about,
    values_of,
)

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel
    from unlearning_core.writing.word_proposals import Proposal


class Stopwatch:
    """How long the command has worked: the time that a person takes to answer is not counted."""

    def __init__(self) -> None:
        self._begun, self._thought = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Since it was made, without the answers."""
        return time.monotonic() - self._begun - self._thought

    def ask(self, question: str) -> str:
        """What the person answers, without the spaces around it."""
        asked = time.monotonic()
        answer = input(question).strip()
        self._thought += time.monotonic() - asked
        return answer


def experiment(
    model: str,
    concept: str,
    sentences: Path | None,
    assignments: Sequence[str],
    output_dir: Path | None,
    *,
    yes: bool,
    progress: TerminalProgress,
    watch: Stopwatch,
) -> ExperimentConfig:
    """The settings to search around; asks the person where words are proposed.

    Raises:
        InputError: the model, a file or a setting cannot be used; or words are proposed and nobody can be asked.
        WorkFailed: the model writes nothing usable about the concept.
    """
    given = (*assignments, *([f"output_dir={output_dir}"] if output_dir is not None else []))
    if own_concept(model, concept):
        values = values_of(model)
        if sentences is not None:
            values["neural_probing"]["sentences"] = str(sentences.resolve())
        return built(values, given)
    base = _Base(model, progress)
    name, words, neighbours = _words(concept, base, watch, yes=yes)
    chosen = Concept(words)
    root = Path(built(values_of(model), given).output_dir)
    own = None if sentences is None else str(sentences.resolve())

    def say(sentence: str) -> None:
        progress.close()
        print(sentence, file=sys.stderr, flush=True)

    text = text_about(model, chosen, own, root, lambda: base.for_writing, progress, say)
    return built(about(model, chosen, name, neighbours, text.source, text.retain), given)


class _Base:
    """The model, read when it is first asked for something."""

    def __init__(self, model: str, progress: TerminalProgress) -> None:
        self._model, self.progress = model, progress

    @cached_property
    def loaded(self) -> "LoadedModel":
        """As it is."""
        from unlearning_core.models.loading import load_model

        return load_model(self._model, progress=self.progress)

    @cached_property
    def for_writing(self) -> "LoadedModel":
        """In the precision that it writes fastest in."""
        from unlearning_core.models.loading import load_model
        from unlearning_core.writing.writer import writing_dtype

        return load_model(self._model, dtype=writing_dtype(), progress=self.progress)


def _words(concept: str, base: _Base, watch: Stopwatch, *, yes: bool) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(what it is called, its words, its neighbours), as given or as proposed and agreed to."""
    from unlearning_core.writing.word_proposals import propose

    if Path(concept).is_file():
        return Path(concept).stem, read_words(concept), ()
    words = parse_words(concept)
    if not words:
        raise InputError("The concept is empty. Give a word, words with commas between, or a file of words.")
    if len(words) > 1:
        return words[0], words, ()
    found = propose(base.loaded, concept.strip(), progress=base.progress)
    base.progress.close()
    _show(found)
    if yes or not sys.stdin.isatty():
        return concept.strip(), *_as_proposed(found, concept, yes=yes)
    return (
        concept.strip(),
        asked_words("Words of the concept", found.words, watch),
        asked_words("Words near it that stay", found.neighbours, watch),
    )


def _as_proposed(found: "Proposal", concept: str, *, yes: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The proposed words and neighbours, as they are.

    Raises:
        InputError: there are none, or they were not to be taken unseen.
    """
    if not found.words:
        raise InputError(f"The model names nothing that {concept.strip()!r} stands for. Give the words, with commas.")
    if not yes:
        raise InputError(
            f"Nobody can be asked whether these words are right: {', '.join(found.words)}. Take them with --yes, or "
            f'give the words yourself, with commas: "{found.words[0]}, ...".'
        )
    return found.words, found.neighbours


def _show(found: "Proposal") -> None:
    near = ", ".join(f"{word} {cosine:.2f}" for word, cosine in found.near[:12])
    listed = ", ".join(f"{word} ({count})" for word, count in found.listed) or "nothing twice"
    if near:
        print(f"Near in the model's embedding (cosine): {near}", file=sys.stderr)
    print(f"The model lists (in how many of its lists): {listed}", file=sys.stderr)
    print(f"Proposed, with their inflected forms: {', '.join(found.words)}", file=sys.stderr)
    print(f"Near it, to stay: {', '.join(found.neighbours) or 'none'}", file=sys.stderr)


def asked_words(what: str, proposed: tuple[str, ...], watch: Stopwatch) -> tuple[str, ...]:
    """The proposed words, or those that the person types in their place; a dash stands for none."""
    answer = watch.ask(f"{what}, with commas (Enter takes those proposed, - none): ")
    if not answer:
        return proposed
    return () if answer == "-" else parse_words(answer)
