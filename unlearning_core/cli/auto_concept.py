"""What `unlearn auto` is told of a concept, and what it proposes and asks: words, neighbours, text."""

import sys
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


def experiment(
    model: str,
    concept: str,
    sentences: Path | None,
    assignments: Sequence[str],
    output_dir: Path | None,
    *,
    yes: bool,
    progress: TerminalProgress,
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
    name, words, neighbours = _words(concept, base, yes=yes)
    chosen = Concept(words)
    root = Path(built(values_of(model), given).output_dir)
    own = None if sentences is None else str(sentences.resolve())
    text = text_about(model, chosen, own, root, lambda: base.for_writing, progress)
    progress.close()
    if text.origin != "given":
        more = f", written by the model; more without the concept: {text.retain or 'none'}"
        print(f"Text: {text.source}{more if text.origin == 'written' else ''}", file=sys.stderr)
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


def _words(concept: str, base: _Base, *, yes: bool) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(what it is called, its words, its neighbours), as given or as proposed and agreed to."""
    from unlearning_core.writing.word_proposals import propose

    if Path(concept).is_file():
        return Path(concept).stem, read_words(concept), ()
    words = parse_words(concept)
    if not words:
        raise InputError("The concept is empty. Give a word, words with commas between, or a file of words.")
    if len(words) > 1:
        return words[0], words, ()
    found = propose(base.loaded, words[0], progress=base.progress)
    base.progress.close()
    _show(found)
    if yes:
        return words[0], found.words, found.neighbours
    if not sys.stdin.isatty():
        raise InputError(
            f"Nobody can be asked whether these words are right: {', '.join(found.words)}. Take them with --yes, or "
            f'give the words yourself, with commas: "{words[0]}, ...".'
        )
    return (
        words[0],
        asked_words("Words of the concept", found.words),
        asked_words("Words near it that stay", found.neighbours),
    )


def _show(found: "Proposal") -> None:
    near = ", ".join(f"{word} {cosine:.2f}" for word, cosine in found.near[:12])
    listed = ", ".join(f"{word} ({count})" for word, count in found.listed) or "nothing twice"
    print(f"Near in the model's embedding (cosine): {near}", file=sys.stderr)
    print(f"The model lists (in how many of its lists): {listed}", file=sys.stderr)
    print(f"Proposed, with their inflected forms: {', '.join(found.words)}", file=sys.stderr)
    print(f"Near it, to stay: {', '.join(found.neighbours) or 'none'}", file=sys.stderr)


def asked_words(what: str, proposed: tuple[str, ...]) -> tuple[str, ...]:
    """The proposed words, or those that the person types in their place; a dash stands for none."""
    answer = input(f"{what}, with commas (Enter takes those proposed, - none): ").strip()
    if not answer:
        return proposed
    return () if answer == "-" else parse_words(answer)
